/** The end of a process in which a thread is in a system call that does not return. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeFifo } from '../support/fifo.ts';
import { Scratch } from '../support/scratch.ts';

const END_PROCESS = fileURLToPath(new URL('../../src/base/end-process.ts', import.meta.url));
const PATIENCE_MS = 30_000;

let scratch = new Scratch();
beforeEach(() => {
  scratch[Symbol.dispose]();
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.dispose]());

/** Runs a program that ends itself while one thread of the pool waits for a writer of a FIFO that never comes. */
function run(before: string): { status: number | null; signal: string | null; out: string } {
  const fifo = makeFifo(scratch.file('fifo'));
  const source = `
    import { open } from 'node:fs';
    import { endProcess } from ${JSON.stringify(END_PROCESS)};
    open(${JSON.stringify(fifo)}, 'r', () => undefined);
    process.on('exit', (status) => console.log('exit ' + status));
    ${before}
    setTimeout(() => endProcess(5), 50);`;
  const { status, signal, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    cwd: scratch.path,
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
    encoding: 'utf8',
  });
  return { status, signal, out: stdout };
}

describe('endProcess', { skip: process.platform === 'win32' ? 'there are no FIFOs' : false }, () => {
  test('ends with the status although a thread hangs, after the listeners of `exit`', () => {
    assert.deepEqual(run(''), { status: 5, signal: null, out: 'exit 5\n' });
  });

  test('also in a directory that was removed, and with NODE_OPTIONS that no program starts with', () => {
    const before = `
      import { mkdirSync, rmdirSync } from 'node:fs';
      mkdirSync('gone');
      process.chdir('gone');
      rmdirSync('../gone');
      process.env.NODE_OPTIONS = '--no-such-option';`;
    assert.equal(run(before).status, 5);
  });
});
