import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { SIZE_UNKNOWN, SizeLimit, sizeOfSnapshot } from '../../src/restore/size-limit.ts';
import { lockPageNumber } from '../../src/wal/database-header.ts';
import { FRAME_HEADER_BYTES, frameBytes, frameCommit, framePage, viewOf } from '../../src/wal/frames.ts';
import { WAL_HEADER_BYTES } from '../../src/wal/wal-header.ts';
import { Scratch } from '../support/scratch.ts';

const SEGMENT = { key: 'generations/a/wal/b', index: 0, offsetBytes: 0, sizeBytes: 1, createdAt: 0 };
const PAGE = 4096;
const UNWRITTEN_PAGES = (256 * 1024 * 1024) / PAGE;
/** So large that a single page may come without a frame, as the lock-byte page does. */
const STRICT = 2 ** 40;

const ROWS = '(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < $) SELECT n FROM c)';

/** What an application may do in one transaction; each number is how much of it. */
const WORK: readonly ((much: number) => string)[] = [
  (much) => `INSERT INTO t (x) SELECT randomblob(${much * 30}) FROM ${ROWS.replace('$', String(much))}`,
  (much) => `BEGIN; INSERT INTO t (x) SELECT zeroblob(900) FROM ${ROWS.replace('$', String(much * 4))};
    DELETE FROM t WHERE id % 2 = 0; COMMIT`,
  (much) => `DELETE FROM t WHERE id % ${1 + (much % 4)} = 0`,
  () => 'VACUUM',
  (much) => `PRAGMA incremental_vacuum(${much})`,
  (
    much,
  ) => `BEGIN; SAVEPOINT a; INSERT INTO t (x) SELECT randomblob(2000) FROM ${ROWS.replace('$', String(much * 4))};
    ROLLBACK TO a; INSERT INTO u VALUES (1); COMMIT`,
  (much) =>
    `BEGIN; INSERT INTO u SELECT randomblob(${much * 50}) FROM t; DELETE FROM u; INSERT INTO u VALUES (2); COMMIT`,
];

/** Goes through a log as SQLite wrote it; each transaction, and not just the last one of a log, must be accounted for. */
function checkLog(limit: SizeLimit, wal: Uint8Array, pageSizeBytes: number): void {
  const view = viewOf(wal);
  const size = frameBytes(pageSizeBytes);
  for (let at = WAL_HEADER_BYTES; at + size <= wal.length; at += size) {
    if (view.getUint32(at + 8) !== view.getUint32(16) || view.getUint32(at + 12) !== view.getUint32(20))
      break;
    assert.ok(wal.length >= at + FRAME_HEADER_BYTES);
    limit.frame(framePage(view, at));
    const commit = frameCommit(view, at);
    if (commit === 0) continue;
    limit.commit(commit, SEGMENT);
    assert.equal(limit.oversize(), undefined);
  }
  limit.logEnded();
}

describe('the size of a database', () => {
  it('is accounted for by the frames in whatever SQLite does', () => {
    const step = fc.tuple(fc.nat(WORK.length - 1), fc.integer({ min: 1, max: 60 }));
    const shape = fc.record({
      pageSizeBytes: fc.constantFrom(512, 1024, 4096, 65536),
      autoVacuum: fc.constantFrom('none', 'full', 'incremental'),
      cachePages: fc.constantFrom(10, 2000),
      secureDelete: fc.boolean(),
      logs: fc.array(fc.array(step, { maxLength: 5 }), { minLength: 1, maxLength: 4 }),
    });
    fc.assert(
      fc.property(shape, ({ pageSizeBytes, autoVacuum, cachePages, secureDelete, logs }) => {
        using scratch = new Scratch();
        const path = scratch.file('db');
        using database = new DatabaseSync(path);
        database.exec(`PRAGMA page_size = ${pageSizeBytes}; PRAGMA auto_vacuum = ${autoVacuum};
          PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = off;
          PRAGMA cache_size = ${cachePages}; PRAGMA secure_delete = ${secureDelete};
          CREATE TABLE t (id INTEGER PRIMARY KEY, x); CREATE TABLE u (x); PRAGMA wal_checkpoint(TRUNCATE)`);
        const limit = new SizeLimit(STRICT, sizeOfSnapshot(statSync(path).size / pageSizeBytes));
        for (const steps of logs) {
          for (const [kind, much] of steps) database.exec(WORK[kind]!(much));
          checkLog(limit, readFileSync(`${path}-wal`), pageSizeBytes);
          database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
        }
      }),
      { numRuns: 25 },
    );
  });

  it('may pass the lock-byte page, which has no frame', () => {
    const lockPage = lockPageNumber(512);
    const limit = new SizeLimit(STRICT, sizeOfSnapshot(lockPage - 1));
    limit.frame(lockPage + 1);
    limit.commit(lockPage + 1, SEGMENT);
    assert.equal(limit.oversize(), undefined);
    limit.logEnded();
    limit.frame(lockPage + 2);
    limit.commit(lockPage + 2, SEGMENT);
    assert.equal(limit.oversize(), undefined);
  });

  it('may hold zeros at the end of a file that grows in chunks, and no more than that', () => {
    const limit = new SizeLimit(PAGE, sizeOfSnapshot(10));
    limit.frame(1);
    limit.commit(10 + UNWRITTEN_PAGES, SEGMENT);
    assert.equal(limit.oversize(), undefined);
    limit.logEnded();
    limit.frame(1);
    limit.commit(11 + UNWRITTEN_PAGES, SEGMENT);
    assert.deepEqual(limit.oversize(), {
      segment: SEGMENT,
      pageCount: 11 + UNWRITTEN_PAGES,
      pagesSeen: 10,
    });
  });

  it('is neither what a page number says nor what the same page makes again and again', () => {
    const far = new SizeLimit(PAGE, sizeOfSnapshot(2));
    far.frame(4_000_000_000);
    far.commit(4_000_000_000, SEGMENT);
    assert.equal(far.oversize()?.pagesSeen, 3);
    const again = new SizeLimit(STRICT, sizeOfSnapshot(2));
    for (let i = 0; i < 1000; i++) again.frame(3);
    again.commit(900, SEGMENT);
    assert.equal(again.oversize()?.pagesSeen, 3);
  });

  it('counts at the end of a log: a snapshot may be younger than a transaction before it', () => {
    const limit = new SizeLimit(PAGE, sizeOfSnapshot(2));
    limit.frame(1);
    limit.commit(1_000_000, SEGMENT);
    limit.frame(1);
    limit.commit(2, SEGMENT);
    assert.equal(limit.oversize(), undefined);
  });

  it('is gone on with from a note, and from one that says nothing of it', () => {
    const limit = new SizeLimit(PAGE, sizeOfSnapshot(2));
    for (let page = 3; page <= 100_000; page++) limit.frame(page);
    const noted = new SizeLimit(PAGE, JSON.parse(JSON.stringify(limit.seen)));
    noted.commit(100_000, SEGMENT);
    assert.equal(noted.oversize(), undefined);
    noted.commit(200_000, SEGMENT);
    assert.notEqual(noted.oversize(), undefined);
    const unknown = new SizeLimit(PAGE, JSON.parse(JSON.stringify(SIZE_UNKNOWN)));
    unknown.commit(100_000, SEGMENT);
    assert.equal(unknown.oversize(), undefined);
    unknown.logEnded();
    unknown.commit(200_000, SEGMENT);
    assert.equal(unknown.oversize()?.pagesSeen, 100_000);
  });
});
