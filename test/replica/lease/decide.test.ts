import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { LeaseRecord } from '../../../src/generations/lease-record.ts';
import { continuesHistory, judge, pollMs, type Seen, upkeep } from '../../../src/replica/lease/decide.ts';
import { isInTime, isValid, observationMs } from '../../../src/replica/lease/validity.ts';

const D = 60_000;
const me = { owner: 'me', host: 'here', session: 'mine' };
const other: LeaseRecord = {
  epoch: 1,
  state: 'held',
  owner: 'other',
  session: 'theirs',
  serial: 1,
  host: 'there',
  pid: 1,
  database: '/db',
  program: 'p',
  acquiredAtMs: 0,
  renewedAtMs: 0,
  durationMs: D,
  generations: [],
  superseded: [],
};
const seen: Seen = {
  me,
  record: other,
  storedAtMs: 0,
  nowMs: 0,
  unchangedMs: 0,
  sawAlive: false,
  wasSuperseded: false,
};

const verdictOf = (change: Partial<Seen>, record: Partial<LeaseRecord> = {}): string => {
  const { kind, why } = judge({ ...seen, ...change, record: { ...other, ...record } });
  return `${kind} ${why}`;
};

describe('whether a lease may be taken', () => {
  it('in each case', () => {
    assert.equal(verdictOf({}), 'wait held');
    assert.equal(verdictOf({}, { state: 'released' }), 'take released');
    assert.equal(verdictOf({}, { owner: 'me', host: 'here' }), 'take own');
    assert.equal(verdictOf({}, { owner: 'me' }), 'wait held', 'another host may hold a copy');
    assert.equal(verdictOf({ unchangedMs: observationMs(D) - 1 }), 'wait held');
    assert.equal(verdictOf({ unchangedMs: observationMs(D) }), 'take expired');
    assert.equal(verdictOf({ nowMs: D }), 'wait held');
    assert.equal(verdictOf({ nowMs: D + 1 }), 'wait silent');
    assert.equal(verdictOf({ nowMs: D + 1, storedAtMs: 1_000 }), 'wait held', 'the store says otherwise');
    assert.equal(verdictOf({ nowMs: D + 1, sawAlive: true }), 'wait held', 'it has changed');
    assert.equal(verdictOf({ nowMs: D * 100_000 }), 'wait silent', 'a clock takes nothing');
    assert.equal(verdictOf({ nowMs: -300_000 }), 'wait held');
    assert.equal(verdictOf({ nowMs: -300_001 }), 'wait silent', 'the two clocks tell nothing');
    assert.equal(verdictOf({ nowMs: D * 100 }, { state: 'parked' }), 'wait parked', 'however old');
    assert.equal(verdictOf({ unchangedMs: observationMs(D) }, { state: 'parked' }), 'take idle');
    assert.equal(verdictOf({ unchangedMs: D * 100, sawAlive: true }, { state: 'parked' }), 'wait parked');
    assert.equal(verdictOf({ unchangedMs: D * 100, sawAlive: true }), 'take expired', 'held, and dead since');
  });

  it('who was superseded while it lived takes it only when it is released, or is its own', () => {
    const superseded = { wasSuperseded: true, unchangedMs: D * 100, nowMs: D * 100 };
    assert.equal(verdictOf(superseded), 'wait superseded');
    assert.equal(verdictOf(superseded, { state: 'parked' }), 'wait superseded');
    assert.equal(verdictOf(superseded, { owner: 'me', host: 'here' }), 'wait superseded');
    assert.equal(verdictOf(superseded, { state: 'released' }), 'take released');
    assert.equal(verdictOf(superseded, { session: 'mine' }), 'take own');
  });

  it('whose history is ours', () => {
    assert.equal(continuesHistory({ ...other, owner: 'me', host: 'here' }, me, false), true);
    assert.equal(continuesHistory({ ...other, owner: 'me' }, me, false), false);
    assert.equal(continuesHistory({ ...other, owner: 'me', state: 'released' }, me, false), true);
    assert.equal(continuesHistory({ ...other, state: 'released' }, me, false), false);
    // It lived, with a copy of its own.
    assert.equal(continuesHistory({ ...other, owner: 'me', state: 'released' }, me, true), false);
    assert.equal(continuesHistory({ ...other, owner: 'me', host: 'here' }, me, true), false);
    assert.equal(continuesHistory({ ...other, session: 'mine' }, me, true), true);
  });
});

describe('how long a lease is valid', () => {
  const duration = fc.integer({ min: 100, max: 3_600_000 });

  it('whoever watches it waits longer than its holder trusts it, whatever the clocks', () => {
    fc.assert(
      fc.property(
        duration,
        fc.integer({ min: 0, max: 10_000_000 }),
        fc.integer(),
        (durationMs, elapsedMs, setMs) => {
          const renewal = { sent: { monotonicMs: 5, wallMs: 7 }, storedAtMs: 0, durationMs };
          const now = { monotonicMs: 5 + elapsedMs, wallMs: 7 + elapsedMs + setMs };
          if (isValid(renewal, now))
            assert.ok(elapsedMs < durationMs && observationMs(durationMs) > durationMs);
        },
      ),
    );
  });

  it('either clock ends it', () => {
    const renewal = { sent: { monotonicMs: 0, wallMs: 0 }, storedAtMs: 0, durationMs: D };
    assert.equal(isValid(renewal, { monotonicMs: 49_000, wallMs: 49_000 }), true);
    assert.equal(isValid(renewal, { monotonicMs: 51_000, wallMs: 0 }), false);
    assert.equal(isValid(renewal, { monotonicMs: 0, wallMs: 51_000 }), false);
    assert.equal(isValid(renewal, { monotonicMs: 1_000, wallMs: -60_000 }), false, 'set back');
    assert.equal(isInTime(renewal, D + 1_000), true, 'stores tell whole seconds');
    assert.equal(isInTime(renewal, D + 3_000), false);
  });
});

describe('upkeep', () => {
  const facts = { sinceRenewalMs: D / 3, durationMs: D, isActive: false, renewAlways: false };

  it('renews what is used, parks what is not, before it lapses', () => {
    assert.equal(upkeep({ ...facts, isActive: true }), 'renew');
    assert.equal(upkeep({ ...facts, renewAlways: true }), 'renew');
    assert.equal(upkeep(facts), 'nothing');
    assert.equal(upkeep({ ...facts, sinceRenewalMs: (D * 2) / 3 }), 'park');
  });

  it('a standby looks often at first', () => {
    assert.equal(pollMs(D, 0), 1_000);
    assert.equal(pollMs(D, 2 * D), D / 3);
    assert.equal(pollMs(300, 0), 100);
  });
});
