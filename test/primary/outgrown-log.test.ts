import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { it } from 'node:test';
import { FakeClock } from '../support/fake-clock.ts';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';

const LIMIT_BYTES = 100_000;

it('a WAL that outgrows its limit is reported, again at twice the size, and anew after it was emptied', async () => {
  using live = new LiveDatabase();
  const logger = new RecordingLogger();
  const clock = new FakeClock();
  const checkpoint = { minPages: 1, walLimitBytes: LIMIT_BYTES };
  const primary = openPrimary(live.path, { clock, logger, checkpoint });
  const reports = (): unknown[] =>
    logger.matching('more than twice its limit').map(({ fields }) => fields['why']);
  const grow = async (bytes: number): Promise<void> => {
    live.insert(bytes / 4000, 3900);
    clock.advance(60_000);
    await primary.refresh();
  };
  const reader = new DatabaseSync(live.path);
  const read = (): void => {
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM t').get();
  };
  const LONG = 'a read transaction of another connection lasts long';
  await primary.refresh();
  read();
  await grow(LIMIT_BYTES);
  assert.deepEqual(reports(), []);
  await grow(LIMIT_BYTES * 1.5);
  await grow(LIMIT_BYTES / 10);
  assert.deepEqual(reports(), [LONG]);
  await grow(LIMIT_BYTES * 3);
  assert.deepEqual(reports(), [LONG, LONG]);
  reader.exec('ROLLBACK');
  await grow(4000);
  live.insert(1);
  await primary.refresh();
  read();
  await grow(LIMIT_BYTES * 3);
  assert.deepEqual(reports(), [LONG, LONG, LONG]);
  await primary.close();
  reader.close();
});
