import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type Cursor, startOfLog } from '../../src/primary/cursor.ts';
import type { Taken } from '../../src/primary/take.ts';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';

type TakenBytes = Extract<Taken, { kind: 'bytes' }>;

function placeOf(cursor: Cursor | undefined): unknown {
  return cursor && [cursor.index, cursor.chain?.offsetBytes, cursor.chain?.checksum];
}

/**
 * A log can be restarted between two looks at it. Whoever then begins to read the log that was present at the last
 * look finds the next one in the file, with a header that is valid by itself.
 */
test('the start of a log is never read from the log that has taken its place', async () => {
  using live = new LiveDatabase();
  const primary = openPrimary(live.path, { checkpoint: { minPages: 1 } });
  try {
    await primary.refresh();
    await primary.attach('late');
    live.insert(5, 3000);
    await primary.refresh();
    const present = startOfLog(primary.position?.index ?? -1);
    const header = primary.take(present, 32);
    assert.equal(header.kind, 'bytes');
    // Everything is captured and checkpointed now, so this restarts the log, unseen by the primary.
    live.insert(10, 3000);
    const again = primary.take(present, 1 << 20);
    assert.equal(again.kind, 'bytes');
    if (again.kind !== 'bytes' || header.kind !== 'bytes') return;
    assert.deepEqual(again.bytes.subarray(0, 32), header.bytes.subarray(0, 32));
    assert.equal(again.from.index, present.index);
  } finally {
    await primary.close();
  }
});

for (const [how, restart] of [
  ['restarted', (live: LiveDatabase): void => live.insert(2, 3000)],
  ['cut off', (live: LiveDatabase): void => live.exec('PRAGMA wal_checkpoint(TRUNCATE)')],
] as const) {
  test(`where a destination stands is found, too, when its log was ${how} unseen`, async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path, { checkpoint: { minPages: 1 } });
    try {
      await primary.refresh();
      await primary.attach('back');
      live.insert(5, 3000);
      await primary.refresh();
      const { generation, position } = primary;
      assert.ok(generation !== undefined && position !== undefined);
      const log = { index: position.index, offsetBytes: 0 };
      const takenOf = (maxBytes: number): TakenBytes => {
        const taken = primary.take(startOfLog(log.index), maxBytes);
        return taken.kind === 'bytes' ? { ...taken, bytes: taken.bytes.slice() } : assert.fail(taken.kind);
      };
      const [half, whole] = [takenOf(10_000), takenOf(1 << 20)];
      assert.ok(half.bytes.length < whole.bytes.length);
      // All of it is captured and checkpointed: nothing keeps the log as it is.
      restart(live);
      for (const { bytes, cursor } of [half, whole]) {
        assert.deepEqual(placeOf(await primary.resumeAfter(generation, log, bytes)), placeOf(cursor));
        // What another history ends with is not taken for it.
        const other = bytes.slice();
        other[other.length - 4096 - 4] = (other.at(-4096 - 4) ?? 0) ^ 1;
        assert.equal(await primary.resumeAfter(generation, log, other), undefined);
      }
      assert.deepEqual(primary.position, position);
    } finally {
      await primary.close();
    }
  });
}
