/** The end of the real executable while a system call of its own does not return. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { EXIT_OK, exitCodeOfSignal } from '../../src/cli/exit-codes.ts';
import { makeFifo } from '../support/fifo.ts';
import { runRivulet, type Started, startRivulet } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';

let scratch = new Scratch();
beforeEach(() => {
  scratch[Symbol.dispose]();
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.dispose]());

/** An environment in which `statement` is run before Rivulet begins; it may use \`FIFO\`, which hangs whoever opens it. */
function preloading(statement: string): Record<string, string> {
  const fifo = makeFifo(scratch.file('fifo'));
  writeFileSync(
    scratch.file('preload.mjs'),
    `import { open, openSync } from 'node:fs';
     import { isMainThread } from 'node:worker_threads';
     const FIFO = ${JSON.stringify(fifo)};
     if (isMainThread) { ${statement} }`,
  );
  return { NODE_OPTIONS: `--import=${pathToFileURL(scratch.file('preload.mjs')).href}` };
}

const HUNG_POOL = "open(FIFO, 'r', () => undefined);";
const MAIN_HANGS_LATER = "process.on('SIGUSR2', () => openSync(FIFO, 'r'));";

function replicate(env: Record<string, string>, replica: object = {}): Started {
  const database = new DatabaseSync(scratch.file('app.db'));
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)');
  database.close();
  const settings = {
    'shutdown-timeout': '300ms',
    dbs: [{ path: scratch.file('app.db'), replicas: [{ path: scratch.file('replica'), ...replica }] }],
  };
  writeFileSync(scratch.file('rivulet.yml'), JSON.stringify(settings));
  return startRivulet(['replicate', '-no-expand-env', '-config', scratch.file('rivulet.yml')], { env });
}

describe('a thread of the pool hangs', () => {
  test('a command ends all the same, with its own status', async () => {
    const { code, out } = await runRivulet(['version'], { env: preloading(HUNG_POOL) });
    assert.equal(code, EXIT_OK);
    assert.match(out, /\d+\.\d+/);
  });

  test('SIGTERM ends replicate with 0 when everything is stored', async () => {
    const running = replicate(preloading(HUNG_POOL));
    await running.said('snapshot written');
    running.process.kill('SIGTERM');
    assert.equal((await running.ended).code, EXIT_OK);
  });

  test('a second signal ends it at once', async () => {
    const running = replicate(preloading(`${HUNG_POOL} setInterval(() => undefined, 1000);`));
    await running.said('snapshot written');
    const beganMs = performance.now();
    running.process.kill('SIGTERM');
    running.process.kill('SIGTERM');
    const { code } = await running.ended;
    // The first one may have been enough already.
    assert.ok(code === exitCodeOfSignal('SIGTERM') || code === EXIT_OK, String(code));
    assert.ok(performance.now() - beganMs < 15_000);
  });
});

describe('the main thread hangs', () => {
  test('with `on-stall: exit` the process kills itself, and says so before', async () => {
    const running = replicate(preloading(MAIN_HANGS_LATER), { 'stall-after': '1s', 'on-stall': 'exit' });
    await running.said('snapshot written');
    running.process.kill('SIGUSR2');
    const { code, out } = await running.ended;
    assert.equal(code, null);
    assert.equal(running.process.signalCode, 'SIGKILL');
    assert.match(out, /ERROR +the process hangs in a system call and ends itself/);
  });
});
