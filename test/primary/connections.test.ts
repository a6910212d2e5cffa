import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { RivuletError } from '../../src/base/errors.ts';
import { SqliteConnections, explainSqliteError, isBusy } from '../../src/primary/connections.ts';
import { DatabaseFile, identify, sameFile } from '../../src/primary/database-file.ts';
import { openDatabase, readLog } from '../../src/primary/open-database.ts';
import { openStateDirectory } from '../../src/primary/state-directory.ts';
import { encodeWalHeader } from '../../src/wal/wal-header.ts';
import { asNobody } from '../support/as-nobody.ts';
import { ChildScript } from '../support/child-script.ts';
import { LiveDatabase } from '../support/live-database.ts';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';

describe('the connections on a live database', () => {
  it('a held read transaction keeps the log from being restarted', () => {
    using live = new LiveDatabase();
    live.insert(10);
    const connections = new SqliteConnections(live.path, 100);
    assert.equal(connections.holding, false);
    connections.hold();
    connections.hold();
    assert.equal(connections.holding, true);
    live.exec('PRAGMA busy_timeout=20');
    live.insert(10);
    for (const mode of ['RESTART', 'TRUNCATE', 'FULL'] as const) {
      assert.equal(live.checkpoint(mode).busy, 1, mode);
    }
    assert.ok(statSync(`${live.path}-wal`).size > 0);
    connections.close();
    assert.equal(live.checkpoint('TRUNCATE').busy, 0);
  });

  it('the hold moves forward without a gap, or stays when asked to', () => {
    using live = new LiveDatabase();
    const connections = new SqliteConnections(live.path, 100);
    connections.hold();
    live.insert(10);
    assert.equal(connections.checkpointPassive().busy, false);
    const partial = connections.checkpointPassive();
    assert.ok(partial.checkpointedFrames < partial.logFrames, 'the hold stands before the end');
    assert.equal(
      connections.moveHold(() => false),
      false,
    );
    assert.deepEqual(connections.checkpointPassive(), partial);
    assert.equal(
      connections.moveHold(() => true),
      true,
    );
    const whole = connections.checkpointPassive();
    assert.equal(whole.checkpointedFrames, whole.logFrames);
    assert.throws(
      () =>
        connections.moveHold(() => {
          throw new Error('in between');
        }),
      /in between/,
    );
    assert.equal(connections.holding, true);
    assert.equal(
      connections.moveHold(() => true),
      true,
      'the spare one is free again',
    );
    connections.close();
  });

  it("a released read transaction is in nobody's way, and begins again", () => {
    using live = new LiveDatabase();
    live.insert(10);
    const connections = new SqliteConnections(live.path, 100);
    connections.release();
    connections.hold();
    live.insert(1);
    live.exec('PRAGMA busy_timeout=0');
    assert.equal(live.checkpoint('TRUNCATE').busy, 1);
    connections.release();
    connections.release();
    assert.equal(connections.holding, false);
    assert.equal(live.checkpoint('TRUNCATE').busy, 0);
    connections.hold();
    assert.equal(connections.holding, true);
    connections.close();
  });

  it('the index is recovered also while the read transaction is moved, and under the write lock', () => {
    using live = new LiveDatabase();
    const connections = new SqliteConnections(live.path, 100);
    connections.recoverIndex();
    connections.hold();
    assert.ok(connections.moveHold(() => (connections.recoverIndex(), true)));
    connections.withWriteLock(() => connections.recoverIndex());
    assert.equal(connections.holding, true);
    connections.close();
  });

  it('after a complete checkpoint writers restart the WAL, but nothing new is checkpointed', () => {
    using live = new LiveDatabase();
    live.insert(10);
    const connections = new SqliteConnections(live.path, 100);
    connections.hold();
    connections.checkpointPassive();
    assert.ok(connections.moveHold(() => true));
    live.insert(1);
    live.insert(1);
    const { logFrames, checkpointedFrames } = connections.checkpointPassive();
    assert.ok(logFrames > 0 && logFrames < 10, `the log began anew: ${logFrames} frames`);
    assert.equal(checkpointedFrames, 0);
    connections.close();
  });

  it('the write lock keeps writers out, leaves no trace, and is undefined when it is not to be had', () => {
    using live = new LiveDatabase();
    const connections = new SqliteConnections(live.path, 20);
    const before = statSync(`${live.path}-wal`).size;
    live.exec('PRAGMA busy_timeout=0');
    const answer = connections.withWriteLock(() => {
      assert.throws(() => live.insert(), isBusy);
      return 7;
    });
    assert.equal(answer, 7);
    assert.throws(
      () =>
        connections.withWriteLock(() => {
          throw new Error('inside');
        }),
      /inside/,
    );
    assert.equal(statSync(`${live.path}-wal`).size, before);
    live.exec('BEGIN IMMEDIATE');
    assert.equal(
      connections.withWriteLock(() => assert.fail('it must not run')),
      undefined,
    );
    live.exec('ROLLBACK');
    connections.close();
  });

  it("another process's checkpoint makes ours busy, not wrong", async () => {
    using live = new LiveDatabase();
    live.insert(10);
    await using other = new ChildScript('writer-script.ts', [live.path, '0']);
    await other.line();
    const connections = new SqliteConnections(live.path, 20);
    connections.hold();
    live.insert(10);
    const answers: string[] = [];
    const ask = (): void => {
      void other.ask('sql PRAGMA wal_checkpoint(RESTART)').then((answer) => answers.push(answer));
    };
    ask();
    const ours = { busy: false, logFrames: 0, checkpointedFrames: 0 };
    // It waits for our read transaction to end, and has the lock on checkpoints meanwhile; or finds that we have it.
    await until('ours is busy', () => {
      if (answers.splice(0).length > 0) ask();
      return Object.assign(ours, connections.checkpointPassive()).busy;
    });
    assert.deepEqual(ours, {
      busy: true,
      logFrames: -1,
      checkpointedFrames: -1,
    });
    connections.close();
    await until('theirs is over', () => answers.length > 0);
    assert.equal((JSON.parse(answers[0] ?? '') as { busy: number }[])[0]?.busy, 0);
  });

  it('closing leaves the log where it is, also as the last of all', () => {
    using live = new LiveDatabase();
    live.insert(10);
    const connections = new SqliteConnections(live.path, 100);
    connections.hold();
    live.close();
    const before = statSync(`${live.path}-wal`).size;
    const reader = connections.openReader();
    reader.end();
    connections.close();
    assert.equal(statSync(`${live.path}-wal`).size, before);
    assert.equal(live.count(), 10);
  });

  it('a database with a rollback journal is switched, and says so', () => {
    using scratch = new Scratch();
    const path = scratch.file('old.db');
    const app = new DatabaseSync(path);
    app.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
    const connections = new SqliteConnections(path, 100);
    assert.equal(connections.switchedToWal, true);
    assert.equal(app.prepare('SELECT count(*) AS n FROM t').get()?.['n'], 1);
    assert.equal(app.prepare('PRAGMA journal_mode').get()?.['journal_mode'], 'wal');
    app.close();
    connections.close();
    const again = new SqliteConnections(path, 100);
    assert.equal(again.switchedToWal, false);
    again.close();
  });

  it('is switched back when it cannot be used then', () => {
    using scratch = new Scratch();
    const path = scratch.file('old.db');
    const app = new DatabaseSync(path);
    app.exec('CREATE TABLE t (a)');
    mkdirSync(`${path}-shm`);
    assert.throws(() => new SqliteConnections(path, 100), {
      code: 'DB_UNREADABLE',
      message: /cannot be switched to WAL mode/,
    });
    app.exec('INSERT INTO t VALUES (1)');
    assert.equal(app.prepare('PRAGMA journal_mode').get()?.['journal_mode'], 'delete');
    app.close();
    assert.deepEqual(scratch.names(), ['old.db', 'old.db-shm']);
  });

  it('a database that another one is writing to with a rollback journal is busy', () => {
    using scratch = new Scratch();
    const path = scratch.file('old.db');
    const app = new DatabaseSync(path);
    app.exec('CREATE TABLE t (a); BEGIN EXCLUSIVE');
    assert.throws(() => new SqliteConnections(path, 10), {
      code: 'DB_BUSY',
      message: /locked by another process/,
    });
    app.close();
  });
});

describe('what cannot be opened', () => {
  function codeOf(path: string): string {
    try {
      openDatabase(path, 10).close();
    } catch (error) {
      assert.ok(error instanceof RivuletError, String(error));
      assert.ok(error.message.includes(path), error.message);
      return `${error.code}: ${error.message.replaceAll(path, 'PATH')}`;
    }
    return 'opened';
  }

  it('is explained: text, noise, a short file, a directory, nothing', () => {
    using scratch = new Scratch();
    writeFileSync(scratch.file('text'), 'no database, just words. '.repeat(200));
    writeFileSync(scratch.file('noise'), Buffer.alloc(8192, 0x9c));
    writeFileSync(scratch.file('short'), 'SQLite format 3\0');
    mkdirSync(scratch.file('folder'));
    assert.match(
      codeOf(scratch.file('text')),
      /^DB_INVALID: PATH is not a SQLite database, or it is encrypted/,
    );
    assert.match(codeOf(scratch.file('noise')), /^DB_INVALID: .*encrypted/);
    assert.match(codeOf(scratch.file('short')), /^DB_INVALID: .*only 16 bytes/);
    assert.match(codeOf(scratch.file('folder')), /^DB_UNREADABLE: PATH cannot be read: EISDIR/);
    assert.match(codeOf(scratch.file('absent')), /^DB_UNREADABLE: PATH cannot be read: ENOENT/);
  });

  it('is explained: a header that SQLite does not take, a corrupt schema', () => {
    using live = new LiveDatabase();
    live.checkpoint('TRUNCATE');
    live.close();
    using scratch = new Scratch();
    const good = new DatabaseFile(live.path);
    const bytes = Buffer.alloc(good.sizeBytes());
    good.read(bytes, 0);
    good.close();
    const odd = Buffer.from(bytes);
    odd[18] = 9;
    odd[19] = 9;
    writeFileSync(scratch.file('future'), odd);
    assert.match(codeOf(scratch.file('future')), /^DB_INVALID|^DB_UNREADABLE/);
    const corrupt = Buffer.from(bytes);
    corrupt.fill(0xff, 100, 200);
    writeFileSync(scratch.file('corrupt'), corrupt);
    assert.match(codeOf(scratch.file('corrupt')), /^DB_INVALID: PATH is corrupt: /);
  });

  it('is explained: missing permission', () => {
    using live = new LiveDatabase();
    live.close();
    chmodSync(live.path, 0o600);
    chmodSync(live.scratch.path, 0o755);
    asNobody(() => {
      assert.throws(() => openDatabase(live.path, 10), {
        code: 'DB_UNREADABLE',
        message: /cannot be read: EACCES/,
        hint: /needs to read and write the database/,
      });
    });
    chmodSync(live.path, 0o644);
    asNobody(() => assert.match(codeOf(live.path), /^DB_UNREADABLE/));
    chmodSync(live.scratch.path, 0o700);
    asNobody(() => assert.throws(() => identify(live.path), { code: 'DB_UNREADABLE', hint: /directory/ }));
  });

  it('explains each kind of SQLite error once', () => {
    const sqlite = (errcode: number): Error => Object.assign(new Error('text of SQLite'), { errcode });
    const codes = [5, 6, 261, 517, 11, 267, 26, 14, 1].map(
      (code) => explainSqliteError(sqlite(code), 'p').code,
    );
    assert.deepEqual(codes, [
      'DB_BUSY',
      'DB_BUSY',
      'DB_BUSY',
      'DB_BUSY',
      'DB_INVALID',
      'DB_INVALID',
      'DB_INVALID',
      'DB_UNREADABLE',
      'DB_UNREADABLE',
    ]);
    const own = new RivuletError('DB_BUSY', 'as it is');
    assert.equal(explainSqliteError(own, 'p'), own);
    assert.equal(explainSqliteError('words', 'p').code, 'DB_UNREADABLE');
    assert.equal(isBusy('words'), false);
  });
});

describe('the database file', () => {
  it('knows who it is, and is not another one', () => {
    using live = new LiveDatabase();
    live.checkpoint('TRUNCATE');
    live.close();
    const file = new DatabaseFile(live.path);
    const id = identify(live.path);
    assert.ok(id !== undefined && sameFile(id, file.identity) && file.isCurrent());
    assert.equal(sameFile(id, { ...id, inode: '0' }), false);
    assert.equal(sameFile(id, { ...id, device: '0' }), false);
    assert.equal(file.sizeBytes(), 8192);
    assert.ok(Math.abs(file.modifiedAtMs() - Date.now()) < 60_000);
    const bytes = new Uint8Array(5000).fill(1);
    file.read(bytes, 4096);
    assert.ok(
      bytes.subarray(4096).every((byte) => byte === 0),
      'zero past the end',
    );
    file.close();
    assert.throws(() => file.read(bytes, 0), 'a closed file gives nothing');
  });

  it('nothing and an empty file are nobody; a directory is an error', () => {
    using scratch = new Scratch();
    assert.equal(identify(scratch.file('none')), undefined);
    writeFileSync(scratch.file('empty'), '');
    assert.equal(identify(scratch.file('empty')), undefined);
    assert.throws(() => identify(scratch.path), { code: 'DB_UNREADABLE', message: /is a directory/ });
    writeFileSync(scratch.file('file'), 'x');
    assert.equal(identify(scratch.file('file/below')), undefined);
  });
});

describe('the WAL of an open database', () => {
  it('is a place without frames while nothing is committed in it, and nothing is written', async () => {
    using live = new LiveDatabase();
    live.checkpoint('TRUNCATE');
    const database = openDatabase(live.path, 100);
    const before = database.published();
    const tail = await readLog(database, { index: 3, change: undefined });
    assert.deepEqual(tail.position, { index: 3, offsetBytes: 0 });
    assert.equal(tail.chain, undefined);
    assert.equal(tail.change, before.change);
    assert.ok(tail.isSameLog() && tail.hasAllOf(before));
    assert.equal(database.wal.sizeBytes(), 0);
    live.insert(1);
    assert.ok(!tail.isSameLog());
    const next = await readLog(database, { index: 3, change: tail.change });
    assert.deepEqual(next.position, { index: 3, offsetBytes: database.wal.sizeBytes() });
    assert.ok(next.isCountable);
    database.close();
  });

  it('is found empty although the file still has the frames of the one before', async () => {
    using live = new LiveDatabase();
    live.insert(10, 3000);
    const database = openDatabase(live.path, 100);
    const whole = await readLog(database, { index: 0, change: undefined });
    database.connections.release();
    // The index has begun another WAL, and the one who did it is killed before it writes a frame.
    assert.equal(live.checkpoint('TRUNCATE').busy, 0);
    const empty = await readLog(database, { index: 1, change: whole.change });
    assert.deepEqual(empty.position, { index: 1, offsetBytes: 0 });
    assert.ok(empty.isCountable);
    database.close();
  });

  for (const [how, spoil] of [
    ['was zeroed', (path: string): void => overwrite(path, Buffer.alloc(32))],
    ['was cut', (path: string): void => truncateSync(path, 10)],
    ['is of another WAL', (path: string): void => overwrite(path, headerOf({ salt1: 1, salt2: 2 }))],
  ] as const) {
    it(`is an error when its header ${how} while frames are published`, async () => {
      using live = new LiveDatabase();
      live.insert(3);
      const database = openDatabase(live.path, 100);
      spoil(database.wal.path);
      await assert.rejects(readLog(database, { index: 0, change: undefined }), {
        code: 'DB_UNREADABLE',
        message: /committed frames are in it/,
      });
      database.close();
    });
  }
});

function overwrite(path: string, bytes: Uint8Array): void {
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, bytes, 0, bytes.length, 0);
  closeSync(descriptor);
}

function headerOf(salts: { readonly salt1: number; readonly salt2: number }): Uint8Array {
  return encodeWalHeader({ bigEndianChecksum: false, pageSizeBytes: 4096, checkpointSequence: 9, ...salts });
}

describe('the instance lock', () => {
  it('is for one at a time, and free again after its release', () => {
    using scratch = new Scratch();
    const folder = scratch.file('meta/deep');
    const first = openStateDirectory(folder, 'x.db');
    assert.throws(() => openStateDirectory(folder, 'x.db'), {
      code: 'DB_IN_USE',
      message: 'x.db is being replicated by another process already',
    });
    first.release();
    openStateDirectory(folder, 'x.db').release();
  });

  it('says so when its folder cannot be used', () => {
    using scratch = new Scratch();
    writeFileSync(scratch.file('meta'), 'a file');
    assert.throws(() => openStateDirectory(scratch.file('meta'), 'x.db'), { code: 'STATE_INVALID' });
    mkdirSync(scratch.file('other/lock'), { recursive: true });
    assert.throws(() => openStateDirectory(scratch.file('other'), 'x.db'), { code: 'STATE_INVALID' });
  });

  it('goes with the process that holds it, however it dies', async () => {
    using live = new LiveDatabase();
    const metaPath = live.scratch.file('meta');
    await using holder = new ChildScript('primary-script.ts', [live.path, metaPath]);
    assert.match(await holder.line(), /^[0-9a-f]{16} 0 \d+$/);
    await using second = new ChildScript('primary-script.ts', [live.path, metaPath]);
    assert.equal(await second.line(), 'DB_IN_USE');
    assert.ok(existsSync(metaPath));
    await holder.kill('SIGKILL');
    openStateDirectory(metaPath, live.path).release();
  });
});
