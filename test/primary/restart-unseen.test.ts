import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startOfLog } from '../../src/primary/cursor.ts';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';

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
