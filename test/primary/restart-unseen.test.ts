import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type Cursor, startOfLog } from '../../src/primary/cursor.ts';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';

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

test('where a destination stands is found, too, when its log has been restarted unseen', async () => {
  using live = new LiveDatabase();
  const primary = openPrimary(live.path, { checkpoint: { minPages: 1 } });
  try {
    await primary.refresh();
    await primary.attach('back');
    live.insert(5, 3000);
    await primary.refresh();
    const start = startOfLog(primary.position?.index ?? -1);
    const held = primary.take(start, 1 << 20);
    assert.equal(held.kind, 'bytes');
    const generation = primary.generation;
    if (held.kind !== 'bytes' || generation === undefined) return;
    const log = { index: start.index, offsetBytes: 0 };
    assert.deepEqual(placeOf(await primary.resumeAfter(generation, log, held.bytes)), placeOf(held.cursor));
    // All of it is captured and checkpointed, so this restarts the log, unseen by the primary.
    live.insert(2, 3000);
    assert.deepEqual(placeOf(await primary.resumeAfter(generation, log, held.bytes)), placeOf(held.cursor));
    assert.equal(primary.position?.index, start.index + 1);
    assert.equal(primary.generation, generation);
  } finally {
    await primary.close();
  }
});
