/** What a daemon says about changes that it could not read or not store: lag, health, and how many destinations lack something at the end. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemFiles } from '../../src/base/files.ts';
import { BehindMemory } from '../../src/replica/behind-memory.ts';
import { systemClock } from '../../src/base/clock.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import type { ReplicaReport } from '../../src/daemon/database-status.ts';
import { restore } from '../../src/restore/restore.ts';
import { FileObjectStore } from '../../src/storage/file/file-object-store.ts';
import { LiveDatabase } from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { until } from '../support/until.ts';

/** Long before `shutdown-timeout` is over. */
const SOON_MS = 10_000;

let daemons: Daemon[] = [];

afterEach(async () => {
  for (const daemon of daemons) await daemon.stop();
  daemons = [];
});

interface Scene {
  readonly daemon: Daemon;
  readonly logger: RecordingLogger;
}

interface Options {
  /** Databases beside the live one. */
  readonly others?: readonly object[];
  readonly shutdownTimeout?: string;
}

async function started(
  live: LiveDatabase,
  { others = [], shutdownTimeout = '30s' }: Options = {},
): Promise<Scene> {
  const replica = { path: live.scratch.file('replica'), 'sync-interval': '5ms', 'stall-after': '400ms' };
  const common = { 'monitor-interval': '20ms', 'busy-timeout': '20ms' };
  // Beside the database's own folder: that can be moved away.
  const own = { ...common, path: live.path, 'meta-path': live.scratch.file('state'), replicas: [replica] };
  const config = {
    'shutdown-timeout': shutdownTimeout,
    socket: { enabled: false },
    dbs: [own, ...others.map((one) => ({ ...common, ...one }))],
  };
  const logger = new RecordingLogger();
  const settings = parseConfig(JSON.stringify(config), { file: 'f', environment: {} }).config;
  const daemon = new Daemon(settings, { clock: systemClock, logger });
  daemons.push(daemon);
  await daemon.start();
  return { daemon, logger };
}

function replicaOf(daemon: Daemon, database: number = 0): ReplicaReport {
  return daemon.status()[database]?.replicas[0] ?? assert.fail('it is not told of');
}

function isLevel(daemon: Daemon): boolean {
  const { lagMs, confirmed } = replicaOf(daemon);
  return lagMs === 0 && confirmed !== undefined;
}

async function grows(lagMs: () => number): Promise<void> {
  await until('it lags', () => lagMs() > 0);
  const before = lagMs();
  await until('the lag grows', () => lagMs() > before + 100);
}

async function untilBad(daemon: Daemon): Promise<void> {
  await until('bad health', () => !daemon.health().ok);
}

async function restoredRows(live: LiveDatabase): Promise<number> {
  const outputPath = live.scratch.file(`restored-${live.scratch.names().length}`);
  const store = new FileObjectStore(live.scratch.file('replica'));
  await restore({ store, target: {}, outputPath, integrityCheck: 'full' });
  using database = new DatabaseSync(outputPath, { readOnly: true });
  return Number(database.prepare('SELECT count(*) AS n FROM t').get()?.['n']);
}

/** Takes the files of the database away, as a moved folder or an unmounted volume does. */
function moveAway(live: LiveDatabase): void {
  for (const ending of ['', '-wal', '-shm']) renameSync(live.path + ending, `${live.path}.moved${ending}`);
}

/** @returns how many destinations lack something */
async function stoppedSoon(daemon: Daemon): Promise<number> {
  const startedMs = performance.now();
  const unfinished = await daemon.stop();
  assert.ok(performance.now() - startedMs < SOON_MS, 'what cannot be read is not waited for');
  return unfinished;
}

describe('a database that cannot be opened since the start', () => {
  it('damaged, beside a healthy one: a lag that grows, bad health, and it counts at the end', async () => {
    using live = new LiveDatabase();
    using other = new LiveDatabase();
    live.insert(1);
    other.close();
    writeFileSync(other.path, Buffer.alloc(8192, 7));
    const replicas = [{ path: other.scratch.file('replica') }];
    const { daemon, logger } = await started(live, { others: [{ path: other.path, replicas }] });
    await grows(() => replicaOf(daemon, 1).lagMs);
    assert.equal(daemon.status()[1]?.state, 'failing');
    assert.equal(daemon.health().ok, false);
    await until('the other one is level', () => isLevel(daemon));
    assert.equal(await stoppedSoon(daemon), 1);
    assert.deepEqual(logger.matching('the destination'), []);
  });

  it('for want of a state directory, beside a healthy one: the same, with a reason', async () => {
    using live = new LiveDatabase();
    using other = new LiveDatabase();
    live.insert(1);
    writeFileSync(other.scratch.file('state'), 'a file');
    const replicas = [{ path: other.scratch.file('replica') }];
    const others = [{ path: other.path, 'meta-path': other.scratch.file('state'), replicas }];
    const { daemon, logger } = await started(live, { others });
    await grows(() => replicaOf(daemon, 1).lagMs);
    await untilBad(daemon);
    await until('the other one is level', () => isLevel(daemon));
    assert.equal(await stoppedSoon(daemon), 1);
    assert.match(logger.matching('nothing of the database was stored')[0]?.message ?? '', /state/);
  });

  it('that is not there at all lacks nothing', async () => {
    using live = new LiveDatabase();
    live.close();
    for (const ending of ['', '-wal', '-shm']) rmSync(live.path + ending, { force: true });
    const { daemon } = await started(live);
    await delay(100);
    assert.equal(replicaOf(daemon).lagMs, 0);
    assert.equal(await stoppedSoon(daemon), 0);
  });
});

describe('a database that vanishes', () => {
  it('with changes that are not stored: a lag that grows, bad health, and it counts at the end', async () => {
    using live = new LiveDatabase();
    live.insert(3);
    const { daemon } = await started(live, { shutdownTimeout: '300ms' });
    await until('it is level', () => isLevel(daemon));
    rmSync(live.scratch.file('replica'), { recursive: true });
    writeFileSync(live.scratch.file('replica'), 'a file');
    live.insert(2);
    await until('it is seen', () => replicaOf(daemon).lagBytes > 0);
    moveAway(live);
    await grows(() => replicaOf(daemon).lagMs);
    await untilBad(daemon);
    assert.equal(await stoppedSoon(daemon), 1);
  });

  it('and whose destination comes back: everything is sent from the files that are open', async () => {
    using live = new LiveDatabase();
    live.insert(3);
    const { daemon } = await started(live);
    await until('it is level', () => isLevel(daemon));
    const away = `${live.scratch.file('replica')}.away`;
    renameSync(live.scratch.file('replica'), away);
    writeFileSync(live.scratch.file('replica'), 'a file');
    live.insert(2);
    await until('it is seen', () => replicaOf(daemon).lagBytes > 0);
    moveAway(live);
    live.insert(2);
    await delay(100);
    rmSync(live.scratch.file('replica'));
    renameSync(away, live.scratch.file('replica'));
    await until('all of it is sent', () => daemon.status()[0]?.state === 'waiting');
    assert.equal(replicaOf(daemon).lagMs, 0);
    assert.equal(await stoppedSoon(daemon), 0);
    assert.equal(await restoredRows(live), 7);
  });

  it('because it was emptied in place: what was not stored is not put together from its WAL alone', async () => {
    using live = new LiveDatabase();
    live.insert(3);
    const { daemon } = await started(live, { shutdownTimeout: '300ms' });
    await until('it is level', () => isLevel(daemon));
    const away = `${live.scratch.file('replica')}.away`;
    renameSync(live.scratch.file('replica'), away);
    writeFileSync(live.scratch.file('replica'), 'a file');
    live.insert(2);
    await until('it is seen', () => replicaOf(daemon).lagBytes > 0);
    live.close();
    truncateSync(live.path, 0);
    await until('it is left', () => daemon.status()[0]?.generation === undefined);
    rmSync(live.scratch.file('replica'));
    renameSync(away, live.scratch.file('replica'));
    await grows(() => replicaOf(daemon).lagMs);
    await untilBad(daemon);
    assert.equal(await stoppedSoon(daemon), 1);
    assert.equal(await restoredRows(live), 3);
  });

  it('with everything stored lacks nothing', async () => {
    using live = new LiveDatabase();
    live.insert(3);
    const { daemon, logger } = await started(live);
    await until('it is level', () => isLevel(daemon));
    moveAway(live);
    await until('it is waited for', () => daemon.status()[0]?.state === 'waiting');
    assert.equal(replicaOf(daemon).lagMs, 0);
    assert.equal(await stoppedSoon(daemon), 0);
    assert.deepEqual(logger.messages('error'), []);
    assert.equal(await restoredRows(live), 3);
  });
});

describe('a database that cannot be read any more', () => {
  it('because it has become none: the end comes soon, and says why', async () => {
    using live = new LiveDatabase();
    live.insert(3);
    const { daemon, logger } = await started(live);
    await until('it is level', () => isLevel(daemon));
    live.close();
    for (const ending of ['', '-wal', '-shm']) rmSync(live.path + ending, { force: true });
    writeFileSync(live.path, Buffer.alloc(8192, 'no database'));
    await until('it is told', () => logger.messages('error').length > 0);
    await grows(() => replicaOf(daemon).lagMs);
    assert.equal(await stoppedSoon(daemon), 1);
    assert.deepEqual(logger.matching('the destination'), []);
    assert.match(logger.messages('error').at(-1) ?? '', /is not a SQLite database/);
    assert.doesNotMatch(String(logger.matching('not everything')[0]?.fields['error']), /was kept/);
  });

  it('because its WAL was cut: a lag that grows although everything that was read is stored', async () => {
    using live = new LiveDatabase();
    live.insert(3);
    const { daemon } = await started(live);
    await until('it is level', () => isLevel(daemon));
    truncateSync(`${live.path}-wal`, 0);
    await grows(() => replicaOf(daemon).lagMs);
    assert.equal(daemon.health().ok, false);
    assert.equal(await stoppedSoon(daemon), 1);
  });
});

describe('a database that is gone at the start', () => {
  it('lacks what a destination was known to lack before', async () => {
    using live = new LiveDatabase();
    live.insert(1);
    mkdirSync(live.scratch.file('state'), { mode: 0o700 });
    const { daemon } = await started(live);
    await until('it is level', () => isLevel(daemon));
    await daemon.stop();
    const parts = { metaPath: live.scratch.file('state'), name: 'file', files: systemFiles };
    new BehindMemory(parts, live.scratch.file('replica')).update(60_000, undefined, Date.now());
    moveAway(live);
    const { daemon: next } = await started(live);
    await grows(() => replicaOf(next).lagMs - 60_000);
    assert.equal(await stoppedSoon(next), 1);
  });
});
