import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { noObserver } from '../../src/primary/primary-observer.ts';
import { Primary } from '../../src/primary/primary.ts';
import { Scratch } from '../support/scratch.ts';

function primaryOf(scratch: Scratch): Primary {
  return new Primary(
    {
      path: scratch.file('app.db'),
      metaPath: scratch.file('meta'),
      destinations: new Set(['file']),
      checkpoint: { minPages: 1000, maxPages: 10_000, intervalMs: 60_000, walLimitBytes: 1 << 30 },
      spoolLimitBytes: 1 << 20,
      busyTimeoutMs: 1000,
    },
    { clock: systemClock, logger: silentLogger, observer: noObserver },
  );
}

test('a commit that is found on the way to a snapshot is told to those who wait for changes', async () => {
  using scratch = new Scratch();
  using application = new DatabaseSync(scratch.file('app.db'));
  application.exec('PRAGMA journal_mode = wal; CREATE TABLE t (x)');
  const primary = primaryOf(scratch);
  try {
    await primary.refresh();
    for (const begin of [
      async () => (await primary.openSnapshot()).close(),
      async () => void (await primary.attach('file')),
    ]) {
      await primary.refresh();
      const before = primary.changes;
      application.exec('INSERT INTO t VALUES (1)');
      await begin();
      assert.equal(await primary.refresh(), false, 'the refresh should have nothing left to find');
      assert.ok(primary.changes > before);
    }
  } finally {
    await primary.close();
  }
});
