import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { checksumsEqual, CHECKSUM_START, walChecksum } from '../../src/wal/checksum.ts';
import { makeWal, plainChecksum } from '../support/sample-wal.ts';

const seeded = { seed: 20_260_101, numRuns: 200 };
const words = fc.array(fc.uint8Array({ minLength: 8, maxLength: 8 }), { maxLength: 40 });

describe('the checksum of a write-ahead log', () => {
  it('is the one that SQLite writes into the header of a log', () => {
    const { wal } = makeWal(1024, ['CREATE TABLE t (a)']);
    const bigEndian = wal.readUInt32BE(0) === 0x377f0683;
    const written = [wal.readUInt32BE(24), wal.readUInt32BE(28)];
    assert.deepEqual(walChecksum(CHECKSUM_START, wal, 0, 24, bigEndian), written);
    assert.notDeepEqual(walChecksum(CHECKSUM_START, wal, 0, 24, !bigEndian), written);
  });

  it('is the plain arithmetic in both byte orders, from any seed and at any alignment', () => {
    const seed = fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff));
    fc.assert(
      fc.property(seed, words, fc.boolean(), fc.nat(9), (start, parts, bigEndian, shift) => {
        const bytes = Buffer.concat(parts);
        const shifted = Buffer.alloc(bytes.length + shift);
        bytes.copy(shifted, shift);
        const actual = walChecksum(start, shifted, shift, shifted.length, bigEndian);
        assert.deepEqual(actual, plainChecksum(start, bytes, bigEndian));
      }),
      seeded,
    );
  });

  it('continues: two halves one after the other are the whole', () => {
    fc.assert(
      fc.property(words, words, fc.boolean(), (left, right, bigEndian) => {
        const [a, b] = [Buffer.concat(left), Buffer.concat(right)];
        const whole = Buffer.concat([a, b]);
        const half = walChecksum(CHECKSUM_START, whole, 0, a.length, bigEndian);
        assert.deepEqual(
          walChecksum(half, whole, a.length, whole.length, bigEndian),
          walChecksum(CHECKSUM_START, whole, 0, whole.length, bigEndian),
        );
      }),
      seeded,
    );
  });

  it('refuses a length that is not a multiple of 8, which only a bug can ask for', () => {
    for (const length of [1, 4, 7, 9, 12]) {
      assert.throws(() => walChecksum(CHECKSUM_START, new Uint8Array(16), 0, length, false), RangeError);
    }
    assert.deepEqual(walChecksum([5, 6], new Uint8Array(16), 3, 3, true), [5, 6]);
  });

  it('compares both words', () => {
    assert.equal(checksumsEqual([1, 2], [1, 2]), true);
    assert.equal(checksumsEqual([1, 2], [1, 3]), false);
    assert.equal(checksumsEqual([1, 2], [2, 2]), false);
  });
});
