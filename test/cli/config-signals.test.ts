/** SIGTERM ends a command that is reading its configuration, whatever that is. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { constants, openSync, writeSync, closeSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { runRivulet, startRivulet } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';

let scratch = new Scratch();
beforeEach(() => void (scratch = new Scratch()));
afterEach(() => scratch[Symbol.dispose]());

function makePipe(): string {
  const path = scratch.file('pipe');
  assert.equal(spawnSync('mkfifo', [path]).status, 0);
  return path;
}

/** Opens the pipe for writing as soon as somebody reads it, which a non-blocking open tells. */
async function writerOf(path: string): Promise<number> {
  let descriptor = -1;
  await until('somebody reads the pipe', () => {
    try {
      descriptor = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
      return true;
    } catch {
      return false;
    }
  });
  return descriptor;
}

for (const words of [['config'], ['replicate'], ['status'], ['check']]) {
  test(`${words.join(' ')}: of a pipe whose writer never ends`, async () => {
    const path = makePipe();
    const { process: child, ended } = startRivulet([...words, '-config', path]);
    const descriptor = await writerOf(path);
    try {
      writeSync(descriptor, 'dbs:\n');
      child.kill('SIGTERM');
      await ended;
      assert.deepEqual([child.signalCode, child.exitCode], ['SIGTERM', null]);
    } finally {
      closeSync(descriptor);
    }
  });
}

test('a pipe that ends is a configuration as any other', async () => {
  const path = makePipe();
  const { ended } = startRivulet(['databases', '-config', path]);
  const descriptor = await writerOf(path);
  writeSync(descriptor, 'dbs: [{path: /tmp/a.db, replicas: [{path: /tmp/r}]}]\n');
  closeSync(descriptor);
  const { code, out } = await ended;
  assert.equal(code, 0);
  assert.match(out, /\/tmp\/a\.db/);
});

test('work that blocks everything else does not keep a signal off', async () => {
  // Some seconds of parsing.
  const path = scratch.file('large.yml');
  writeFileSync(path, `x-l: [${'{a: b},'.repeat(1_500_000)}]\n`);
  const { process: child, ended } = startRivulet(['config', '-config', path]);
  await Promise.race([once(child, 'exit'), new Promise((resolve) => setTimeout(resolve, 1_500))]);
  assert.equal(child.exitCode, null, 'it is still at it');
  const askedAtMs = performance.now();
  child.kill('SIGTERM');
  await ended;
  assert.equal(child.signalCode, 'SIGTERM');
  assert.ok(performance.now() - askedAtMs < 2_000);
});

test('a device that never ends is not read to its end', async () => {
  const { code, err } = await runRivulet(['config', '-config', '/dev/zero']);
  assert.equal(code, 1);
  assert.match(err, /too many for a configuration/);
});
