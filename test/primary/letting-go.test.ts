/** When a read transaction ends or steps aside for an application's checkpoint, and when it must not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TRUSTED_COMMITS } from '../../src/primary/commit-count.ts';
import type { Primary } from '../../src/primary/primary.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';

/** Longer than any waiting for another commit. */
const QUIET_MS = 1_000;

/** A database whose index has counted more commits than can come again between two looks. */
function longLived(): LiveDatabase {
  const live = new LiveDatabase();
  live.exec('CREATE TABLE counted (n)');
  const insert = live.app.prepare('INSERT INTO counted VALUES (1)');
  for (let n = 0; n < TRUSTED_COMMITS + 10; n++) insert.run();
  live.checkpoint('TRUNCATE');
  live.exec('PRAGMA busy_timeout = 0');
  return live;
}

/** A destination that has just stored something, and is worth waiting for. */
async function attachSlow(primary: Primary): Promise<void> {
  await primary.attach('slow');
  const { generation, position } = primary;
  assert.ok(position !== undefined);
  primary.confirm('slow', generation, position);
}

describe('a read transaction', () => {
  it('ends when nothing happens; what an application does with its WAL then is followed', async () => {
    using live = longLived();
    const clock = new FakeClock();
    const primary = openPrimary(live.path, { clock });
    await primary.refresh();
    const { generation } = primary;
    for (let round = 0; round < 3; round++) {
      live.insert();
      await primary.refresh();
      clock.advance(QUIET_MS);
      await primary.refresh();
      assert.equal(live.checkpoint('TRUNCATE').busy, 0);
      live.insert();
      await primary.refresh();
      assert.equal(primary.generation, generation);
    }
    await primary.close();
  });

  it('that had ended on an empty WAL: a commit that came and was truncated is not taken for nothing', async () => {
    using live = longLived();
    const clock = new FakeClock();
    const primary = openPrimary(live.path, { clock });
    await primary.refresh();
    const { generation } = primary;
    clock.advance(QUIET_MS);
    await primary.refresh();
    assert.equal(primary.position?.offsetBytes, 0);
    live.insert();
    assert.equal(live.checkpoint('TRUNCATE').busy, 0);
    await primary.refresh();
    assert.notEqual(primary.generation, generation);
    assert.equal(primary.hasUnseen(), false);
    await primary.close();
  });

  it('that had ended when a commit was checkpointed and overwritten costs a generation, and lasts from then on', async () => {
    using live = longLived();
    const clock = new FakeClock();
    const logger = new RecordingLogger();
    const primary = openPrimary(live.path, { clock, logger });
    await primary.refresh();
    const { generation } = primary;
    clock.advance(QUIET_MS);
    await primary.refresh();
    live.insert();
    live.checkpoint('TRUNCATE');
    live.insert();
    await primary.refresh();
    assert.notEqual(primary.generation, generation);
    assert.equal(logger.matching('a race with the application was lost').length, 1);
    clock.advance(QUIET_MS);
    await primary.refresh();
    live.insert();
    assert.equal(live.checkpoint('TRUNCATE').busy, 1, 'it is held although nothing happens');
    await primary.close();
  });

  it('does not end while something in the WAL is neither stored nor kept', async () => {
    using live = longLived();
    const clock = new FakeClock();
    const primary = openPrimary(live.path, { clock, spoolLimitBytes: 0, checkpoint: { smallRestBytes: 0 } });
    await primary.refresh();
    await attachSlow(primary);
    live.insert();
    await primary.refresh();
    clock.advance(QUIET_MS);
    await primary.refresh();
    assert.equal(live.checkpoint('TRUNCATE').busy, 1);
    await primary.close();
  });

  it('that lasts does not step aside while something in the WAL is neither stored nor kept', async () => {
    using live = new LiveDatabase();
    live.exec('PRAGMA busy_timeout = 0');
    const clock = new FakeClock();
    const primary = openPrimary(live.path, { clock, spoolLimitBytes: 0, checkpoint: { smallRestBytes: 0 } });
    await primary.refresh();
    await attachSlow(primary);
    live.insert();
    await primary.refresh();
    for (let round = 0; round < 3; round++) {
      live.checkpoint('PASSIVE');
      clock.advance(QUIET_MS);
      await primary.refresh();
    }
    assert.equal(live.checkpoint('TRUNCATE').busy, 1);
    await primary.close();
  });
});
