/**
 * While nobody watches, a log goes on, is restarted, and a transaction that is rolled back later writes over its remains: the
 * new log is short, and behind it lies nothing that continues the old one.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';

describe('the remains of a log that went on unseen', () => {
  for (const mode of ['RESTART', 'TRUNCATE'] as const) {
    it(`prove nothing where a rolled back transaction has written, after a checkpoint in mode ${mode}`, async () => {
      using live = new LiveDatabase();
      live.exec('PRAGMA cache_size=5; PRAGMA cache_spill=1');
      live.insert(5, 3000);
      const before = openPrimary(live.path);
      await before.refresh();
      const { generation } = before;
      await before.close();
      live.insert(3, 3000);
      assert.equal(live.checkpoint(mode).busy, 0);
      live.exec('BEGIN');
      live.insert(60, 4000);
      live.exec('ROLLBACK');
      live.insert(1);
      const after = openPrimary(live.path);
      try {
        await after.refresh();
        assert.notEqual(after.generation, generation);
      } finally {
        await after.close();
      }
    });
  }
});
