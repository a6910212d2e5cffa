import assert from 'node:assert/strict';
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isRivuletError } from '../../src/base/errors.ts';
import { positionOf, startOfLog } from '../../src/primary/cursor.ts';
import { ChildScript } from '../support/child-script.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { Primary } from '../../src/primary/primary.ts';
import { LiveDatabase, NO_ROOM, NOT_IN_MEMORY, openPrimary } from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Scratch } from '../support/scratch.ts';
import { Follower } from '../support/take-all.ts';
import { PATIENCE_MS } from '../support/until.ts';

const SUM = 'SELECT count(*) AS n, sum(length(body)) AS bytes, hex(max(body)) AS greatest FROM t';

function rowsOf(live: LiveDatabase, sql: string = SUM): unknown[] {
  return live.app
    .prepare(sql)
    .all()
    .map((row) => ({ ...row }));
}

function reasonOf(logger: RecordingLogger): unknown {
  return logger.matching('starting a new generation').at(-1)?.fields['reason'];
}

/** A busy writer's own checkpoints may keep a look from succeeding; a later one finds all of it. */
async function patiently(work: () => Promise<unknown>): Promise<void> {
  const giveUpAtMs = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      if (!isRivuletError(error, 'DB_BUSY') || performance.now() > giveUpAtMs) throw error;
      await delay(5);
    }
  }
}

/** Lets a primary see the database once and close; what it knew then. */
async function visit(live: LiveDatabase): Promise<{ generation: string | undefined; index: number }> {
  const primary = openPrimary(live.path);
  await primary.refresh();
  const seen = { generation: primary.generation, index: primary.position?.index ?? -1 };
  await primary.close();
  return seen;
}

describe('following one database', () => {
  it('takes everything committed, through checkpoints and restarts, and nothing else', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path, { checkpoint: { minPages: 5 } });
    await primary.refresh();
    const follower = new Follower(primary);
    await follower.start();
    for (let round = 0; round < 30; round++) {
      live.insert(1 + (round % 7), 700);
      if (round % 5 === 0) live.exec('DELETE FROM t WHERE id % 3 = 0');
      assert.equal(await primary.refresh(), true);
      follower.take(5000);
      assert.deepEqual(positionOf(follower.cursor), primary.position);
    }
    assert.ok(follower.indexes().length > 5);
    assert.equal(await primary.refresh(), false);
    assert.deepEqual(follower.rows(SUM), rowsOf(live));
    assert.equal(primary.spoolBytes, 0);
    await primary.close();
    assert.ok(existsSync(`${live.path}-wal`));
  });

  it('an application that truncates the log again and again loses nothing, nor begins a generation', async () => {
    using live = new LiveDatabase();
    const logger = new RecordingLogger();
    const primary = openPrimary(live.path, { logger, checkpoint: { minPages: 1 } });
    await primary.refresh();
    const { generation } = primary;
    const follower = new Follower(primary);
    await follower.start();
    live.exec('PRAGMA busy_timeout=0');
    for (let round = 0; round < 25; round++) {
      live.insert(2);
      live.checkpoint('TRUNCATE');
      await primary.refresh();
      follower.take();
      live.checkpoint('TRUNCATE');
      live.checkpoint('TRUNCATE');
    }
    await primary.refresh();
    follower.take();
    assert.equal(primary.generation, generation);
    assert.equal(logger.matching('starting a new generation').length, 1);
    assert.deepEqual(follower.rows(SUM), rowsOf(live));
    await primary.close();
  });

  it('VACUUM and a smaller database are followed', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path, { checkpoint: { minPages: 20 } });
    live.insert(300, 3000);
    await primary.refresh();
    const follower = new Follower(primary);
    await follower.start();
    live.exec('DELETE FROM t WHERE id > 10');
    await primary.refresh();
    live.exec('VACUUM');
    await primary.refresh();
    follower.take();
    live.insert(5);
    await primary.refresh();
    follower.take();
    assert.deepEqual(follower.rows(SUM), rowsOf(live));
    assert.deepEqual(follower.rows('PRAGMA page_count'), rowsOf(live, 'PRAGMA page_count'));
    await primary.close();
  });

  it('two destinations at their own pace: the spool keeps what the slow one lacks', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path, { checkpoint: { minPages: 10 } });
    await primary.refresh();
    const [fast, slow] = [new Follower(primary, 'fast'), new Follower(primary, 'slow')];
    await fast.start();
    await slow.start();
    for (let round = 0; round < 12; round++) {
      live.insert(20, 900);
      await primary.refresh();
      fast.take();
    }
    assert.ok(primary.spoolBytes > 0);
    const lag = primary.bytesBetween(
      positionOf(slow.cursor),
      primary.position ?? { index: 0, offsetBytes: 0 },
    );
    assert.equal(slow.take(), lag, 'the lag that is told is what is then taken');
    assert.deepEqual(slow.rows(SUM), rowsOf(live));
    assert.deepEqual(fast.rows(SUM), rowsOf(live));
    await primary.refresh();
    slow.take();
    fast.take();
    assert.equal(primary.spoolBytes, 0);
    await primary.close();
  });

  it('a full spool drops the slow one only, once it fails, and says so', async () => {
    using live = new LiveDatabase();
    const logger = new RecordingLogger();
    const clock = new FakeClock();
    const checkpoint = { minPages: 10, maxPages: 20 };
    const primary = openPrimary(live.path, { logger, clock, checkpoint, spoolLimitBytes: 9e6 });
    await primary.refresh();
    const [fast, slow] = [new Follower(primary, 'fast'), new Follower(primary, 'slow')];
    await fast.start();
    await slow.start();
    const write = async (rounds: number): Promise<void> => {
      for (let round = 0; round < rounds; round++) {
        live.insert(200, 3900);
        clock.advance(1000);
        await primary.refresh();
        fast.take();
      }
    };
    await write(15);
    assert.equal(primary.take(slow.cursor, 1e6).kind, 'bytes', 'a slow one is waited for');
    assert.deepEqual(logger.messages('warn'), []);
    assert.ok(primary.spoolBytes < 11e6);
    primary.failed('slow');
    await write(1);
    assert.equal(primary.take(slow.cursor, 1e6).kind, 'lost');
    const warnings = logger.lines.filter(({ level }) => level === 'warn');
    assert.deepEqual(
      warnings.map(({ fields }) => fields['replica']),
      ['slow'],
    );
    assert.deepEqual(fast.rows(SUM), rowsOf(live));
    assert.ok(primary.spoolBytes < 11e6);
    await slow.start();
    live.insert(1);
    await primary.refresh();
    slow.take();
    assert.deepEqual(positionOf(slow.cursor), primary.position);
    await primary.close();
  });

  it('without a spool, a destination that is hardly behind keeps its chain', async () => {
    using live = new LiveDatabase();
    const logger = new RecordingLogger();
    const primary = openPrimary(live.path, { logger, checkpoint: { minPages: 5 }, spoolLimitBytes: 0 });
    await primary.refresh();
    const follower = new Follower(primary);
    await follower.start();
    for (let round = 0; round < 10; round++) {
      live.insert(4, 2000);
      await primary.refresh();
      live.insert(1, 2000);
      await primary.refresh();
      follower.take();
    }
    assert.deepEqual(logger.messages('error'), []);
    assert.deepEqual(follower.rows(SUM), rowsOf(live));
    await primary.close();
  });

  it('a log that somebody removed is an error, not silence', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path);
    await primary.refresh();
    live.exec('PRAGMA busy_timeout=0');
    live.checkpoint('TRUNCATE');
    assert.equal(typeof (await primary.refresh()), 'boolean', 'an empty log is none');
    rmSync(`${live.path}-wal`);
    live.insert(1);
    await assert.rejects(primary.refresh(), {
      code: 'DB_UNREADABLE',
      message: /-wal was removed while the database is in use/,
      hint: /Restart the application/,
    });
    await primary.close();
  });

  it('a generation that a destination cannot continue is given up for all', async () => {
    using live = new LiveDatabase();
    const logger = new RecordingLogger();
    const primary = openPrimary(live.path, { logger });
    await primary.refresh();
    const { generation = '' } = primary;
    await primary.abandonGeneration('ffffffffffffffff', 'not this one');
    assert.equal(primary.generation, generation);
    await primary.abandonGeneration(generation, 'a test');
    assert.notEqual(primary.generation, generation);
    assert.equal(reasonOf(logger), 'a test');
    const follower = new Follower(primary);
    await follower.start();
    live.insert(3);
    await primary.refresh();
    follower.take();
    assert.deepEqual(follower.rows(SUM), rowsOf(live));
    await primary.close();
  });

  it('says what it cannot give', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path);
    assert.deepEqual(primary.take(startOfLog(0), 1000), { kind: 'caught-up' });
    await assert.rejects(primary.attach('x'), { code: 'DB_NOT_FOUND' });
    await assert.rejects(primary.openSnapshot(), { code: 'DB_NOT_FOUND' });
    assert.equal(primary.sizes(), undefined);
    await primary.refresh();
    assert.equal(primary.take(startOfLog(1), 1000).kind, 'lost');
    assert.equal(primary.sizes()?.databaseBytes, 4096);
    const { generation = '' } = primary;
    assert.equal(await primary.resumeAtStart(generation, 1), undefined);
    assert.equal(await primary.resumeAtStart('ffffffffffffffff', 0), undefined);
    assert.deepEqual(await primary.resumeAtStart(generation, 0), startOfLog(0));
    await primary.close();
  });

  it('resumes behind a segment that is the log, and behind nothing else', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path);
    live.insert(10);
    await primary.refresh();
    live.insert(10);
    await primary.refresh();
    const { generation = '' } = primary;
    const taken = primary.take(startOfLog(0), 1e6);
    assert.ok(taken.kind === 'bytes');
    const start = { index: 0, offsetBytes: 0 };
    const bytes = taken.bytes.slice();
    assert.deepEqual(await primary.resumeAfter(generation, start, bytes), taken.cursor);
    assert.equal(await primary.resumeAfter('ffffffffffffffff', start, bytes), undefined);
    assert.equal(await primary.resumeAfter(generation, start, bytes.subarray(0, 50)), undefined);
    assert.equal(await primary.resumeAfter(generation, { index: 1, offsetBytes: 0 }, bytes), undefined);
    const changed = bytes.slice();
    changed[changed.length - 4096 - 1] = (changed.at(-4097) ?? 0) ^ 1;
    assert.equal(await primary.resumeAfter(generation, start, changed), undefined);
    const longer = Buffer.concat([bytes, bytes.subarray(32)]);
    assert.equal(await primary.resumeAfter(generation, start, longer), undefined, 'ahead of the database');
    await primary.close();
  });

  it('an earlier log: resumes when its rest is spooled, and not behind its end', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path, { checkpoint: { minPages: 3 } });
    await primary.refresh();
    const follower = new Follower(primary, 'slow');
    await follower.start();
    live.insert(10, 2000);
    await primary.refresh();
    const taken = primary.take(follower.cursor, 9000);
    assert.ok(taken.kind === 'bytes');
    const first = taken.bytes.slice();
    const rest = primary.take(taken.cursor, 1e6);
    assert.ok(rest.kind === 'bytes');
    const whole = Buffer.concat([first, rest.bytes]);
    live.insert(1);
    await primary.refresh();
    assert.equal(primary.position?.index, taken.from.index + 1);
    const { generation = '' } = primary;
    const resumed = await primary.resumeAfter(generation, taken.from, first);
    assert.ok(resumed !== undefined);
    const again = primary.take(resumed, 1e6);
    assert.ok(again.kind === 'bytes' && Buffer.compare(again.bytes, rest.bytes) === 0);
    assert.deepEqual(await primary.resumeAtStart(generation, taken.from.index), startOfLog(taken.from.index));
    assert.ok((await primary.resumeAfter(generation, taken.from, whole)) !== undefined);
    const beyond = Buffer.concat([whole, rest.bytes.subarray(-4120)]);
    assert.equal(await primary.resumeAfter(generation, taken.from, beyond), undefined);
    primary.drop('slow');
    assert.equal(await primary.resumeAfter(generation, taken.from, first), undefined);
    await primary.close();
  });
});

describe('one generation after another', () => {
  it('a clean end continues, with and without writes meanwhile', async () => {
    using live = new LiveDatabase();
    const first = await visit(live);
    assert.deepEqual(await visit(live), first);
    live.insert(3);
    assert.deepEqual(await visit(live), first);
    // The last to close a database takes its log away; what it held cannot be known any more.
    live.close();
    assert.notEqual((await visit(live)).generation, first.generation);
  });

  it('the log was restarted once, after all of it had been seen: the next index, proven', async () => {
    using live = new LiveDatabase();
    live.insert(50);
    const first = await visit(live);
    live.insert(30, 3000);
    await visit(live);
    live.checkpoint('RESTART');
    live.insert(1, 10);
    assert.deepEqual(await visit(live), { generation: first.generation, index: first.index + 1 });
  });

  it('the log was restarted and nothing proves its end: a new generation', async () => {
    using live = new LiveDatabase();
    const first = await visit(live);
    live.insert(5);
    live.checkpoint('RESTART');
    live.insert(1);
    const logger = new RecordingLogger();
    const primary = openPrimary(live.path, { logger });
    await primary.refresh();
    assert.notEqual(primary.generation, first.generation);
    assert.match(String(reasonOf(logger)), /cannot be proven/);
    await primary.close();
  });

  it('checkpoints of every mode while nobody looks: never a joined history that is not one', async () => {
    for (const mode of ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const) {
      using live = new LiveDatabase();
      live.insert(20);
      const first = await visit(live);
      live.checkpoint(mode);
      const primary = openPrimary(live.path);
      await primary.refresh();
      if (mode === 'TRUNCATE') assert.notEqual(primary.generation, first.generation, 'the log is gone');
      else assert.equal(primary.generation, first.generation, mode);
      const follower = new Follower(primary);
      await follower.start();
      live.insert(3);
      await primary.refresh();
      follower.take();
      assert.deepEqual(follower.rows(SUM), rowsOf(live), mode);
      await primary.close();
    }
  });

  it('the reason is told: no state, damaged state, log gone, log overwritten', async () => {
    const reasons: [(live: LiveDatabase) => void, RegExp][] = [
      [(live) => rmSync(`${live.path}-meta/state.json`), /no local state/],
      [(live) => writeFileSync(`${live.path}-meta/state.json`, '{'), /damaged/],
      [
        (live) => {
          live.app.exec('PRAGMA wal_checkpoint(TRUNCATE)');
          live.close();
          rmSync(`${live.path}-wal`, { force: true });
        },
        /gone|nobody was watching|cannot be proven/,
      ],
      [
        (live) => {
          live.checkpoint('TRUNCATE');
          live.checkpoint('TRUNCATE');
          live.insert(1);
        },
        /nobody was watching/,
      ],
    ];
    for (const [harm, reason] of reasons) {
      using live = new LiveDatabase();
      live.insert(5);
      const first = await visit(live);
      harm(live);
      const logger = new RecordingLogger();
      const seen: string[] = [];
      const observer = { onGeneration: (_: string, why: string) => void seen.push(why) };
      const primary = openPrimary(live.path, { logger, observer });
      await primary.refresh();
      assert.notEqual(primary.generation, first.generation);
      assert.match(String(reasonOf(logger)), reason);
      assert.deepEqual(seen, [reasonOf(logger)]);
      await primary.close();
    }
  });

  it('a killed process continues, whatever was written and checkpointed meanwhile', async () => {
    using live = new LiveDatabase();
    const metaPath = live.scratch.file('meta');
    let generation = '';
    for (const meanwhile of ['nothing', 'writes', 'PASSIVE', 'writes'] as const) {
      await using killed = new ChildScript('primary-script.ts', [live.path, metaPath]);
      const [now = ''] = (await killed.line()).split(' ');
      if (generation !== '') assert.equal(now, generation, meanwhile);
      generation = now;
      live.insert(10);
      await killed.ask('refresh');
      live.insert(2);
      await killed.kill('SIGKILL');
      if (meanwhile === 'writes') live.insert(10);
      if (meanwhile === 'PASSIVE') live.checkpoint('PASSIVE');
    }
    const primary = openPrimary(live.path, { metaPath });
    await primary.refresh();
    assert.equal(primary.generation, generation);
    await primary.close();
  });

  for (const shape of [{}, { copySizes: NOT_IN_MEMORY }, { copySizes: NOT_IN_MEMORY, machine: NO_ROOM }]) {
    it(`a database that takes the place of another is another generation: ${Object.keys(shape).join()}`, async () => {
      using live = new LiveDatabase();
      const logger = new RecordingLogger();
      const primary = openPrimary(live.path, { logger, ...shape });
      live.insert(600, 4000);
      await primary.refresh();
      const first = primary.generation;
      const snapshot = await primary.openSnapshot();
      using other = new LiveDatabase();
      other.exec("CREATE TABLE mark (a); INSERT INTO mark VALUES ('other')");
      other.checkpoint('TRUNCATE');
      other.close();
      live.close();
      rmSync(`${live.path}-wal`);
      rmSync(`${live.path}-shm`);
      renameSync(other.path, live.path);
      assert.equal(await primary.refresh(), true);
      assert.notEqual(primary.generation, first);
      assert.match(String(reasonOf(logger)), /replaced by another/);
      assert.equal(logger.matching('was removed or replaced').length, 1);
      await assert.rejects(async () => {
        for await (const piece of snapshot.pages()) {
          assert.equal(Buffer.from(piece).includes('CREATE TABLE mark'), false, 'pages of the new file');
        }
      }, 'a snapshot of the old file must not go on with the new one');
      snapshot.close();
      const follower = new Follower(primary);
      await follower.start();
      assert.deepEqual(follower.rows('SELECT a FROM mark'), [{ a: 'other' }]);
      await primary.close();
    });
  }

  it('a database that has taken the place of another unseen is never mixed with it', async () => {
    const beginSnapshot = async (primary: Primary): Promise<Buffer> => {
      const snapshot = await primary.openSnapshot();
      const pieces: Buffer[] = [];
      for await (const piece of snapshot.pages()) pieces.push(Buffer.from(piece));
      snapshot.close();
      return Buffer.concat(pieces);
    };
    const abandon = async (primary: Primary): Promise<Buffer> => {
      await primary.abandonGeneration(primary.generation as string, 'for this test');
      return beginSnapshot(primary);
    };
    for (const work of [beginSnapshot, abandon]) {
      using live = new LiveDatabase();
      const primary = openPrimary(live.path);
      live.insert(60, 4000);
      await primary.refresh();
      const first = primary.generation;
      using other = new LiveDatabase();
      other.exec("CREATE TABLE mark (a); INSERT INTO mark VALUES ('other')");
      other.checkpoint('TRUNCATE');
      other.close();
      live.close();
      for (const ending of ['-wal', '-shm']) rmSync(live.path + ending);
      renameSync(other.path, live.path);
      live.exec("INSERT INTO mark VALUES ('in the log')");
      const pages = await work(primary);
      assert.notEqual(primary.generation, first);
      assert.equal(pages.length, Number(live.app.prepare('PRAGMA page_count').get()?.['page_count']) * 4096);
      assert.ok(pages.includes('CREATE TABLE mark') && pages.includes('in the log'));
      await primary.close();
    }
  });

  it('a database that is deleted is waited for, and one that is made anew is followed', async () => {
    using live = new LiveDatabase();
    const logger = new RecordingLogger();
    const primary = openPrimary(live.path, { logger });
    await primary.refresh();
    const first = primary.generation;
    live.close();
    for (const ending of ['', '-wal', '-shm']) rmSync(live.path + ending, { force: true });
    assert.equal(await primary.refresh(), false);
    assert.equal(await primary.refresh(), false);
    assert.equal(primary.status, 'waiting');
    assert.equal(primary.generation, undefined);
    assert.equal(logger.matching('waiting for it').length, 1);
    writeFileSync(live.path, '');
    assert.equal(await primary.refresh(), false, 'an empty file is not a database yet');
    live.exec('PRAGMA journal_mode=delete; CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)');
    assert.equal(await primary.refresh(), true);
    assert.equal(logger.matching('to WAL mode').length, 1);
    assert.notEqual(primary.generation, first);
    live.insert(4);
    await primary.refresh();
    const follower = new Follower(primary);
    await follower.start();
    assert.deepEqual(follower.rows('SELECT count(*) AS n FROM t'), [{ n: 4 }]);
    await primary.close();
  });

  it('a journal mode that an application has set meanwhile is switched back, with what the application must set', async () => {
    using live = new LiveDatabase();
    const logger = new RecordingLogger();
    const first = openPrimary(live.path, { logger });
    await first.refresh();
    await first.close();
    assert.deepEqual(logger.matching('switched'), []);
    live.exec('PRAGMA journal_mode=delete');
    live.close();
    const second = openPrimary(live.path, { logger });
    await second.refresh();
    await second.close();
    assert.deepEqual(
      logger.matching('switched').map(({ level, message }) => [level, message]),
      [['warn', 'switched the database back to WAL mode: an application had set another journal mode']],
    );
    assert.match(
      String(logger.matching('switched')[0]?.fields['hint']),
      /must set journal_mode=WAL or leave it out/,
    );
  });

  it('a second one on the same state is refused until the first is closed', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path);
    assert.throws(() => openPrimary(live.path), { code: 'DB_IN_USE' });
    await primary.close();
    await primary.close();
    await openPrimary(live.path).close();
  });

  it('something that is no database is an error each time, and followed when it has become one', async () => {
    using scratch = new Scratch();
    const path = scratch.file('x.db');
    writeFileSync(path, 'words '.repeat(1000));
    const primary = openPrimary(path);
    await assert.rejects(primary.refresh(), { code: 'DB_INVALID' });
    await assert.rejects(primary.refresh(), { code: 'DB_INVALID' });
    rmSync(path);
    const app = new DatabaseSync(path);
    app.exec('CREATE TABLE t (a)');
    assert.equal(await primary.refresh(), true);
    app.close();
    await primary.close();
  });
});

describe('checkpoints and snapshots', () => {
  it('checkpoint by time, by size, and later again when something hindered', async () => {
    using live = new LiveDatabase();
    const clock = new FakeClock();
    const checkpoints: unknown[] = [];
    const observer = { onCheckpoint: (_: number, error?: unknown) => void checkpoints.push(error) };
    const primary = openPrimary(live.path, { clock, observer, checkpoint: { intervalMs: 60_000 } });
    await primary.refresh();
    live.insert(1);
    await primary.refresh();
    assert.equal(checkpoints.length, 0);
    clock.advance(60_000);
    await primary.refresh();
    assert.equal(checkpoints.length, 1);
    await primary.refresh();
    clock.advance(120_000);
    await primary.refresh();
    assert.equal(checkpoints.length, 1, 'nothing new');
    live.insert(1);
    const reader = new DatabaseSync(live.path);
    reader.exec('BEGIN; SELECT * FROM t');
    live.insert(1);
    await primary.refresh();
    clock.advance(120_000);
    live.exec('BEGIN IMMEDIATE');
    await primary.refresh();
    const during = checkpoints.length;
    live.exec('ROLLBACK');
    await primary.refresh();
    assert.equal(checkpoints.length, during, 'it waits a moment first');
    clock.advance(60_000);
    reader.close();
    await primary.refresh();
    assert.ok(checkpoints.length > during);
    assert.ok(checkpoints.every((error) => error === undefined));
    await primary.close();
  });

  it('a large log is checkpointed beside the following', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path, { checkpoint: { minPages: 2000 } });
    await primary.refresh();
    const follower = new Follower(primary);
    await follower.start();
    live.insert(3000, 3800);
    await primary.refresh();
    follower.take();
    await primary.refresh();
    live.insert(1);
    await primary.refresh();
    assert.equal(primary.position?.index, 1, 'the next writer began a new log');
    follower.take();
    assert.deepEqual(follower.rows(SUM), rowsOf(live));
    await primary.close();
  });

  for (const [name, isCheckpointed] of [
    [
      'a snapshot that is read in place is the database, although the log is restarted while it is read',
      true,
    ],
    ['a snapshot that is read in place is the database, and the log is held up by it', false],
  ] as const) {
    it(name, async () => {
      using live = new LiveDatabase();
      live.insert(700, 4000);
      const withoutRoom = { machine: NO_ROOM, copySizes: NOT_IN_MEMORY };
      const primary = openPrimary(live.path, { checkpoint: { minPages: 1 }, ...withoutRoom });
      await primary.refresh();
      live.insert(300, 4000);
      live.exec('UPDATE t SET body = randomblob(100) WHERE id < 50');
      if (isCheckpointed) await primary.refresh();
      const expected = rowsOf(live);
      const snapshot = await primary.openSnapshot();
      assert.deepEqual(snapshot.position, primary.position);
      const pieces: Uint8Array[] = [];
      for await (const piece of snapshot.pages()) {
        pieces.push(piece.slice());
        live.insert(3, 2000);
        live.exec('UPDATE t SET body = zeroblob(50) WHERE id % 7 = 0');
        await primary.refresh();
      }
      snapshot.close();
      assert.equal((primary.position?.index ?? 0) > snapshot.position.index, isCheckpointed);
      using scratch = new Scratch();
      writeFileSync(scratch.file('copy.db'), Buffer.concat(pieces));
      const copy = new DatabaseSync(scratch.file('copy.db'));
      assert.deepEqual({ ...copy.prepare('PRAGMA integrity_check').get() }, { integrity_check: 'ok' });
      assert.deepEqual(
        copy
          .prepare(SUM)
          .all()
          .map((row) => ({ ...row })),
        expected,
      );
      copy.close();
      assert.equal(Buffer.concat(pieces).length, snapshot.pageCount * snapshot.pageSizeBytes);
      await primary.close();
    });
  }

  it('under a writer as fast as it can, with small automatic checkpoints, no frame is lost', async () => {
    using live = new LiveDatabase();
    live.close();
    await using writer = new ChildScript('writer-script.ts', [live.path, '50']);
    await writer.line();
    const logger = new RecordingLogger();
    const primary = openPrimary(live.path, { logger, checkpoint: { minPages: 200 } });
    await primary.refresh();
    const follower = new Follower(primary);
    const written = writer.ask('go 2000');
    await patiently(async () => follower.start());
    const end = new AbortController();
    void written.finally(() => end.abort());
    while (!end.signal.aborted) {
      await patiently(async () => primary.refresh());
      follower.take();
      await delay(5);
    }
    const commits = await written;
    await primary.refresh();
    follower.take();
    assert.equal(logger.matching('starting a new generation').length, 1);
    follower.indexes();
    const sql = 'SELECT count(*) AS n, max(n) AS last, sum(length(body)) AS bytes FROM counted';
    const expected = JSON.parse(await writer.ask(`sql ${sql}`)) as { n: number }[];
    assert.deepEqual(follower.rows(sql), expected);
    assert.equal(expected[0]?.n, Number(commits));
    await primary.close();
  });

  it('a change that is found on the way to a snapshot wakes who waits for changes', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path);
    await primary.refresh();
    const woken = primary.waitForChange();
    live.insert(1);
    const snapshot = await primary.openSnapshot();
    await woken;
    snapshot.close();
    await primary.close();
  });

  it('a wait ends with its signal', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path);
    const stop = new AbortController();
    const waiting = primary.waitForChange(stop.signal);
    stop.abort(new Error('enough'));
    await assert.rejects(waiting, /enough/);
    await assert.rejects(primary.waitForChange(stop.signal), /enough/);
    await primary.close();
  });
});
