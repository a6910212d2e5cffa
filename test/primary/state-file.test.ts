import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { decodeCheckedJson, encodeCheckedJson } from '../../src/base/checked-json.ts';
import {
  decodeState,
  encodeState,
  type LocalState,
  readState,
  writeState,
} from '../../src/primary/state-file.ts';
import type { LogEnd } from '../../src/primary/resume-point.ts';
import { asNobody } from '../support/as-nobody.ts';
import { Scratch } from '../support/scratch.ts';

const count = fc.nat(Number.MAX_SAFE_INTEGER);
const word = fc.nat(0xffffffff);
const hexOf = (bytes: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((raw) => Buffer.from(raw).toString('hex'));
const end: fc.Arbitrary<LogEnd> = fc.record(
  { offsetBytes: count, salts: fc.tuple(word, word), checksum: fc.tuple(word, word) },
  { noNullPrototype: true },
);
const states: fc.Arbitrary<LocalState> = fc.record(
  {
    generation: hexOf(8),
    identity: fc.record({ device: fc.string(), inode: fc.string() }, { noNullPrototype: true }),
    index: count,
    header: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((raw) => Buffer.from(raw)),
    tailBytes: count,
    tailChecksum: fc.tuple(word, word),
    ends: fc.array(fc.tuple(count, end)).map((list) => new Map(list)),
    confirmed: fc
      .array(
        fc.tuple(fc.string(), fc.record({ index: count, offsetBytes: count }, { noNullPrototype: true })),
      )
      .map((list) => new Map(list)),
  },
  { noNullPrototype: true },
);

const sample: LocalState = {
  generation: '00112233445566ff',
  identity: { device: '1', inode: '2' },
  index: 3,
  header: Buffer.alloc(32, 7),
  tailBytes: 4152,
  tailChecksum: [1, 2],
  ends: new Map([[2, { offsetBytes: 9000, salts: [3, 4], checksum: [5, 6] }]]),
  confirmed: new Map([['file', { index: 3, offsetBytes: 32 }]]),
};

describe('the local state', () => {
  it('comes back from its text whatever it holds', () => {
    fc.assert(
      fc.property(states, (state) => assert.deepEqual(decodeState(encodeState(state)), state)),
      { seed: 29, numRuns: 100 },
    );
  });

  it('is written whole, private, with its folder, durably or not', () => {
    using scratch = new Scratch();
    const path = join(scratch.path, 'deep', 'meta', 'state.json');
    for (const durable of [true, false]) {
      writeState(path, sample, { durable });
      assert.deepEqual(readState(path), { kind: 'state', state: sample });
    }
    assert.deepEqual(readdirSync(join(scratch.path, 'deep', 'meta')), ['state.json']);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(join(scratch.path, 'deep', 'meta')).mode & 0o777, 0o700);
  });

  it('is none when there is no file, and damaged when it is cut anywhere', () => {
    using scratch = new Scratch();
    const path = scratch.file('state.json');
    assert.deepEqual(readState(path), { kind: 'none' });
    const text = encodeState(sample);
    for (let length = 0; length < text.length - 1; length++) {
      writeFileSync(path, text.slice(0, length));
      assert.equal(readState(path).kind, 'damaged', `cut to ${length} characters`);
    }
  });

  it('any flipped bit makes it damaged, also one that leaves a text as expected', () => {
    const bytes = Buffer.from(encodeState(sample));
    for (let bit = 0; bit < (bytes.length - 1) * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >>> 3]! ^= 1 << (bit & 7);
      assert.throws(() => decodeState(flipped.toString('utf8')), flipped.toString('latin1'));
    }
  });

  it('any part that is not as expected makes it damaged, and says which', () => {
    using scratch = new Scratch();
    const path = scratch.file('state.json');
    const wrongs: [string, unknown, RegExp][] = [
      ['version', 2, /version/],
      ['version', undefined, /version/],
      ['generation', 'XYZ', /generation/],
      ['generation', 5, /generation/],
      ['identity', null, /identity/],
      ['identity', { device: '1' }, /identity/],
      ['index', -1, /position/],
      ['index', '3', /position/],
      ['tailBytes', 1.5, /position/],
      ['header', 'ff', /header/],
      ['header', 'G'.repeat(64), /header/],
      ['tailChecksum', [1], /checksum/],
      ['tailChecksum', [1, -2], /checksum/],
      ['ends', {}, /lists/],
      ['ends', [1, 2], /lists/],
      ['ends', [['a', 2]], /lists/],
      ['ends', [[1, 2]], /an end/],
      ['confirmed', 'x', /lists/],
      ['confirmed', [['file', null]], /lists/],
      ['confirmed', [['file', { index: 1 }]], /lists/],
    ];
    for (const [key, value, why] of wrongs) {
      writeFileSync(path, encodeCheckedJson({ ...decodeCheckedJson(encodeState(sample)), [key]: value }));
      const reading = readState(path);
      assert.equal(reading.kind, 'damaged', `${key}: ${JSON.stringify(value)}`);
      assert.match(reading.why, why);
    }
    for (const text of ['null', '[]', '7', '"text"', '\0\0\0\0']) {
      writeFileSync(path, text);
      assert.equal(readState(path).kind, 'damaged', text);
    }
  });

  it('a failing write leaves the old state, and nothing else', () => {
    using scratch = new Scratch();
    const path = scratch.file('state.json');
    mkdirSync(path);
    assert.throws(() => writeState(path, sample, { durable: false }), { code: /EISDIR|ENOTEMPTY|EEXIST/ });
    assert.deepEqual(scratch.names(), ['state.json']);
    assert.throws(() => readState(path), { code: 'STATE_INVALID', message: /EISDIR/ });
  });

  it('a folder that cannot be written to is an error', () => {
    using scratch = new Scratch();
    chmodSync(scratch.path, 0o555);
    asNobody(() => {
      const write = (): void => writeState(scratch.file('state.json'), sample, { durable: true });
      assert.throws(write, { code: 'EACCES' });
    });
    chmodSync(scratch.path, 0o700);
    assert.deepEqual(scratch.names(), []);
  });
});
