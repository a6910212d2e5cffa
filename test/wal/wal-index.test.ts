import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import {
  encodeWalIndex,
  readWalIndex,
  WAL_INDEX_BYTES,
  type WalIndex,
  type WalIndexReading,
} from '../../src/wal/wal-index.ts';
import { plainChecksum } from '../support/sample-wal.ts';

const HEADER_BYTES = 48;
const word = fc.nat(0xffffffff);
const order = fc.boolean();
const index: fc.Arbitrary<WalIndex> = fc.record(
  {
    change: word,
    frames: word,
    pageCount: word,
    pageSizeBytes: fc.integer({ min: 9, max: 16 }).map((power) => 2 ** power),
    bigEndianChecksum: fc.boolean(),
    frameChecksum: fc.tuple(word, word),
    salt1: word,
    salt2: word,
    backfilledFrames: word,
    readMarks: fc.array(word, { minLength: 5, maxLength: 5 }),
  },
  { noNullPrototype: true },
);

const SAMPLE: WalIndex = {
  change: 7,
  frames: 12,
  pageCount: 5,
  pageSizeBytes: 4096,
  bigEndianChecksum: false,
  frameChecksum: [1, 2],
  salt1: 3,
  salt2: 4,
  backfilledFrames: 6,
  readMarks: [0, 12, 9, 0xffffffff, 0xffffffff],
};

/** A head whose copies both have `change` made to them, with a checksum that fits. */
function changed(littleEndian: boolean, change: (view: DataView) => void): Uint8Array {
  const bytes = encodeWalIndex(SAMPLE, littleEndian);
  const view = new DataView(bytes.buffer);
  change(view);
  const [s0, s1] = plainChecksum([0, 0], bytes.subarray(0, 40), !littleEndian);
  view.setUint32(40, s0, littleEndian);
  view.setUint32(44, s1, littleEndian);
  bytes.copyWithin(HEADER_BYTES, 0, HEADER_BYTES);
  return bytes;
}

function kindOf(reading: WalIndexReading): string {
  return reading.kind === 'invalid' ? reading.why : reading.kind;
}

describe('the head of a WAL index', () => {
  it('comes back from its bytes whatever it holds, in both byte orders', () => {
    fc.assert(
      fc.property(index, order, fc.nat(7), (value, littleEndian, shift) => {
        const head = encodeWalIndex(value, littleEndian);
        assert.equal(head.length, WAL_INDEX_BYTES);
        const bytes = Buffer.concat([Buffer.alloc(shift), head, Buffer.from('hash tables')]);
        const reading = readWalIndex(bytes.subarray(shift), littleEndian);
        assert.deepEqual(reading, { kind: 'index', index: value });
      }),
      { seed: 11, numRuns: 300 },
    );
  });

  it('has its fields where the format has them', () => {
    for (const littleEndian of [true, false]) {
      const head = encodeWalIndex({ ...SAMPLE, pageSizeBytes: 65536, bigEndianChecksum: true }, littleEndian);
      const view = new DataView(head.buffer);
      for (const copy of [0, HEADER_BYTES]) {
        const words = [0, 4, 8, 16, 20, 24, 28].map((at) => view.getUint32(copy + at, littleEndian));
        assert.deepEqual(words, [3007000, 0, 7, 12, 5, 1, 2]);
        assert.deepEqual([view.getUint8(copy + 12), view.getUint8(copy + 13)], [1, 1]);
        assert.equal(view.getUint16(copy + 14, littleEndian), 1);
        // Salts are copied from the WAL byte for byte.
        assert.deepEqual([view.getUint32(copy + 32), view.getUint32(copy + 36)], [3, 4]);
        const sums = [view.getUint32(copy + 40, littleEndian), view.getUint32(copy + 44, littleEndian)];
        assert.deepEqual(sums, plainChecksum([0, 0], head.subarray(copy, copy + 40), !littleEndian));
      }
      const rest = [96, 100, 104, 108, 112, 116].map((at) => view.getUint32(at, littleEndian));
      assert.deepEqual(rest, [6, ...SAMPLE.readMarks]);
    }
  });

  it('is read in the order of this machine unless told otherwise', () => {
    const head = encodeWalIndex(SAMPLE);
    assert.deepEqual(readWalIndex(head), { kind: 'index', index: SAMPLE });
    const isLittle = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
    assert.deepEqual(head, encodeWalIndex(SAMPLE, isLittle));
    assert.notEqual(readWalIndex(head, !isLittle).kind, 'index');
  });

  it('without read marks has zeros in their place', () => {
    const { readMarks: _, ...fields } = SAMPLE;
    const reading = readWalIndex(encodeWalIndex(fields));
    assert.deepEqual(reading, { kind: 'index', index: { ...SAMPLE, readMarks: [0, 0, 0, 0, 0] } });
  });

  it('is torn wherever the two copies differ', () => {
    const head = encodeWalIndex(SAMPLE);
    for (let bit = 0; bit < 2 * HEADER_BYTES * 8; bit++) {
      const torn = head.slice();
      torn[bit >> 3] = (torn[bit >> 3] as number) ^ (1 << (bit & 7));
      assert.deepEqual(readWalIndex(torn), { kind: 'torn' }, `bit ${bit}`);
    }
  });

  it('is torn while a writer has stored the second copy and not the first, cut anywhere', () => {
    fc.assert(
      fc.property(index, index, fc.nat(2 * HEADER_BYTES), (before, after, stored) => {
        const [old, fresh] = [encodeWalIndex(before), encodeWalIndex(after)];
        // The order of the stores: all of the second copy, then the first.
        const order = [...Array(HEADER_BYTES).keys()].map((i) => HEADER_BYTES + i);
        order.push(...Array(HEADER_BYTES).keys());
        const bytes = old.slice();
        for (const at of order.slice(0, stored)) bytes[at] = fresh[at] as number;
        const reading = readWalIndex(bytes);
        if (reading.kind === 'torn') return;
        assert.equal(reading.kind, 'index');
        const { readMarks: _, backfilledFrames: __, ...seen } = reading.index;
        // What is whole is the one or the other: where they differ nothing of it may be mixed.
        const whole = [before, after].map(({ readMarks: _r, backfilledFrames: _b, ...rest }) => rest);
        assert.ok(whole.some((one) => JSON.stringify(one) === JSON.stringify(seen)));
      }),
      { seed: 3, numRuns: 500 },
    );
  });

  it('is torn with any bit flipped in both copies: the checksum does not match', () => {
    for (const littleEndian of [true, false]) {
      const head = encodeWalIndex(SAMPLE, littleEndian);
      for (let bit = 0; bit < HEADER_BYTES * 8; bit++) {
        const at = bit >> 3;
        const wrong = head.slice();
        for (const place of [at, HEADER_BYTES + at])
          wrong[place] = (wrong[place] as number) ^ (1 << (bit & 7));
        // Without the flag nobody vouches for the rest.
        const expected = at === 12 && (bit & 7) === 0 ? 'not-initialised' : 'torn';
        assert.equal(kindOf(readWalIndex(wrong, littleEndian)), expected, `bit ${bit}`);
      }
    }
  });

  it('bits behind the two copies make no difference to the header', () => {
    const head = encodeWalIndex(SAMPLE);
    head.fill(0xff, 2 * HEADER_BYTES);
    const expected = { ...SAMPLE, backfilledFrames: 0xffffffff, readMarks: Array(5).fill(0xffffffff) };
    assert.deepEqual(readWalIndex(head), { kind: 'index', index: expected });
  });

  it('is not initialised while it is short or all zeros', () => {
    const head = encodeWalIndex(SAMPLE);
    for (let length = 0; length < WAL_INDEX_BYTES; length++)
      assert.deepEqual(readWalIndex(head.subarray(0, length)), { kind: 'not-initialised' });
    assert.deepEqual(readWalIndex(new Uint8Array(32_768)), { kind: 'not-initialised' });
  });

  it('of another format version is invalid', () => {
    for (const littleEndian of [true, false]) {
      const bytes = changed(littleEndian, (view) => view.setUint32(0, 3008000, littleEndian));
      assert.equal(kindOf(readWalIndex(bytes, littleEndian)), 'format version 3008000');
    }
  });

  it('with a page size that no database has is invalid', () => {
    for (const [stored, told] of [
      [0, 0],
      [256, 0],
      [3 * 512, 1536],
      [4097, 69_632],
      [0xfffe, 0xfe00],
    ] as const) {
      const bytes = changed(true, (view) => view.setUint16(14, stored, true));
      assert.equal(kindOf(readWalIndex(bytes, true)), `page size ${told}`);
    }
  });

  it('of an empty WAL that was recovered has no page size yet', () => {
    const recovered = { ...SAMPLE, frames: 0, pageCount: 0, pageSizeBytes: 0 };
    assert.deepEqual(readWalIndex(encodeWalIndex(recovered)), { kind: 'index', index: recovered });
  });
});
