/**
 * Somebody overwrites, cuts or removes the WAL while it is in use. SQLite goes on by its shared memory and notices nothing. It is an
 * error within one look, and over without a restart of this process once the application has a whole WAL again.
 */
import assert from 'node:assert/strict';
import {
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { describe, it, mock } from 'node:test';
import type { Primary } from '../../src/primary/primary.ts';
import { LiveDatabase, openPrimary, type PrimaryShape } from '../support/live-database.ts';
import { Follower } from '../support/take-all.ts';

const SUM = 'SELECT count(*) AS n, sum(id) AS ids FROM t';

function overwrite(path: string, bytes: Uint8Array, offsetBytes: number): void {
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, bytes, 0, bytes.length, offsetBytes);
  closeSync(descriptor);
}

const failure = { code: 'DB_UNREADABLE', message: /-wal cannot be read: \d+ committed frames are in it/ };

/** Everything is read, and some of it is in the WAL alone. */
async function opened(live: LiveDatabase, shape: PrimaryShape = {}): Promise<Primary> {
  live.insert(20, 3000);
  live.checkpoint('TRUNCATE');
  live.insert(20, 3000);
  const primary = openPrimary(live.path, shape);
  await primary.refresh();
  return primary;
}

const HEADERS: readonly (readonly [string, Uint8Array])[] = [
  ['zeros', new Uint8Array(32)],
  ['the header of another WAL', Buffer.from(readHeaderOfAnother())],
];

function readHeaderOfAnother(): Uint8Array {
  using other = new LiveDatabase();
  other.insert(1);
  return readFileSync(`${other.path}-wal`).subarray(0, 32);
}

describe('a WAL whose header was overwritten', () => {
  for (const [what, header] of HEADERS) {
    it(`with ${what}: an error although nothing is new, and what is committed is read all the same`, async () => {
      using live = new LiveDatabase();
      const primary = await opened(live);
      const follower = new Follower(primary);
      await follower.start();
      follower.take();
      live.insert(3, 3000);
      await primary.refresh();
      overwrite(`${live.path}-wal`, header, 0);
      await assert.rejects(primary.refresh(), failure);
      assert.equal(primary.hasUnseen(), false, 'everything in it was kept and checkpointed');
      await primary.refresh();
      follower.take();
      assert.deepEqual(follower.rows(SUM), [{ ...live.app.prepare(SUM).get() }]);
      live.insert(1);
      await primary.refresh();
      assert.equal(primary.hasUnseen(), false);
      assert.equal(live.app.prepare('PRAGMA integrity_check').get()?.['integrity_check'], 'ok');
      await primary.close();
    });
  }
});

describe('a WAL whose frames are gone', () => {
  const ways: readonly (readonly [string, (path: string) => void])[] = [
    ['emptied', (path) => truncateSync(path, 0)],
    ['cut', (path) => truncateSync(path, statSync(path).size - 1)],
    ['overwritten', (path) => overwrite(path, Buffer.alloc(9000, 7), statSync(path).size - 9000)],
  ];
  for (const [what, spoil] of ways) {
    it(`${what} between two runs of an application: an error, and the next run is not kept out`, async () => {
      using live = new LiveDatabase();
      const primary = await opened(live);
      live.close();
      spoil(`${live.path}-wal`);
      assert.equal(primary.hasUnseen(), true);
      await assert.rejects(primary.refresh(), failure);
      assert.equal(primary.hasUnseen(), true);
      assert.equal(live.app.prepare('PRAGMA integrity_check').get()?.['integrity_check'], 'ok');
      assert.ok(live.count() >= 20);
      live.insert(2);
      await primary.refresh();
      const follower = new Follower(primary);
      await follower.start();
      follower.take();
      assert.deepEqual(follower.rows(SUM), [{ ...live.app.prepare(SUM).get() }]);
      await primary.close();
    });
  }

  for (const leftBytes of [0, 32, 9000]) {
    it(`cut to ${leftBytes} bytes beside an application that goes on: an error at each look, and no generation`, async () => {
      using live = new LiveDatabase();
      const observer = { onGeneration: mock.fn() };
      const primary = await opened(live, { observer });
      truncateSync(`${live.path}-wal`, leftBytes);
      for (const _ of [1, 2, 3]) {
        await assert.rejects(primary.refresh(), { code: 'DB_UNREADABLE' });
        live.exec('PRAGMA user_version = 3');
      }
      assert.equal(primary.hasUnseen(), true);
      assert.equal(observer.onGeneration.mock.callCount(), 1);
      await primary.close();
    });
  }
});

describe('a WAL that was removed', () => {
  for (const [what, replace] of [
    ['removed', () => undefined],
    ['replaced by a copy', (path: string) => copyFileSync(`${path}.copy`, path)],
  ] as const) {
    it(`${what} between two runs of an application: the next run is not kept out`, async () => {
      using live = new LiveDatabase();
      const primary = await opened(live);
      const wal = `${live.path}-wal`;
      copyFileSync(wal, `${wal}.copy`);
      live.close();
      rmSync(wal);
      replace(wal);
      await primary.refresh().catch((error: unknown) => assert.match(String(error), /was removed/));
      assert.equal(live.app.prepare('PRAGMA integrity_check').get()?.['integrity_check'], 'ok');
      await primary.refresh();
      live.exec('CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, body BLOB)');
      live.insert(2);
      await primary.refresh();
      const follower = new Follower(primary);
      await follower.start();
      follower.take();
      assert.deepEqual(follower.rows(SUM), [{ ...live.app.prepare(SUM).get() }]);
      await primary.close();
    });
  }
});
