/**
 * An application may truncate a log that is wholly checkpointed, and a connection that never restarted one may be the
 * first to write then: SQLite gives such a log random salts. It continues the old one all the same.
 */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';

import { LiveDatabase, openPrimary } from '../support/live-database.ts';

test('a log that was truncated and begun by another connection continues the generation', async () => {
  using live = new LiveDatabase();
  using other = new DatabaseSync(live.path, { timeout: 2000 });
  other.exec('PRAGMA wal_autocheckpoint=0');
  const primary = openPrimary(live.path, { checkpoint: { minPages: 1 } });
  try {
    await primary.refresh();
    const { generation } = primary;
    for (let round = 0; round < 5; round++) {
      live.insert(5, 1000);
      await primary.refresh();
      const { index = -1 } = primary.position ?? {};
      assert.equal(live.checkpoint('TRUNCATE').busy, 0);
      other.exec('INSERT INTO t (body) VALUES (randomblob(500))');
      await primary.refresh();
      assert.equal(primary.generation, generation);
      assert.equal(primary.position?.index, index + 1);
    }
  } finally {
    await primary.close();
  }
});
