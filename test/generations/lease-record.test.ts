import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { isRivuletError } from '../../src/base/errors.ts';
import {
  decodeLease,
  encodeLease,
  LEASE_BYTES_MAX,
  type LeaseRecord,
  type LeaseState,
} from '../../src/generations/lease-record.ts';

const text = fc.string({ minLength: 1, maxLength: 200, unit: 'grapheme' });
const generation = fc.stringMatching(/^[0-9a-f]{16}$/);
/** Milliseconds that a date can hold. */
const timeMs = fc.integer({ min: 0, max: 8_640_000_000_000_000 });
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });

const record: fc.Arbitrary<LeaseRecord> = fc.record({
  epoch: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  state: fc.constantFrom<LeaseState>('held', 'parked', 'released'),
  owner: text,
  session: text,
  serial: count,
  host: text,
  pid: count,
  database: text,
  program: text,
  acquiredAtMs: timeMs,
  renewedAtMs: timeMs,
  durationMs: fc.integer({ min: 1, max: 604_800_000 }),
  generations: fc.array(generation, { maxLength: 16 }),
  superseded: fc.array(fc.record({ generation, atMs: fc.option(timeMs, { nil: undefined }) }), {
    maxLength: 100,
  }),
});

const SOME: LeaseRecord = {
  epoch: 3,
  state: 'held',
  owner: 'owner',
  session: 'session',
  serial: 7,
  host: 'host',
  pid: 1,
  database: '/app.db',
  program: 'rivulet v1',
  acquiredAtMs: 1_000,
  renewedAtMs: 2_000,
  durationMs: 60_000,
  generations: ['00112233445566aa'],
  superseded: [{ generation: '00112233445566bb', atMs: 500 }],
};

/** The record with some fields of its text changed. */
function changed(change: Readonly<Record<string, unknown>>): Uint8Array {
  const fields = JSON.parse(Buffer.from(encodeLease(SOME)).toString()) as object;
  return Buffer.from(JSON.stringify({ ...fields, ...change }));
}

describe('a lease record', () => {
  it('comes back as it went', () => {
    fc.assert(
      fc.property(record, (one) => assert.deepEqual(decodeLease(encodeLease(one)), structuredClone(one))),
    );
  });

  it('fits whatever it may hold', () => {
    const many = Array.from({ length: 1_000 }, () => ({ generation: '00112233445566bb', atMs: 1e15 }));
    const bytes = encodeLease({ ...SOME, superseded: many });
    assert.ok(bytes.length < LEASE_BYTES_MAX);
    assert.equal(decodeLease(bytes).superseded.length, 100);
  });

  it('fields of later versions are passed over', () => {
    assert.deepEqual(decodeLease(changed({ later: { any: 'thing' } })), SOME);
  });

  it('any bytes are a record or an error that says why', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.json().map((json) => Buffer.from(json)),
      fc.tuple(fc.nat(400), fc.nat(255)).map(([at, byte]) => {
        const one = Buffer.from(encodeLease(SOME));
        one[at % one.length] = byte;
        return one;
      }),
    );
    fc.assert(
      fc.property(bytes, (one) => {
        try {
          decodeLease(one);
        } catch (error) {
          assert.ok(isRivuletError(error, 'REPLICA_INVALID'), String(error));
        }
      }),
      { numRuns: 500 },
    );
  });

  for (const [change, message] of [
    [{ version: 2 }, /version is 2, expected 1/],
    [{ state: 'mine' }, /state is none of held, parked, released/],
    [{ epoch: 0 }, /epoch is not a whole number from 1/],
    [{ durationMs: 1e12 }, /durationMs is not a whole number/],
    [{ owner: '' }, /owner is not a text/],
    [{ host: 'x'.repeat(5_000) }, /host is not a text/],
    [{ renewedAt: 'yesterday' }, /renewedAt is not a time/],
    [{ generations: ['x'] }, /names a generation that is none/],
    [{ superseded: Array.from({ length: 101 }, () => ({})) }, /superseded is not a list of at most 100/],
    [{ superseded: [1] }, /superseded holds something that is not an object/],
  ] as const) {
    it(`refuses ${JSON.stringify(change).slice(0, 40)}`, () => {
      assert.throws(() => decodeLease(changed(change)), { code: 'REPLICA_INVALID', message });
    });
  }

  it('refuses what is too large, and what is no JSON', () => {
    assert.throws(() => decodeLease(new Uint8Array(LEASE_BYTES_MAX + 1)), { message: /expected at most/ });
    assert.throws(() => decodeLease(Buffer.from('[]')), { message: /not a JSON object/ });
    assert.throws(() => decodeLease(Buffer.from([0xff])), { message: /not JSON/ });
  });
});
