/** How `replicate` ends, through the real executable: what docs/errors.md promises about its exit status. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { EXIT_FINAL_SYNC_FAILED, EXIT_OK, exitCodeOfSignal } from '../../src/cli/exit-codes.ts';
import { runRivulet, type Started, startRivulet } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';

let scratch = new Scratch();
beforeEach(() => {
  scratch[Symbol.dispose]();
  scratch = new Scratch();
  writeRows(1);
});
afterEach(() => scratch[Symbol.dispose]());

function writeRows(rows: number): void {
  const database = new DatabaseSync(scratch.file('app.db'), { timeout: 10_000 });
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (x)');
  for (let row = 0; row < rows; row++) database.exec('INSERT INTO t VALUES (1)');
  database.close();
}

/** Rows in the database that the replica gives back. */
async function restoredRows(): Promise<number> {
  const output = scratch.file(`out-${scratch.names().length}.db`);
  const { code, err } = await runRivulet(['restore', '-o', output, `file://${scratch.file('replica')}`]);
  assert.equal(code, EXIT_OK, err);
  const database = new DatabaseSync(output, { readOnly: true });
  const rows = Number(database.prepare('SELECT count(*) AS n FROM t').get()?.['n']);
  database.close();
  return rows;
}

/** An application in a file of its own; `done` is written when it has come so far. */
function application(source: string): string {
  writeFileSync(
    scratch.file('application.mjs'),
    `import { DatabaseSync } from 'node:sqlite';
     import { writeFileSync } from 'node:fs';
     const insert = (rows) => {
       const database = new DatabaseSync(${JSON.stringify(scratch.file('app.db'))}, { timeout: 5000 });
       for (let row = 0; row < rows; row++) database.exec('INSERT INTO t VALUES (2)');
       database.close();
     };
     ${source}`,
  );
  return `'${process.execPath}' '${scratch.file('application.mjs')}'`;
}

/**
 * An environment in which, from SIGUSR2 on, nothing of the local state can be written or removed: the disk has become read-only
 * after an error. (A mount that is remounted so refuses while files are open.)
 */
function readOnlyStateLater(): Record<string, string> {
  writeFileSync(
    scratch.file('preload.mjs'),
    `import fs from 'node:fs';
     import { syncBuiltinESMExports } from 'node:module';
     import { isMainThread } from 'node:worker_threads';
     const LOCAL = /\\/(daemon|state|uploads-[^/]*|proof-[^/]*|lease-[^/]*)\\.json[^/]*$/;
     const refuse = (name, isWrite) => {
       const real = fs[name];
       fs[name] = (path, ...more) => {
         if (LOCAL.test(String(path)) && isWrite(...more)) {
           const message = 'EROFS: read-only file system, ' + name + " '" + path + "'";
           throw Object.assign(new Error(message), { code: 'EROFS', errno: -30 });
         }
         return real(path, ...more);
       };
     };
     if (isMainThread) process.on('SIGUSR2', () => {
       for (const name of ['unlinkSync', 'rmSync', 'renameSync']) refuse(name, () => true);
       refuse('openSync', (flags) => flags !== undefined && flags !== 'r' && flags !== fs.constants.O_RDONLY);
       syncBuiltinESMExports();
       console.log('the state is read-only');
     });`,
  );
  return { NODE_OPTIONS: `--import=${pathToFileURL(scratch.file('preload.mjs')).href}` };
}

function replicate(exec?: string, env: Record<string, string> = {}): Started {
  const settings = {
    'shutdown-timeout': '2s',
    ...(exec === undefined ? {} : { exec }),
    dbs: [{ path: scratch.file('app.db'), replicas: [{ path: scratch.file('replica') }] }],
  };
  writeFileSync(scratch.file('rivulet.yml'), JSON.stringify(settings));
  return startRivulet(['replicate', '-no-expand-env', '-config', scratch.file('rivulet.yml')], { env });
}

/** From now on the destination refuses everything. */
function breakDestination(): void {
  renameSync(scratch.file('replica'), scratch.file('away'));
  writeFileSync(scratch.file('replica'), 'not a directory');
}

describe('replicate ends', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`with 0 after ${signal}, when everything is stored`, async () => {
      const running = replicate();
      await running.said('snapshot written');
      writeRows(10);
      running.process.kill(signal);
      assert.equal((await running.ended).code, EXIT_OK);
      assert.equal(await restoredRows(), 11);
    });
  }

  test('with 3 when the last changes could not be stored, and the next start sends them', async () => {
    const running = replicate();
    await running.said('snapshot written');
    breakDestination();
    writeRows(10);
    running.process.kill('SIGTERM');
    const { code, out } = await running.ended;
    assert.equal(code, EXIT_FINAL_SYNC_FAILED);
    assert.match(out, /not everything was stored/);
    renameSync(scratch.file('replica'), scratch.file('no-directory'));
    renameSync(scratch.file('away'), scratch.file('replica'));
    const again = replicate();
    await again.said('continuing where the destination stands');
    again.process.kill('SIGTERM');
    assert.equal((await again.ended).code, EXIT_OK);
    assert.equal(await restoredRows(), 11);
  });
});

describe('replicate ends while its local state is read-only', () => {
  for (const isAway of [false, true]) {
    test(
      isAway ? 'with 3 when the last changes could not be stored' : 'with 0 when everything is stored',
      async () => {
        const running = replicate(undefined, readOnlyStateLater());
        await running.said('snapshot written');
        running.process.kill('SIGUSR2');
        await running.said('the state is read-only');
        if (isAway) breakDestination();
        writeRows(10);
        running.process.kill('SIGTERM');
        const { code, out } = await running.ended;
        assert.equal(code, isAway ? EXIT_FINAL_SYNC_FAILED : EXIT_OK, out);
        assert.match(out, /EROFS/);
        assert.doesNotMatch(out, /fault of Rivulet|UNEXPECTED|could not be closed/);
        if (!isAway) assert.equal(await restoredRows(), 11);
      },
    );
  }
});

describe('replicate -exec ends', () => {
  test("with the application's exit code, after its last changes were stored", async () => {
    const { code, err } = await replicate(application('insert(25); process.exitCode = 7;')).ended;
    assert.equal(code, 7, err);
    assert.equal(await restoredRows(), 26);
  });

  test('with 128 + n when signal n killed the application', async () => {
    const { code } = await replicate(application("insert(5); process.kill(process.pid, 'SIGKILL');")).ended;
    assert.equal(code, exitCodeOfSignal('SIGKILL'));
    assert.equal(await restoredRows(), 6);
  });

  test('when told to: the application gets the signal, and what it writes then is stored', async () => {
    const exec = application(`
      process.on('SIGTERM', () => { insert(3); process.exit(0); });
      setInterval(() => undefined, 1000);
      console.log('application is ready');`);
    const running = replicate(exec);
    await running.said('application is ready');
    running.process.kill('SIGTERM');
    assert.equal((await running.ended).code, EXIT_OK);
    assert.equal(await restoredRows(), 4);
  });

  test('when all that the command started has ended, also behind a wrapper that dies of the signal at once', async () => {
    const exec = application(`
      process.on('SIGTERM', () => setTimeout(() => { insert(3); process.exit(0); }, 500));
      setInterval(() => undefined, 1000);
      console.log('application is ready');`);
    writeFileSync(scratch.file('start.sh'), `${exec}\necho over\n`);
    const running = replicate(`sh ${scratch.file('start.sh')}`);
    await running.said('application is ready');
    running.process.kill('SIGTERM');
    const { code, out } = await running.ended;
    assert.equal(code, exitCodeOfSignal('SIGTERM'), out);
    assert.match(out, /the command of `exec` has ended; waiting for what it started/);
    assert.equal(await restoredRows(), 4);
  });

  test('when the command has ended by itself, with SIGTERM to what it left behind', async () => {
    const exec = application(`
      process.on('SIGTERM', () => { insert(3); process.exit(0); });
      setInterval(() => undefined, 1000);
      writeFileSync(${JSON.stringify(scratch.file('ready'))}, '');`);
    writeFileSync(
      scratch.file('start.sh'),
      `${exec} &\nuntil [ -e '${scratch.file('ready')}' ]; do sleep 0.02; done\nexit 7\n`,
    );
    const { code, out } = await replicate(`sh ${scratch.file('start.sh')}`).ended;
    assert.equal(code, 7, out);
    assert.match(out, /something that it started has not: that gets SIGTERM/);
    assert.equal(await restoredRows(), 4);
  });

  test('with 3 rather than the exit code of the application, because data is at risk', async () => {
    const exec = application(`
      process.on('SIGTERM', () => { insert(3); process.exit(5); });
      setInterval(() => undefined, 1000);
      console.log('application is ready');`);
    const running = replicate(exec);
    await running.said('application is ready');
    await running.said('snapshot written');
    breakDestination();
    running.process.kill('SIGTERM');
    assert.equal((await running.ended).code, EXIT_FINAL_SYNC_FAILED);
  });

  test('at once at a second signal, with the application killed', async () => {
    const pid = scratch.file('pid');
    const exec = application(`
      process.on('SIGTERM', () => console.log('application goes on'));
      writeFileSync(${JSON.stringify(pid)}, String(process.pid));
      setInterval(() => undefined, 1000);
      console.log('application is ready');`);
    const running = replicate(exec);
    await running.said('application is ready');
    running.process.kill('SIGTERM');
    await running.said('application goes on');
    running.process.kill('SIGTERM');
    assert.equal((await running.ended).code, exitCodeOfSignal('SIGTERM'));
    await gone(Number(readFileSync(pid, 'utf8')));
    assert.equal(existsSync(scratch.file('app.db-wal')), true);
  });
});

/** Resolves when there is no such process, as soon as the system has cleaned up after it. */
async function gone(pid: number): Promise<void> {
  await until(`process ${pid} is gone`, () => {
    try {
      process.kill(pid, 0);
      return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return true;
    }
  });
}
