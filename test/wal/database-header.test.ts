import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lockPageNumber, parseDatabaseHeader } from '../../src/wal/database-header.ts';
import { makeWal } from '../support/sample-wal.ts';

describe('the header of a database file', () => {
  for (const pageSizeBytes of [512, 4096, 65536]) {
    it(`is read as SQLite wrote it, pages of ${pageSizeBytes} bytes`, () => {
      const { database } = makeWal(pageSizeBytes, ['CREATE TABLE t (a)']);
      assert.deepEqual(parseDatabaseHeader(database), {
        pageSizeBytes,
        pageCount: database.length / pageSizeBytes,
        isPageCountValid: true,
        reservedBytes: 0,
        walMode: true,
      });
      const rollback = Buffer.from(database);
      rollback[19] = 1;
      assert.equal(parseDatabaseHeader(rollback).walMode, false);
      rollback[18] = 1;
      assert.equal(parseDatabaseHeader(rollback.subarray(0, 100)).walMode, false);
    });
  }

  it('says what is wrong with something else', () => {
    const { database } = makeWal(4096, ['CREATE TABLE t (a)']);
    assert.throws(() => parseDatabaseHeader(database.subarray(0, 99), 'x.db'), {
      code: 'DB_INVALID',
      message: 'x.db is not a SQLite database: it has only 99 bytes',
    });
    assert.throws(() => parseDatabaseHeader(Buffer.alloc(100, 0xa5), 'x.db'), {
      code: 'DB_INVALID',
      message: 'x.db is not a SQLite database, or it is encrypted',
      hint: /begins with "SQLite format 3"/,
    });
    for (const stored of [0, 2, 256, 1000, 5000]) {
      const odd = Buffer.from(database);
      odd.writeUInt16BE(stored, 16);
      assert.throws(() => parseDatabaseHeader(odd), { code: 'DB_INVALID', message: /corrupt header/ });
    }
  });

  it('knows the page that SQLite never stores data in', () => {
    assert.equal(lockPageNumber(4096), 262_145);
    assert.equal(lockPageNumber(65536), 16_385);
    assert.equal(lockPageNumber(512), 2_097_153);
  });
});
