import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { encodeWalHeader, isNextLog, isPageSize, parseWalHeader } from '../../src/wal/wal-header.ts';
import { asBigEndian, makeWal } from '../support/sample-wal.ts';

const word = fc.nat(0xffffffff);
const header = fc.record(
  {
    bigEndianChecksum: fc.boolean(),
    pageSizeBytes: fc.integer({ min: 9, max: 16 }).map((power) => 2 ** power),
    checkpointSequence: word,
    salt1: word,
    salt2: word,
  },
  { noNullPrototype: true },
);

describe('the header of a write-ahead log', () => {
  for (const pageSizeBytes of [512, 4096, 65536]) {
    it(`reads and writes what SQLite writes, pages of ${pageSizeBytes} bytes`, () => {
      const { wal } = makeWal(pageSizeBytes, ['CREATE TABLE t (a)']);
      for (const log of [wal, asBigEndian(wal, pageSizeBytes)]) {
        const parsed = parseWalHeader(log);
        assert.equal(parsed.pageSizeBytes, pageSizeBytes);
        assert.equal(parsed.bigEndianChecksum, log !== wal);
        assert.deepEqual(Buffer.from(encodeWalHeader(parsed)), Buffer.from(log.subarray(0, 32)));
      }
    });
  }

  it('comes back from its bytes whatever it holds', () => {
    fc.assert(
      fc.property(header, fc.nat(7), (value, shift) => {
        const bytes = Buffer.concat([Buffer.alloc(shift), encodeWalHeader(value), Buffer.from('behind')]);
        const { checksum, ...rest } = parseWalHeader(bytes.subarray(shift));
        assert.deepEqual(rest, value);
        assert.deepEqual(checksum, [bytes.readUInt32BE(shift + 24), bytes.readUInt32BE(shift + 28)]);
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  it('is refused with any single bit flipped', () => {
    const bytes = encodeWalHeader({
      bigEndianChecksum: false,
      pageSizeBytes: 4096,
      checkpointSequence: 3,
      salt1: 1,
      salt2: 2,
    });
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.throws(() => parseWalHeader(flipped), { code: 'WAL_INVALID' }, `bit ${bit}`);
    }
  });

  it('is refused when it is short, of another version, or with an impossible page size', () => {
    const good = { bigEndianChecksum: true, checkpointSequence: 0, salt1: 9, salt2: 9 };
    const bytes = encodeWalHeader({ ...good, pageSizeBytes: 4096 });
    assert.throws(() => parseWalHeader(bytes.subarray(0, 31)), { message: /31 bytes, expected 32/ });
    assert.throws(() => parseWalHeader(new Uint8Array(0)), { code: 'WAL_INVALID' });
    const other = Buffer.from(bytes);
    other.writeUInt32BE(3_007_001, 4);
    assert.throws(() => parseWalHeader(other), { message: /format version 3007001/ });
    for (const pageSizeBytes of [0, 256, 1000, 4097, 131_072]) {
      assert.throws(() => parseWalHeader(encodeWalHeader({ ...good, pageSizeBytes })), {
        message: new RegExp(`page size ${pageSizeBytes}$`),
      });
    }
    assert.deepEqual([511, 512, 513, 65536, 65537].map(isPageSize), [false, true, false, true, false]);
  });

  it('follows another one when salt-1 grew by exactly one, also past its end', () => {
    assert.equal(isNextLog({ salt1: 5 }, { salt1: 6 }), true);
    assert.equal(isNextLog({ salt1: 0xffffffff }, { salt1: 0 }), true);
    for (const salt1 of [4, 5, 7, 0]) assert.equal(isNextLog({ salt1: 5 }, { salt1 }), false);
  });
});
