/** Somebody copies a file over the database while it is followed. Its WAL and the WAL index are as before, and do not tell. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import type { Primary } from '../../src/primary/primary.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { LiveDatabase, openPrimary, type PrimaryShape } from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Follower } from '../support/take-all.ts';

const SUM = 'SELECT count(*) AS n, sum(length(body)) AS bytes, sum(id) AS ids FROM t';
const OVERWRITTEN = 'the database file was overwritten while it was followed';
const MINUTE_MS = 60_000;

interface Scene extends Disposable {
  readonly live: LiveDatabase;
  readonly primary: Primary;
  readonly clock: FakeClock;
  readonly logger: RecordingLogger;
}

async function opened(
  pageSizeBytes: number = 4096,
  checkpoint: PrimaryShape['checkpoint'] = {},
): Promise<Scene> {
  const live = new LiveDatabase(pageSizeBytes);
  live.insert(50, 500);
  const clock = new FakeClock();
  const logger = new RecordingLogger();
  const primary = openPrimary(live.path, { clock, logger, checkpoint });
  await primary.refresh();
  return { live, primary, clock, logger, [Symbol.dispose]: () => live[Symbol.dispose]() };
}

/** What a destination restores is what the application sees. */
async function assertFollowed({ live, primary }: Scene): Promise<void> {
  const follower = new Follower(primary);
  await follower.start();
  live.insert(2);
  await primary.refresh();
  follower.take();
  assert.deepEqual(follower.rows(SUM), [{ ...live.app.prepare(SUM).get() }]);
  assert.equal(live.app.prepare('PRAGMA integrity_check').get()?.['integrity_check'], 'ok');
}

function overwrite(path: string, from: string): void {
  // As `cp` does: into the same file.
  writeFileSync(path, readFileSync(from), { flag: 'r+' });
  // Not within the same tick of the file system's clock as the checkpoint before.
  const later = Date.now() / 1000 + 1;
  utimesSync(path, later, later);
}

describe('a database file that is overwritten', () => {
  it('by an edited copy: a new generation at the next look, of what the application sees then', async () => {
    using scene = await opened();
    const { live, primary, logger } = scene;
    const copy = live.scratch.file('copy.db');
    live.checkpoint('TRUNCATE');
    live.insert(3);
    await primary.refresh();
    live.exec(`VACUUM INTO '${copy}'`);
    using edited = new DatabaseSync(copy);
    edited.exec('UPDATE t SET body = zeroblob(9) WHERE id < 20; CREATE TABLE more (x)');
    edited.close();
    const { generation } = primary;
    live.close();
    overwrite(live.path, copy);
    assert.equal(await primary.refresh(), true);
    assert.notEqual(primary.generation, generation);
    const told = logger.lines.find(({ level, message }) => level === 'warn' && message === OVERWRITTEN);
    assert.match(String(told?.fields['hint']), /integrity_check.* remove the -wal and -shm/);
    await assertFollowed(scene);
    await primary.close();
  });

  it('by a copy of its own that has the same first page: the pages of the WAL tell', async () => {
    using scene = await opened(4096, { minPages: 1 });
    const { live, primary } = scene;
    const copy = live.scratch.file('copy.db');
    copyFileSync(live.path, copy);
    live.exec('UPDATE t SET body = zeroblob(500) WHERE id = 30');
    // Checkpoints all of it.
    await primary.refresh();
    await primary.refresh();
    const { generation } = primary;
    assert.deepEqual(readFileSync(copy).subarray(0, 4096), readFileSync(live.path).subarray(0, 4096));
    assert.notDeepEqual(readFileSync(copy), readFileSync(live.path));
    live.close();
    overwrite(live.path, copy);
    await primary.refresh();
    assert.notEqual(primary.generation, generation);
    await assertFollowed(scene);
    await primary.close();
  });

  it('is not continued by the next process either, where this one could not open it', async () => {
    using scene = await opened();
    const { live, primary } = scene;
    live.checkpoint('TRUNCATE');
    live.insert(3);
    await primary.refresh();
    const { generation } = primary;
    live.close();
    const whole = readFileSync(live.path);
    writeFileSync(live.path, Buffer.alloc(4096, 7), { flag: 'r+' });
    await assert.rejects(primary.refresh(), { code: 'DB_INVALID' });
    await primary.close();
    writeFileSync(live.path, whole, { flag: 'r+' });
    const next = openPrimary(live.path);
    await next.refresh();
    assert.notEqual(next.generation, generation);
    await next.close();
  });
});

describe('a database file that was only touched', () => {
  it('counts as overwritten a minute after the last checkpoint, and once an hour', async () => {
    using scene = await opened();
    const { live, primary, clock } = scene;
    live.checkpoint('PASSIVE');
    await primary.refresh();
    let touches = 0;
    const isTakenForOverwritten = async (): Promise<boolean> => {
      const { generation } = primary;
      utimesSync(live.path, 1_000_000 + touches, 1_000_000 + touches++);
      await primary.refresh();
      return generation !== primary.generation;
    };
    assert.equal(await isTakenForOverwritten(), false);
    clock.advance(MINUTE_MS);
    assert.equal(await isTakenForOverwritten(), true);
    clock.advance(MINUTE_MS);
    assert.equal(await isTakenForOverwritten(), false);
    clock.advance(60 * MINUTE_MS);
    const { generation } = primary;
    await primary.refresh();
    assert.notEqual(primary.generation, generation, 'the doubt was kept');
    await assertFollowed(scene);
    await primary.close();
  });
});

describe('a database file that checkpoints write', () => {
  for (const pageSizeBytes of [512, 4096, 65_536]) {
    it(`is followed in one generation, whoever runs them and how far they come (${pageSizeBytes})`, async () => {
      using scene = await opened(pageSizeBytes);
      const { live, primary, clock, logger } = scene;
      using reader = new DatabaseSync(live.path);
      const { generation } = primary;
      for (let round = 0; round < 60; round++) {
        live.insert(1 + (round % 7), 900);
        if (round % 5 === 0) live.exec(`DELETE FROM t WHERE id % 7 = ${round % 7}`);
        if (round % 11 === 0) live.exec('PRAGMA incremental_vacuum; PRAGMA user_version = 5');
        await primary.refresh();
        // A reader lets a checkpoint come only so far.
        if (round % 4 === 1) reader.exec('BEGIN; SELECT count(*) FROM t');
        live.insert(1, 900);
        live.exec('PRAGMA busy_timeout = 0');
        live.checkpoint('PASSIVE');
        clock.advance(2 * MINUTE_MS);
        if (round % 3 === 0) await primary.refresh();
        if (round % 4 === 1) reader.exec('COMMIT');
        live.checkpoint('PASSIVE');
        await primary.refresh();
      }
      assert.deepEqual(logger.messages('warn'), []);
      assert.equal(primary.generation, generation);
      await primary.close();
    });
  }
});
