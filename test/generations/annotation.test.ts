import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { isRivuletError } from '../../src/base/errors.ts';
import { xxhash32 } from '../../src/kernel/kernel.ts';
import { type Annotation, decodeAnnotation, encodeAnnotation } from '../../src/generations/annotation.ts';

const generation = fc.stringMatching(/^[0-9a-f]{16}$/);
const index = fc.nat(0x7fffffff);
const segment: fc.Arbitrary<Annotation> = fc.record(
  { kind: fc.constant('segment' as const), generation, index, previousEndBytes: fc.maxSafeNat() },
  { noNullPrototype: true, requiredKeys: ['kind', 'generation', 'index'] },
);
const snapshot: fc.Arbitrary<Annotation> = fc.record(
  {
    kind: fc.constant('snapshot' as const),
    generation,
    index,
    offsetBytes: fc.maxSafeNat(),
    pageSizeBytes: fc.nat(65536),
    pageCount: fc.nat(),
    salts: fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff)),
    checksum: fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff)),
  },
  {
    noNullPrototype: true,
    requiredKeys: ['kind', 'generation', 'index', 'offsetBytes', 'pageSizeBytes', 'pageCount'],
  },
);

const EXAMPLE: Annotation = {
  kind: 'segment',
  generation: '0011223344556677',
  index: 3,
  previousEndBytes: 4152,
};

/** A payload with a right checksum around anything. */
function payloadOf(json: string, version: number = 1): Uint8Array {
  const body = Buffer.concat([Buffer.from('RVLT'), Buffer.from([version]), Buffer.from(json)]);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(xxhash32(body));
  return Buffer.concat([body, checksum]);
}

describe('annotation', () => {
  it('reads what it wrote', () => {
    fc.assert(
      fc.property(fc.oneof(segment, snapshot), (value) => {
        assert.deepEqual(decodeAnnotation(encodeAnnotation(value)), value);
      }),
    );
  });

  it('refuses every payload with a bit changed behind its mark', () => {
    const payload = encodeAnnotation(EXAMPLE);
    for (let bit = 4 * 8; bit < payload.length * 8; bit += 1) {
      const damaged = payload.slice();
      damaged[bit >>> 3] = (payload[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
      assert.throws(
        () => decodeAnnotation(damaged, 'some/key'),
        /^RivuletError: some\/key: its annotation is damaged/,
      );
    }
  });

  it('leaves alone what is not an annotation, or one from the future', () => {
    assert.equal(decodeAnnotation(Buffer.from('something else entirely')), undefined);
    assert.equal(decodeAnnotation(Buffer.alloc(0)), undefined);
    assert.equal(decodeAnnotation(payloadOf('whatever', 2)), undefined);
    assert.equal(decodeAnnotation(payloadOf('{"kind":"comment"}')), undefined);
  });

  it('refuses known kinds with wrong fields', () => {
    const wrong = [
      'no json',
      '17',
      '{}',
      '{"kind":"segment"}',
      '{"kind":"segment","generation":"xyz","index":1}',
      '{"kind":"segment","generation":"0011223344556677","index":-1}',
      '{"kind":"segment","generation":"0011223344556677","index":1.5}',
      '{"kind":"segment","generation":"0011223344556677","index":1,"more":1}',
      '{"kind":"snapshot","generation":"0011223344556677","index":1,"offsetBytes":0,"pageSizeBytes":512}',
      '{"kind":"snapshot","generation":"0011223344556677","index":1,"offsetBytes":0,"pageSizeBytes":512,"pageCount":1,"salts":[1]}',
    ];
    for (const json of wrong) {
      assert.throws(
        () => decodeAnnotation(payloadOf(json)),
        (error) => isRivuletError(error, 'REPLICA_INVALID'),
        json,
      );
    }
    assert.throws(() => encodeAnnotation({ ...EXAMPLE, index: -1 }), RangeError);
  });
});
