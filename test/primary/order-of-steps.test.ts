/**
 * Steps whose order matters only at one moment: a writer commits, a log is replaced, or the power goes exactly there. The
 * moment is made here by what lies between the engine and SQLite or the files.
 */
import assert from 'node:assert/strict';
import { copyFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { type Files, nameOfTemporary, replaceFile, systemFiles } from '../../src/base/files.ts';
import { silentLogger } from '../../src/base/log.ts';
import { type Connections, SqliteConnections } from '../../src/primary/connections.ts';
import { LocalTrouble } from '../../src/primary/local-trouble.ts';
import { LogKeeper } from '../../src/primary/log-keeper.ts';
import { type Machine, systemMachine } from '../../src/primary/machine.ts';
import { openDatabase, readLog } from '../../src/primary/open-database.ts';
import { pinSnapshot } from '../../src/primary/pin-snapshot.ts';
import { noObserver } from '../../src/primary/primary-observer.ts';
import { Primary } from '../../src/primary/primary.ts';
import { Spool } from '../../src/primary/spool.ts';
import { encodeWalHeader } from '../../src/wal/wal-header.ts';
import { LiveDatabase, NO_CHECKPOINTS, openPrimary } from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Scratch } from '../support/scratch.ts';

/** `inner`, some of whose members are others. */
function instead(inner: Connections, others: (inner: Connections) => Partial<Connections>): Connections {
  const changed = others(inner);
  return new Proxy(inner, {
    get(target, name) {
      if (name in changed) return Reflect.get(changed, name) as unknown;
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

function machineWith(
  others: (inner: Connections) => Partial<Connections>,
  over: (files: Files) => Files = (files) => files,
): Machine {
  return {
    ...systemMachine,
    openStateDirectory: (path, databasePath) => {
      const directory = systemMachine.openStateDirectory(path, databasePath);
      return { ...directory, files: over(directory.files) };
    },
    openConnections: (path, busyTimeoutMs) => instead(new SqliteConnections(path, busyTimeoutMs), others),
  };
}

/** Notes the steps that decide what is left after a power cut. */
function recording(steps: string[], files: Files = systemFiles): Files {
  const names = new Map<number, string>();
  return {
    ...files,
    createNew: (path, mode) => {
      const descriptor = files.createNew(path, mode);
      names.set(descriptor, nameOfTemporary(basename(path)) ?? '');
      return descriptor;
    },
    sync: (descriptor) => {
      steps.push(`sync ${names.get(descriptor)}`);
      files.sync(descriptor);
    },
    rename: (from, to) => {
      steps.push(`rename ${basename(to)}`);
      files.rename(from, to);
    },
    syncDirectory: (path) => {
      steps.push(`sync directory`);
      files.syncDirectory(path);
    },
  };
}

function primaryWith(path: string, machine: Machine, minPages: number, generations: string[] = []): Primary {
  const settings = {
    path,
    metaPath: `${path}-meta`,
    checkpoint: { ...NO_CHECKPOINTS, minPages },
    spoolLimitBytes: 2 ** 30,
    busyTimeoutMs: 200,
    destinations: new Set(['slow']),
  };
  const onGeneration = (_: string, reason: string): void => void generations.push(reason);
  return new Primary(settings, {
    clock: systemClock,
    logger: silentLogger,
    observer: { ...noObserver, onGeneration },
    machine,
  });
}

describe('the order of steps', () => {
  it('a note that must survive a power cut is synced before it has its name, and its name after', () => {
    using scratch = new Scratch();
    const steps: string[] = [];
    replaceFile(recording(steps), scratch.file('note'), Buffer.from('x'), { durable: true });
    assert.deepEqual(steps, ['sync note', 'rename note', 'sync directory']);
    steps.length = 0;
    replaceFile(recording(steps), scratch.file('note'), Buffer.from('y'), { durable: false });
    assert.deepEqual(steps, ['rename note']);
  });

  it('what is committed in the last moment before a checkpoint is put aside before the state names its end', async () => {
    using live = new LiveDatabase();
    const steps: string[] = [];
    let isArmed = false;
    const machine = machineWith(
      (inner) => ({
        moveHold: (whileBothHold: () => boolean): boolean => {
          if (isArmed) live.insert(1, 500);
          if (isArmed) steps.length = 0;
          isArmed = false;
          return inner.moveHold(whileBothHold);
        },
      }),
      (files) => recording(steps, files),
    );
    const primary = primaryWith(live.path, machine, 1);
    try {
      await primary.refresh();
      await primary.attach('slow');
      live.insert(3, 500);
      isArmed = true;
      await primary.refresh();
      assert.ok(!isArmed, 'there was no checkpoint');
      assert.deepEqual(steps.map((step) => step.replace(/[0-9a-f_]+\.wal/, 'SPOOL')).slice(0, 2), [
        'rename SPOOL',
        'rename state.json',
      ]);
    } finally {
      await primary.close();
    }
  });

  it('a log that was begun anew while nothing pinned it is not the next one', async () => {
    using live = new LiveDatabase();
    const generations: string[] = [];
    let release = (): void => assert.fail();
    const machine = machineWith((inner) => {
      release = () => inner.release();
      return {};
    });
    const primary = primaryWith(live.path, machine, 1, generations);
    try {
      await primary.refresh();
      live.insert(3, 500);
      await primary.refresh();
      live.insert(1);
      await primary.refresh();
      release();
      live.insert(1);
      live.checkpoint('RESTART');
      live.insert(1);
      await primary.refresh();
      assert.match(generations.at(-1) ?? '', /not pinned/);
    } finally {
      await primary.close();
    }
  });

  it('a WAL that could not be pinned is pinned at the next look', async () => {
    using live = new LiveDatabase();
    const generations: string[] = [];
    let isFailing = false;
    class FailingHold extends SqliteConnections {
      override hold(): void {
        if (isFailing) throw new Error('disk I/O error');
        super.hold();
      }
    }
    let release = (): void => assert.fail();
    const openConnections = (path: string, ms: number): Connections => {
      const connections = new FailingHold(path, ms);
      release = () => connections.release();
      return connections;
    };
    const primary = primaryWith(live.path, { ...systemMachine, openConnections }, 1_000_000, generations);
    try {
      await primary.refresh();
      live.insert(1);
      await primary.refresh();
      release();
      live.insert(3, 500);
      isFailing = true;
      await assert.rejects(primary.refresh(), /disk I\/O error/);
      await assert.rejects(primary.refresh(), /disk I\/O error/);
      isFailing = false;
      await primary.refresh();
      assert.deepEqual(generations, ['no local state']);
      // It is pinned: nobody can restart it.
      live.exec('PRAGMA busy_timeout=0');
      assert.equal(live.checkpoint('RESTART').busy, 1);
    } finally {
      await primary.close();
    }
  });

  it('a log in another file is not the next one', async () => {
    using live = new LiveDatabase();
    const generations: string[] = [];
    const primary = primaryWith(live.path, systemMachine, 1_000_000, generations);
    try {
      await primary.refresh();
      live.insert(3, 500);
      await primary.refresh();
      const other = live.scratch.file('other-wal');
      writeFileSync(
        other,
        encodeWalHeader({
          bigEndianChecksum: false,
          pageSizeBytes: 4096,
          checkpointSequence: 9,
          salt1: 1,
          salt2: 2,
        }),
      );
      copyFileSync(`${live.path}-wal`, live.scratch.file('kept'));
      renameSync(other, `${live.path}-wal`);
      // It is opened anew, and SQLite finds that this log does not belong to the index of the application.
      await assert.rejects(primary.refresh(), { code: 'DB_UNREADABLE' });
      assert.deepEqual(generations, ['no local state']);
      live.close();
      renameSync(live.scratch.file('kept'), `${live.path}-wal`);
      rmSync(`${live.path}-shm`, { force: true });
      live.insert(1);
      await primary.refresh();
      assert.equal(primary.status, 'following');
    } finally {
      await primary.close();
    }
  });

  it('a WAL in another file is opened again, also where that holds the same', async () => {
    using live = new LiveDatabase();
    const logger = new RecordingLogger();
    const primary = openPrimary(live.path, { logger });
    try {
      live.insert(3, 500);
      await primary.refresh();
      const other = live.scratch.file('other-wal');
      copyFileSync(`${live.path}-wal`, other);
      renameSync(other, `${live.path}-wal`);
      await primary.refresh();
      assert.equal(logger.matching('the file of the WAL was replaced').length, 1);
      assert.equal(primary.status, 'following');
    } finally {
      await primary.close();
    }
  });

  it('a log that never had a commit takes no index', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path, { checkpoint: { minPages: 1 } });
    using other = new DatabaseSync(live.path, { timeout: 2000 });
    other.exec('PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=4; PRAGMA cache_spill=2');
    try {
      await primary.refresh();
      live.insert(5, 1000);
      await primary.refresh();
      const { generation } = primary;
      const { index = -1 } = primary.position ?? {};
      assert.equal(live.checkpoint('TRUNCATE').busy, 0);
      // More than the cache holds: a header and frames are written, and then nothing of it takes place.
      other.exec('BEGIN');
      other.exec(
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT INTO t (body) SELECT randomblob(3000) FROM n',
      );
      other.exec('ROLLBACK');
      await primary.refresh();
      assert.deepEqual(primary.position, { index: index + 1, offsetBytes: 0 });
      other.exec('INSERT INTO t (body) VALUES (randomblob(500))');
      await primary.refresh();
      assert.equal(primary.generation, generation);
      assert.equal(primary.position?.index, index + 1);
      assert.ok((primary.position?.offsetBytes ?? 0) > 32);
    } finally {
      await primary.close();
    }
  });

  it('a commit between the look at the log and the begin of a snapshot is noticed', async () => {
    using live = new LiveDatabase();
    live.insert(3, 500);
    let isArmed = true;
    const machine = machineWith((inner) => ({
      openReader: () => {
        if (isArmed) live.insert(1, 500);
        isArmed = false;
        return inner.openReader();
      },
    }));
    const database = openDatabase(live.path, 100, machine);
    const deps = { clock: systemClock, logger: silentLogger };
    try {
      const tail = await readLog(database, { index: 0, change: undefined });
      assert.equal(pinSnapshot(database, tail, undefined, deps), undefined);
      const snapshot = pinSnapshot(database, tail, undefined, deps);
      assert.equal(snapshot?.position.offsetBytes, tail.position.offsetBytes);
      snapshot?.close();
    } finally {
      database.close();
    }
  });

  it('what lies behind a log that is gone is not at hand', () => {
    using scratch = new Scratch();
    const spool = new Spool(scratch.file('spool'));
    const tools = { clock: systemClock, logger: silentLogger };
    const trouble = new LocalTrouble({ ...tools, directory: scratch.path });
    const keeper = new LogKeeper({ spool, spoolLimitBytes: 2 ** 20, ...tools, trouble });
    keeper.finish(0, { offsetBytes: 8272, salts: [1, 2], checksum: [3, 4] });
    const start = { index: 0, chain: undefined };
    assert.equal(keeper.covers(start, 1), false);
    spool.append({ index: 0, offsetBytes: 0 }, new Uint8Array(4152), 0);
    assert.equal(keeper.covers(start, 1), false);
    spool.append({ index: 0, offsetBytes: 4152 }, new Uint8Array(4120), 0);
    assert.equal(keeper.covers(start, 1), true);
    assert.equal(keeper.covers(start, 2), false);
  });

  it('what is kept while writers wait is kept in small pieces, and only as long as there is time', async () => {
    using live = new LiveDatabase();
    live.insert(100, 3900);
    using scratch = new Scratch();
    const spool = new Spool(scratch.file('spool'));
    const tools = { clock: systemClock, logger: silentLogger };
    const trouble = new LocalTrouble({ ...tools, directory: scratch.path });
    const keeper = new LogKeeper({ spool, spoolLimitBytes: 2 ** 30, ...tools, trouble });
    const database = openDatabase(live.path, 100);
    try {
      const tail = await readLog(database, { index: 0, change: undefined });
      keeper.confirm('slow', { index: 0, offsetBytes: 0 });
      let looks = 0;
      assert.equal(
        keeper.captureNow(database, tail, () => ++looks > 2),
        false,
      );
      assert.equal(spool.sizeBytes, 2 * 64 * 1024);
      assert.equal(
        keeper.captureNow(database, tail, () => false),
        true,
      );
      assert.equal(spool.sizeBytes, tail.position.offsetBytes);
    } finally {
      database.close();
    }
  });
});
