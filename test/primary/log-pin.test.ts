import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { logPin } from '../../src/primary/log-pin.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { LiveDatabase, NO_ROOM, NOT_IN_MEMORY, openPrimary } from '../support/live-database.ts';

const NOTHING = {
  hindrance: undefined,
  pinnedSnapshots: 0,
  isWaiting: false,
  confirmed: new Map(),
  copyingForMs: undefined,
};

test('the one that is furthest behind is named, and comes before everything else', () => {
  const confirmed = new Map([
    ['a', { index: 2, offsetBytes: 50 }],
    ['b', { index: 1, offsetBytes: 90 }],
    ['c', { index: 1, offsetBytes: 95 }],
  ]);
  const hindrance = { outcome: 'partial', forMs: 7 } as const;
  assert.deepEqual(logPin({ ...NOTHING, hindrance, isWaiting: true, confirmed }), {
    by: 'destination',
    replica: 'b',
  });
  assert.deepEqual(logPin({ ...NOTHING, hindrance, confirmed }), { by: 'reader', forMs: 7 });
  assert.deepEqual(logPin({ ...NOTHING, hindrance, pinnedSnapshots: 1 }), { by: 'snapshot', forMs: 7 });
  assert.deepEqual(logPin({ ...NOTHING, hindrance: { outcome: 'busy', forMs: 9 } }), {
    by: 'writer',
    forMs: 9,
  });
  assert.equal(logPin({ ...NOTHING, isWaiting: true }), undefined);
  const copying = { ...NOTHING, isWaiting: true, confirmed, copyingForMs: 5 };
  assert.deepEqual(logPin(copying), { by: 'snapshot', forMs: 5 });
  assert.equal(logPin({ ...copying, isWaiting: false }), undefined);
});

test('a reader of the application, a writer and a snapshot are told apart on a real database', async () => {
  using live = new LiveDatabase();
  const clock = new FakeClock();
  const checkpoint = { minPages: 5, maxPages: 10 };
  const withoutRoom = { machine: NO_ROOM, copySizes: NOT_IN_MEMORY };
  const primary = openPrimary(live.path, { clock, checkpoint, ...withoutRoom });
  const look = async (): Promise<string | undefined> => {
    live.insert(20, 3_000);
    clock.advance(5_000);
    await primary.refresh();
    return primary.pin?.by;
  };
  await primary.refresh();
  assert.equal(await look(), undefined);
  using other = new DatabaseSync(live.path);
  other.exec('BEGIN; SELECT count(*) FROM t');
  other.prepare('SELECT count(*) FROM t').get();
  assert.equal(await look(), 'reader');
  clock.advance(60_000);
  assert.ok((await look()) === 'reader' && (primary.pin as { forMs: number }).forMs >= 60_000);
  other.exec('ROLLBACK');
  assert.equal(await look(), undefined);
  const snapshot = await primary.openSnapshot();
  assert.equal(await look(), 'snapshot');
  snapshot.close();
  assert.equal(await look(), undefined);
  await primary.close();
});

test('what was not seen is told without a look, and nothing else is', async () => {
  using live = new LiveDatabase();
  const primary = openPrimary(live.path);
  assert.equal(primary.hasUnseen(), true, 'there is a database');
  await primary.refresh();
  assert.equal(primary.hasUnseen(), false);
  live.insert(1);
  assert.equal(primary.hasUnseen(), true);
  await primary.refresh();
  assert.equal(primary.hasUnseen(), false);
  live.exec('BEGIN; INSERT INTO t (body) VALUES (1)');
  assert.equal(primary.hasUnseen(), false, 'nothing is committed');
  live.exec('ROLLBACK');
  live.checkpoint('PASSIVE');
  assert.equal(primary.hasUnseen(), false);
  await primary.close();
});
