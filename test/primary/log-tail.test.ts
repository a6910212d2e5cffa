import assert from 'node:assert/strict';
import { readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { LiveWal } from '../../src/primary/live-wal.ts';
import { LogTail } from '../../src/primary/log-tail.ts';
import { frameBytes } from '../../src/wal/frames.ts';
import type { WalIndex } from '../../src/wal/wal-index.ts';
import { LiveDatabase } from '../support/live-database.ts';
import { Scratch } from '../support/scratch.ts';

const noPause = async (): Promise<void> => undefined;

function tailOf(wal: LiveWal, index: number = 0): LogTail {
  const reading = wal.header();
  assert.ok(reading !== undefined);
  // As if everything were published that is in the file.
  const published = (): WalIndex => ({
    change: 0,
    frames: 1_000_000,
    pageCount: 0,
    backfilledFrames: 0,
    readMarks: [],
    frameChecksum: [0, 0],
    ...reading.header,
  });
  return new LogTail({ wal, pageSizeBytes: 4096, published }, { index, reading, change: undefined });
}

/** A transaction that is so large that SQLite writes part of it into the log before it commits. */
function spill(live: LiveDatabase, rows: number): void {
  live.exec('PRAGMA cache_size=5; PRAGMA cache_spill=1; BEGIN');
  live.insert(rows, 3000);
}

describe('the live log', () => {
  it('is empty while there is no file, and is found when there is one', () => {
    using scratch = new Scratch();
    const wal = new LiveWal(scratch.file('x-wal'));
    assert.equal(wal.sizeBytes(), 0);
    assert.equal(wal.header(), undefined);
    assert.equal(wal.read(new Uint8Array(5), 0), 0);
    wal.refresh();
    writeFileSync(scratch.file('x-wal'), Buffer.alloc(40, 1));
    assert.equal(wal.sizeBytes(), 40);
    assert.equal(wal.header(), undefined, 'a header that does not check out is none');
    assert.equal(wal.read(new Uint8Array(50), 30), 10);
    wal.close();
    wal.close();
  });

  it('a path that names another file is noticed at the next refresh', () => {
    using scratch = new Scratch();
    const path = scratch.file('x-wal');
    writeFileSync(path, 'old');
    const wal = new LiveWal(path);
    assert.equal(wal.sizeBytes(), 3);
    wal.refresh();
    writeFileSync(scratch.file('new'), 'another');
    // The old file is kept open, so that its number is not given to the new one.
    wal.refresh();
    assert.equal(wal.sizeBytes(), 3);
    renameSync(scratch.file('new'), path);
    wal.refresh();
    assert.equal(wal.sizeBytes(), 7);
    wal.close();
  });

  it('what cannot be read is an error, not an empty log', () => {
    using scratch = new Scratch();
    const wal = new LiveWal(scratch.path);
    assert.throws(() => wal.header(), { code: 'DB_UNREADABLE', message: /EISDIR/ });
    wal.close();
    writeFileSync(scratch.file('file'), '');
    const below = new LiveWal(scratch.file('file/x-wal'));
    assert.throws(() => below.sizeBytes(), { code: 'DB_UNREADABLE', message: /ENOTDIR/ });
  });
});

describe('the end of what is committed', () => {
  it('moves over commits only, each exactly once', async () => {
    using live = new LiveDatabase();
    const wal = new LiveWal(`${live.path}-wal`);
    const tail = tailOf(wal, 6);
    assert.equal(tail.position.offsetBytes, 32);
    assert.equal(tail.commitPageCount, 0);
    assert.equal(await tail.advance(noPause), true);
    assert.equal(await tail.advance(noPause), false);
    assert.deepEqual(tail.position, { index: 6, offsetBytes: wal.sizeBytes() });
    assert.equal(tail.commitPageCount, 2);
    live.insert(3);
    assert.equal(tail.advanceNow(1_000_000), true);
    assert.equal(tail.position.offsetBytes, wal.sizeBytes());
    assert.deepEqual(tail.cursor, { index: 6, chain: tail.chain });
    assert.equal(tail.pageSizeBytes, 4096);
    assert.equal(tail.isSameLog(), true);
    wal.close();
  });

  it('never passes frames of a transaction that has not committed', async () => {
    using live = new LiveDatabase();
    const wal = new LiveWal(`${live.path}-wal`);
    const tail = tailOf(wal);
    await tail.advance(noPause);
    const before = tail.position.offsetBytes;
    spill(live, 200);
    assert.ok(wal.sizeBytes() > before + 10 * frameBytes(4096), 'the sample must have spilled');
    assert.equal(await tail.advance(noPause), false);
    assert.equal(tail.advanceNow(100_000_000), true);
    assert.equal(tail.position.offsetBytes, before);
    live.exec('COMMIT');
    assert.equal(await tail.advance(noPause), true);
    assert.equal(tail.position.offsetBytes, wal.sizeBytes());
    wal.close();
  });

  it('a rollback, then other frames at the same place: only those that committed count', async () => {
    using live = new LiveDatabase();
    const wal = new LiveWal(`${live.path}-wal`);
    const tail = tailOf(wal);
    await tail.advance(noPause);
    spill(live, 200);
    const spilled = wal.sizeBytes();
    await tail.advance(noPause);
    live.exec('ROLLBACK');
    live.insert(1, 50);
    assert.equal(await tail.advance(noPause), true);
    assert.ok(tail.position.offsetBytes < spilled);
    live.insert(2, 9000);
    await tail.advance(noPause);
    // SQLite's own opinion of how many frames there are.
    const frames = (tail.position.offsetBytes - 32) / frameBytes(4096);
    assert.deepEqual(live.checkpoint('PASSIVE'), { busy: 0, log: frames });
    assert.equal(live.count(), 3);
    wal.close();
  });

  it('a transaction larger than several steps is found, with others let in between', async () => {
    using live = new LiveDatabase();
    const wal = new LiveWal(`${live.path}-wal`);
    const tail = tailOf(wal);
    live.exec('PRAGMA cache_size=5; PRAGMA cache_spill=1');
    live.insert(4000, 3900);
    assert.ok(wal.sizeBytes() > 12 * 1024 * 1024);
    assert.equal(tail.advanceNow(1024 * 1024), false, 'too far ahead for one go');
    let pauses = 0;
    const pause = async (): Promise<void> => void pauses++;
    assert.equal(await tail.advance(pause), true);
    assert.ok(pauses >= 2, `${pauses} pauses`);
    assert.equal(tail.position.offsetBytes, wal.sizeBytes());
    wal.close();
  });

  it('frames of an older log behind the end do not count, and a restart is seen', async () => {
    using live = new LiveDatabase();
    live.insert(100, 3000);
    const wal = new LiveWal(`${live.path}-wal`);
    const tail = tailOf(wal);
    await tail.advance(noPause);
    const before = tail.position.offsetBytes;
    live.checkpoint('RESTART');
    assert.equal(tail.isSameLog(), true, 'the header is written with the next frame');
    live.insert(1);
    assert.equal(tail.isSameLog(), false);
    assert.equal(wal.sizeBytes(), before, 'SQLite uses the file again');
    assert.equal(await tail.advance(noPause), false);
    assert.equal(tail.position.offsetBytes, before);
    const next = tailOf(wal, 1);
    await next.advance(noPause);
    assert.ok(next.position.offsetBytes < before);
    assert.equal(next.format.salt1, (tail.format.salt1 + 1) >>> 0);
    live.checkpoint('TRUNCATE');
    assert.equal(wal.sizeBytes(), 0);
    assert.equal(next.isSameLog(), false);
    assert.equal(await next.advance(noPause), false);
    wal.close();
  });

  it('a file cut in the middle of a frame ends at the frame before', async () => {
    using scratch = new Scratch();
    const path = scratch.file('copy-wal');
    {
      using live = new LiveDatabase();
      live.insert(1);
      live.insert(1);
      writeFileSync(path, readFileSync(`${live.path}-wal`));
    }
    const wal = new LiveWal(path);
    const whole = tailOf(wal);
    await whole.advance(noPause);
    truncateSync(path, wal.sizeBytes() - 1);
    const cut = tailOf(wal);
    await cut.advance(noPause);
    assert.ok(cut.position.offsetBytes < whole.position.offsetBytes);
    assert.ok(cut.position.offsetBytes > 32);
    wal.close();
  });

  it('follows a writer in another connection', async () => {
    using live = new LiveDatabase(1024);
    const wal = new LiveWal(`${live.path}-wal`);
    const tail = tailOf(wal);
    const other = new DatabaseSync(live.path);
    for (let n = 0; n < 50; n++) {
      (n % 2 === 0 ? other : live.app).exec(`INSERT INTO t (body) VALUES (zeroblob(${n * 40}))`);
      assert.equal(await tail.advance(noPause), true);
      assert.equal(tail.position.offsetBytes, wal.sizeBytes());
    }
    other.close();
    wal.close();
  });
});
