/** Two real `rivulet replicate` with one destination. */
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { EXIT_FAILED, EXIT_FINAL_SYNC_FAILED, EXIT_OK } from '../../src/cli/exit-codes.ts';
import { runRivulet, type Started, startRivulet } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';

const STANDBY = 'another process writes to this replica; waiting as a standby';
const LOST = 'the lease is lost: later changes of this process are not stored at this destination';

let scratch = new Scratch();
beforeEach(() => {
  scratch[Symbol.dispose]();
  scratch = new Scratch();
  for (const name of ['a', 'b']) write(name, name);
});
afterEach(() => scratch[Symbol.dispose]());

function write(name: string, text: string): void {
  const database = new DatabaseSync(scratch.file(`${name}.db`), { timeout: 5_000 });
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (x)');
  database.prepare('INSERT INTO t VALUES (?)').run(text);
  database.close();
}

function settingsOf(name: string, lease: Readonly<Record<string, string>> = {}): string {
  const path = scratch.file(`${name}.yml`);
  const replica = {
    path: scratch.file('replica'),
    'sync-interval': '10ms',
    lease: { duration: '3s', ...lease },
  };
  writeFileSync(path, JSON.stringify({ dbs: [{ path: scratch.file(`${name}.db`), replicas: [replica] }] }));
  return path;
}

function replicate(name: string, lease: Readonly<Record<string, string>> = {}): Started {
  return startRivulet(['replicate', '-no-expand-env', '-config', settingsOf(name, lease)]);
}

async function restored(): Promise<string[]> {
  const output = scratch.file(`out-${scratch.names().length}.db`);
  const { code, err } = await runRivulet(['restore', '-o', output, `file://${scratch.file('replica')}`]);
  assert.equal(code, EXIT_OK, err);
  const database = new DatabaseSync(output, { readOnly: true });
  const rows = database.prepare('SELECT x FROM t').all();
  database.close();
  return rows.map((row) => String(row['x']));
}

/** Restores until `text` is what comes last. */
async function untilRestored(text: string): Promise<void> {
  await until(`${text} is stored`, async () => (await restored()).at(-1) === text);
}

describe('one writer at a time', () => {
  test('the new instance waits, says for whom, and takes over when the old one ends', async () => {
    const a = replicate('a', { renew: 'always' });
    await a.said('snapshot written');
    const b = replicate('b');
    await b.said(STANDBY);
    assert.match(b.text(), new RegExp(`pid=${a.process.pid}`));
    const once = await runRivulet(['replicate', '-once', '-no-expand-env', '-config', settingsOf('b2')]);
    assert.notEqual(once.code, EXIT_OK, 'there is no such database');
    write('a', 'last of a');
    a.process.kill('SIGTERM');
    assert.equal((await a.ended).code, EXIT_OK);
    await b.said('snapshot written');
    await untilRestored('b');
    b.process.kill('SIGTERM');
    assert.equal((await b.ended).code, EXIT_OK);
    assert.equal(readdirSync(scratch.file('replica/generations')).length, 2);
  });

  test('what is committed beside a standby: a warning, a lag, and status 3 unless it takes over', async () => {
    const a = replicate('a', { renew: 'always' });
    await a.said('snapshot written');
    const b = replicate('b');
    await b.said(STANDBY);
    write('b', 'beside');
    await b.said('the application commits while another process holds the lease');
    const { out } = await runRivulet(['status', scratch.file('b.db')]);
    assert.match(out, /standby/);
    assert.match(out, /lag +1 commit/);
    b.process.kill('SIGTERM');
    assert.equal((await b.ended).code, EXIT_FINAL_SYNC_FAILED);
    a.process.kill('SIGTERM');
    assert.equal((await a.ended).code, EXIT_OK);
  });

  test('-once and `when-held: exit` end with LEASE_HELD while another one writes', async () => {
    const a = replicate('a', { renew: 'always' });
    await a.said('snapshot written');
    const once = await runRivulet(['replicate', '-once', '-no-expand-env', '-config', settingsOf('b')]);
    assert.equal(once.code, EXIT_FAILED, once.out + once.err);
    assert.match(once.err + once.out, /is written to by process \d+ on .* until /);
    const b = await replicate('b', { 'when-held': 'exit' }).ended;
    assert.equal(b.code, EXIT_FAILED, b.out + b.err);
    assert.match(b.out + b.err, /ending, as `when-held` says/);
    a.process.kill('SIGTERM');
    await a.ended;
    const free = await runRivulet(['replicate', '-once', '-no-expand-env', '-config', settingsOf('b')]);
    assert.equal(free.code, EXIT_OK, free.out + free.err);
    assert.deepEqual(await restored(), ['b']);
  });

  test('one that was frozen past its lease is told so, and its last change is not what restore gives', async () => {
    const a = replicate('a');
    await a.said('snapshot written');
    await untilRestored('a');
    a.process.kill('SIGSTOP');
    write('a', 'while frozen');
    const b = replicate('b');
    await b.said('taking over');
    await untilRestored('b');
    a.process.kill('SIGCONT');
    await a.said(LOST);
    write('b', 'goes on');
    await untilRestored('goes on');
    assert.deepEqual(await restored(), ['b', 'goes on']);
    b.process.kill('SIGTERM');
    await b.ended;
    await a.said('snapshot written');
    await untilRestored('while frozen');
    a.process.kill('SIGTERM');
    assert.equal((await a.ended).code, EXIT_OK);
  });
});
