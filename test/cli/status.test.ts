/** `rivulet status` against real processes. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'node:test';

import { freePort } from '../support/free-port.ts';
import { EXECUTABLE, type Ended, runRivulet, type Started, startRivulet } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';

let scratch = new Scratch();
let running: Started[] = [];
beforeEach(() => {
  scratch = new Scratch();
  running = [];
});
afterEach(async () => {
  for (const one of running) {
    one.process.kill('SIGCONT');
    one.process.kill('SIGKILL');
    await one.ended;
  }
  scratch[Symbol.dispose]();
});

function makeDatabase(path: string): string {
  mkdirSync(dirname(path), { recursive: true });
  const database = new DatabaseSync(path, { timeout: 10_000 });
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (1)');
  database.close();
  return path;
}

interface Settings {
  readonly replica?: object;
  readonly socket?: object;
}

/** Writes a configuration with these databases. Answers the flags that name it. */
function configure(paths: readonly string[], { replica = {}, socket = {} }: Settings = {}): string[] {
  const dbs = paths.map((path, n) => ({
    path,
    replicas: [{ path: scratch.file(`replica${n}`), ...replica }],
  }));
  const file = scratch.file(`rivulet${running.length}.yml`);
  writeFileSync(file, JSON.stringify({ 'shutdown-timeout': '500ms', socket, dbs }));
  return ['-no-expand-env', '-config', file];
}

async function replicate(flags: readonly string[], text: string = 'snapshot written'): Promise<Started> {
  const started = startRivulet(['replicate', ...flags]);
  running.push(started);
  await started.said(text);
  return started;
}

/** Asks until the answer has this exit status. */
async function statusWith(code: number, words: readonly string[]): Promise<Ended> {
  let ended = await runRivulet(['status', ...words]);
  const isSo = async (): Promise<boolean> => {
    if (ended.code !== code) ended = await runRivulet(['status', ...words]);
    return ended.code === code;
  };
  await until(`status ${code}`, isSo, () => `${ended.code}: ${ended.out}${ended.err}`);
  return ended;
}

test('a process that could not open the database since its start is found, and its end is no success', async () => {
  const path = scratch.file('app.db');
  using app = new DatabaseSync(path);
  app.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; CREATE TABLE t (x)');
  const flags = configure([path]);
  const daemon = await replicate(flags, 'the database is busy');
  const { out } = await statusWith(5, flags);
  assert.match(out, /app\.db: failing \(process \d+/);
  assert.match(out, /is locked by another process/);
  assert.doesNotMatch(out, /lag +none/);
  daemon.process.kill('SIGTERM');
  assert.equal((await daemon.ended).code, 3);
});

test('a healthy process: status 0 and every fact; after its end: status 1 and what was known last', async () => {
  const flags = configure([makeDatabase(scratch.file('app.db'))]);
  assert.equal((await runRivulet(['status', ...flags])).code, 1);
  const daemon = await replicate(flags);
  const { out } = await statusWith(0, flags);
  assert.match(out, /app\.db: following \(process \d+, up \d+s\)/);
  assert.match(out, /file: streaming, /);
  for (const label of ['position', 'log', 'stored', 'lag', 'last sync', 'next snapshot', 'lease', 'proven'])
    assert.match(out, new RegExp(`^ +${label} +\\S`, 'm'));
  const named = await runRivulet(['status', scratch.file('app.db')]);
  assert.equal(named.code, 0, 'it is found without a configuration');
  const other = await runRivulet(['status', scratch.file('other.db'), ...flags]);
  assert.equal(other.code, 1);
  daemon.process.kill('SIGTERM');
  await daemon.ended;
  const after = await runRivulet(['status', ...flags]);
  assert.equal(after.code, 1);
  assert.match(after.out, /not running/);
  assert.match(after.out, /last known +[0-9a-f]{16} [0-9a-f]{8}:[0-9a-f]{8}/);
  assert.match(after.out, /at file +[0-9a-f]{8}:[0-9a-f]{8}/);
});

test('the JSON has a shape that scripts can rely on', async () => {
  const path = makeDatabase(scratch.file('app.db'));
  const flags = configure([path]);
  await replicate(flags);
  const { out } = await statusWith(0, [...flags, '-json']);
  const answer = JSON.parse(out) as { ok: boolean; databases: Record<string, unknown>[] };
  assert.deepEqual(Object.keys(answer), ['ok', 'databases']);
  const [database = {}] = answer.databases;
  assert.deepEqual(Object.keys(database), ['path', 'running', 'daemon', 'reasons', 'status']);
  assert.deepEqual(Object.keys(database['daemon'] as object), ['version', 'pid', 'startedAtMs', 'nowMs']);
  const status = database['status'] as Record<string, unknown> & { replicas: Record<string, unknown>[] };
  assert.deepEqual(
    Object.entries(status).map(([key, value]) => [key, typeof value]),
    [
      ['path', 'string'],
      ['state', 'string'],
      ['generation', 'string'],
      ['committed', 'object'],
      ['lookedAtMs', 'number'],
      ['databaseBytes', 'number'],
      ['walBytes', 'number'],
      ['spoolBytes', 'number'],
      ['readLock', 'object'],
      ['replicas', 'object'],
    ],
  );
  const [replica = {}] = status.replicas;
  const sure = ['name', 'state', 'generation', 'confirmed', 'syncedAtMs', 'caughtUpAtMs', 'snapshotDueAtMs'];
  const more = ['lease', 'destination', 'lagBytes', 'lagCommits', 'lagMs', 'stillMs', 'retentionOverdueMs'];
  for (const key of [...sure, ...more]) assert.ok(key in replica, key);
  const rare = ['lastError', 'proof', 'stalledSinceMs', 'credentials'];
  for (const key of Object.keys(replica)) assert.ok([...sure, ...more, ...rare].includes(key), key);
  assert.deepEqual(replica['confirmed'], status['committed']);
});

test('a process that was killed is not taken for a running one', async () => {
  const flags = configure([makeDatabase(scratch.file('app.db'))]);
  const daemon = await replicate(flags);
  daemon.process.kill('SIGKILL');
  await daemon.ended;
  const { code, out } = await runRivulet(['status', ...flags]);
  assert.equal(code, 1);
  assert.match(out, /not running.*ended without a word/);
  await replicate(flags, 'continuing');
  await statusWith(0, flags);
});

test('a process that stands still as a whole does not answer: status 5', async () => {
  const flags = configure([makeDatabase(scratch.file('app.db'))]);
  const daemon = await replicate(flags);
  await statusWith(0, flags);
  daemon.process.kill('SIGSTOP');
  const { code, out } = await runRivulet(['status', ...flags]);
  assert.equal(code, 5, out);
  assert.match(out, /: state unknown: .*does not answer/);
  assert.doesNotMatch(out, /not running/);
});

test('a destination that is away: status 5 with the reason; with `on-stall: exit` the process ends with 5', async () => {
  const path = makeDatabase(scratch.file('app.db'));
  writeFileSync(scratch.file('replica0'), 'a file');
  const flags = configure([path], { replica: { 'stall-after': '500ms', 'sync-interval': '10ms' } });
  const daemon = await replicate(flags, 'stands still');
  const { out } = await statusWith(5, flags);
  assert.match(out, /file: stalled/);
  assert.match(out, /STALLED +nothing was stored since/);
  assert.match(out, /last error +.*\[STORAGE_FAILED\]/);
  rmSync(scratch.file('replica0'));
  await daemon.said('stores changes again');
  await statusWith(0, flags);
  daemon.process.kill('SIGTERM');
  await daemon.ended;
  rmSync(scratch.file('replica0'), { recursive: true });
  writeFileSync(scratch.file('replica0'), 'a file');
  const strict = configure([path], { replica: { 'stall-after': '500ms', 'on-stall': 'exit' } });
  const ended = await runRivulet(['replicate', ...strict]);
  assert.equal(ended.code, 5, ended.out);
});

test('several processes, and databases of one process, are told apart', async () => {
  const [a, b, c] = ['a.db', 'b.db', 'c.db'].map((name) => makeDatabase(scratch.file(name)));
  const first = configure([a ?? '', b ?? '']);
  const one = await replicate(first);
  const two = startRivulet(['replicate', c ?? '', `file://${scratch.file('replica-c')}`]);
  running.push(two);
  await two.said('snapshot written');
  assert.match(
    (await statusWith(0, [b ?? ''])).out,
    new RegExp(`b\\.db: following \\(process ${one.process.pid},`),
  );
  assert.match(
    (await statusWith(0, [c ?? ''])).out,
    new RegExp(`c\\.db: following \\(process ${two.process.pid},`),
  );
  const all = await statusWith(0, first);
  assert.equal(all.out.match(/: following/g)?.length, 2);
});

test('a state directory with a long path, a socket of one’s own, and none', async () => {
  const long = makeDatabase(scratch.file(`${'deep/'.repeat(20)}app.db`));
  const flags = configure([long]);
  await replicate(flags);
  await statusWith(0, flags);
  const path = makeDatabase(scratch.file('own.db'));
  const socket = { path: scratch.file('own.sock'), permissions: '0660' };
  const own = await replicate(configure([path], { socket, replica: { path: scratch.file('own') } }));
  assert.match((await statusWith(0, ['-socket', socket.path])).out, /own\.db: following/);
  assert.equal((await runRivulet(['status', '-socket', socket.path, scratch.file('x.db')])).code, 1);
  own.process.kill('SIGTERM');
  await own.ended;
  const off = configure([path], { socket: { enabled: false }, replica: { path: scratch.file('own') } });
  await replicate(off, 'continuing');
  assert.equal((await runRivulet(['status', ...off])).code, 1);
});

test('an application can archive its directory, also after an earlier version was killed there', async () => {
  const path = makeDatabase(scratch.file('data/app.db'));
  const metaPath = scratch.file('data/.app.db-rivulet');
  mkdirSync(metaPath, { mode: 0o700 });
  const former = createServer().listen(scratch.file('former.sock'));
  await once(former, 'listening');
  renameSync(scratch.file('former.sock'), join(metaPath, 'control.sock'));
  former.close();
  const flags = configure([path]);
  await replicate(flags);
  await statusWith(0, flags);
  const files = readdirSync(scratch.file('data'), { recursive: true, withFileTypes: true });
  for (const one of files) assert.ok(one.isFile() || one.isDirectory(), one.name);
  assert.ok(files.some(({ name }) => name === 'daemon.json'));
});

test('a process is found under another name of its database, and while the directory of that does not exist', async () => {
  const path = scratch.file('data/app.db');
  const daemon = await replicate(configure([path]), 'waiting for it');
  assert.match((await runRivulet(['status', path])).out, /app\.db: waiting \(process \d+/);
  makeDatabase(path);
  await daemon.said('snapshot written');
  symlinkSync('data', scratch.file('link'));
  symlinkSync('data/app.db', scratch.file('other.db'));
  for (const name of ['link/app.db', 'other.db'])
    assert.match((await statusWith(0, [scratch.file(name)])).out, /data\/app\.db: following/);
  // Another state directory in its place, with the note of a process that is gone.
  writeFileSync(
    scratch.file('data/.app.db-rivulet/daemon.json'),
    '{"version":1,"pid":1,"socket":"/nowhere"}',
  );
  await statusWith(0, [path]);
});

test('a process that has directories of its own is asked all the same, or named', async (t) => {
  if (spawnSync('unshare', ['-m', 'true']).status !== 0) {
    t.skip('needs the right to a mount namespace');
    return;
  }
  const path = makeDatabase(scratch.file('app.db'));
  const flags = configure([path]);
  const run = scratch.file('run');
  mkdirSync(run);
  const inside = 'mount -t tmpfs none "$0" && exec "$@"';
  const child = spawn('unshare', ['-m', 'sh', '-c', inside, run, EXECUTABLE, 'replicate', ...flags], {
    env: { ...process.env, XDG_RUNTIME_DIR: run },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    await until('the process to be found', async () => {
      const { out } = await runRivulet(['status', path]);
      return out.includes(`app.db: following (process ${child.pid},`);
    });
    const note = scratch.file('.app.db-rivulet/daemon.json');
    writeFileSync(note, JSON.stringify({ version: 1, pid: child.pid, socket: '/nowhere.sock' }));
    const { code, out } = await runRivulet(['status', path]);
    assert.equal(code, 1);
    assert.match(out, new RegExp(`process ${child.pid} may replicate it, but nobody listens on its socket`));
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

test('a socket that cannot be had is a warning, no more', async () => {
  writeFileSync(scratch.file('taken'), 'mine');
  const flags = configure([makeDatabase(scratch.file('app.db'))], {
    socket: { path: scratch.file('taken') },
  });
  const daemon = await replicate(flags);
  await daemon.said('there is no control socket');
  daemon.process.kill('SIGTERM');
  assert.equal((await daemon.ended).code, 0);
});

test('-watch shows it again until it is stopped', async () => {
  const flags = configure([makeDatabase(scratch.file('app.db'))]);
  await replicate(flags);
  await statusWith(0, flags);
  const watching = startRivulet(['status', '-watch', ...flags]);
  running.push(watching);
  await watching.said('following');
  await once(watching.process.stdout ?? watching.process, 'data');
  watching.process.kill('SIGINT');
  const { code, out } = await watching.ended;
  assert.equal(code, 0);
  assert.ok((out.match(/: following/g)?.length ?? 0) >= 2);
});

for (const [what, addr] of [
  ['without an address', undefined],
  ['with one', '127.0.0.1:'],
] as const)
  test(`a second process names the first one and this command: ${what}`, async () => {
    const path = makeDatabase(scratch.file('app.db'));
    const port = await freePort();
    const dbs = [{ path, replicas: [{ path: scratch.file('replica') }] }];
    const file = scratch.file('rivulet.yml');
    writeFileSync(file, JSON.stringify({ ...(addr === undefined ? {} : { addr: `${addr}${port}` }), dbs }));
    const flags = ['-config', file];
    const first = await replicate(flags);
    await until('it answers', async () => (await runRivulet(['status', ...flags])).code === 0);
    const { code, err } = await runRivulet(['replicate', ...flags]);
    assert.equal(code, 1, err);
    assert.ok(err.includes(`process ${first.process.pid}`), err);
    assert.match(err, /\[DB_IN_USE\]\n +hint: `rivulet status` shows how it is/);
    const once = await runRivulet(['replicate', '-once', ...flags]);
    assert.ok(`${once.err}${once.out}`.includes(`process ${first.process.pid}`), once.err);
  });

test('an address that another program has is told as that', async () => {
  await using other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const path = makeDatabase(scratch.file('app.db'));
  const dbs = [{ path, replicas: [{ path: scratch.file('replica') }] }];
  const file = scratch.file('rivulet.yml');
  writeFileSync(file, JSON.stringify({ addr: `127.0.0.1:${port}`, dbs }));
  const { code, err } = await runRivulet(['replicate', '-config', file]);
  assert.equal(code, 1);
  assert.match(err, /cannot listen on addr .*another process listens there already \[CONFIG_INVALID\]/);
});
