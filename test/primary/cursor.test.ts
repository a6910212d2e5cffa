import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import {
  type Cursor,
  type LogBytes,
  positionOf,
  readVerified,
  startOfLog,
  verifyBytes,
} from '../../src/primary/cursor.ts';
import { frameBytes } from '../../src/wal/frames.ts';
import { makeWal } from '../support/sample-wal.ts';

const SIZE = frameBytes(512);
const { wal } = makeWal(512, [
  'CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)',
  'INSERT INTO t (body) VALUES (randomblob(9000))',
  'INSERT INTO t (body) VALUES (randomblob(3000))',
]);

function sourceOf(bytes: Uint8Array): LogBytes {
  return {
    read(into, offsetBytes) {
      const piece = bytes.subarray(offsetBytes, offsetBytes + into.length);
      into.set(piece);
      return piece.length;
    },
  };
}

function readAll(maxBytes: number, into?: Uint8Array): { bytes: Buffer; sizes: number[]; cursor: Cursor } {
  let cursor = startOfLog(3);
  const pieces: Buffer[] = [];
  while (positionOf(cursor).offsetBytes < wal.length) {
    const taken = readVerified(sourceOf(wal), cursor, wal.length, { pageSizeBytes: 512, maxBytes, into });
    pieces.push(Buffer.from(taken.bytes));
    cursor = taken.cursor;
  }
  return { bytes: Buffer.concat(pieces), sizes: pieces.map(({ length }) => length), cursor };
}

describe('a cursor in the chain of logs', () => {
  it('begins before the header', () => {
    assert.deepEqual(positionOf(startOfLog(7)), { index: 7, offsetBytes: 0 });
  });

  it('reads a log in pieces of any bound, whole frames each, and loses nothing', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 * SIZE }), (maxBytes) => {
        const { bytes, sizes, cursor } = readAll(maxBytes);
        assert.ok(bytes.equals(wal));
        assert.deepEqual(positionOf(cursor), { index: 3, offsetBytes: wal.length });
        for (const [i, size] of sizes.entries()) {
          const frames = (size - (i === 0 ? 32 : 0)) / SIZE;
          assert.ok(Number.isInteger(frames) && frames >= 1, `piece ${i} has ${frames} frames`);
          assert.ok(size <= maxBytes || frames === 1, `piece ${i} has ${size} bytes, at most ${maxBytes}`);
        }
      }),
      { seed: 17, numRuns: 100 },
    );
  });

  it('reads into memory that is given, when it is large enough', () => {
    const memory = new Uint8Array(4 * SIZE);
    const limits = { pageSizeBytes: 512, maxBytes: 3 * SIZE, into: memory };
    const taken = readVerified(sourceOf(wal), startOfLog(0), wal.length, limits);
    assert.equal(taken.bytes.buffer, memory.buffer);
    const small = readVerified(sourceOf(wal), startOfLog(0), wal.length, {
      ...limits,
      into: new Uint8Array(10),
    });
    assert.deepEqual(Buffer.from(small.bytes), Buffer.from(taken.bytes));
    assert.ok(readAll(3 * SIZE, memory).bytes.equals(wal));
  });

  it('refuses bytes that end too soon', () => {
    const read = (length: number): unknown =>
      readVerified(sourceOf(wal.subarray(0, length)), startOfLog(0), wal.length, {
        pageSizeBytes: 512,
        maxBytes: wal.length,
      });
    for (const length of [0, 31, 32, 32 + SIZE, wal.length - 1]) {
      assert.throws(() => read(length), { code: 'WAL_INVALID', message: /it ends there/ });
    }
  });

  it('refuses anything that does not continue the chain', () => {
    const first = verifyBytes(startOfLog(0), wal.subarray(0, 32 + 2 * SIZE));
    const next = wal.subarray(32 + 2 * SIZE, 32 + 4 * SIZE);
    assert.equal(positionOf(verifyBytes(first, next)).offsetBytes, 32 + 4 * SIZE);
    const changed = Buffer.from(next);
    changed[SIZE + 100] = (changed[SIZE + 100] ?? 0) ^ 1;
    assert.throws(() => verifyBytes(first, changed), {
      code: 'WAL_INVALID',
      message: `the log changed while it was read at offset ${32 + 3 * SIZE}: the checksum does not match`,
    });
    const salted = Buffer.from(next);
    salted[8] = (salted[8] ?? 0) ^ 1;
    assert.throws(() => verifyBytes(first, salted), { message: /the salt does not match/ });
    assert.throws(() => verifyBytes(first, next.subarray(0, SIZE + 9)), { message: /half a frame/ });
    assert.throws(() => verifyBytes(first, wal.subarray(32 + 3 * SIZE)), { code: 'WAL_INVALID' });
    assert.throws(() => verifyBytes(startOfLog(0), wal.subarray(32)), { code: 'WAL_INVALID' });
    assert.throws(() => verifyBytes(startOfLog(0), wal.subarray(0, 20)), { code: 'WAL_INVALID' });
  });

  it('a header alone is a whole answer', () => {
    const cursor = verifyBytes(startOfLog(2), wal.subarray(0, 32));
    assert.deepEqual(positionOf(cursor), { index: 2, offsetBytes: 32 });
  });
});
