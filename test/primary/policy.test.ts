import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type CheckpointFacts,
  type CheckpointSettings,
  decideCheckpoint,
  SMALL_REST_BYTES,
} from '../../src/primary/checkpoint-policy.ts';
import { Consumers } from '../../src/primary/consumers.ts';
import { walBytes } from '../../src/wal/frames.ts';

const settings: CheckpointSettings = {
  minPages: 1000,
  maxPages: 10_000,
  intervalMs: 60_000,
  walLimitBytes: 256 * 2 ** 20,
};
const quiet: CheckpointFacts = {
  pageSizeBytes: 4096,
  tailBytes: walBytes(0, 4096),
  attemptedBytes: undefined,
  backfilledBytes: 0,
  stillMs: 1000,
  untriedMs: 0,
  isDoneByOthers: false,
  sinceLastMs: 0,
  unconfirmedBytes: 0,
  isShipping: true,
  isDraining: false,
};
const pages = (count: number): number => walBytes(count, 4096);

describe('when to checkpoint', () => {
  const table: [string, Partial<CheckpointFacts>, Partial<CheckpointSettings>, string][] = [
    ['an empty log', {}, {}, 'none'],
    ['an empty log after long', { sinceLastMs: 1e9 }, {}, 'none'],
    ['one page, just now', { tailBytes: pages(1) }, {}, 'none'],
    ['one page, the interval has not passed', { tailBytes: pages(1), sinceLastMs: 59_999 }, {}, 'none'],
    ['one page, the interval has passed', { tailBytes: pages(1), sinceLastMs: 60_000 }, {}, 'checkpoint'],
    ['one page, no interval', { tailBytes: pages(1), sinceLastMs: 1e12 }, { intervalMs: 0 }, 'none'],
    ['a page too few', { tailBytes: pages(999) }, {}, 'none'],
    ['enough pages', { tailBytes: pages(1000) }, {}, 'checkpoint'],
    [
      'in the database file already, by whoever did it',
      { tailBytes: pages(2000), backfilledBytes: pages(2000), sinceLastMs: 1e9 },
      {},
      'none',
    ],
    [
      'in the file but for one page',
      { tailBytes: pages(2001), backfilledBytes: pages(2000), attemptedBytes: pages(2000) },
      {},
      'checkpoint',
    ],
    [
      'attempted in vain, and nothing new since',
      { tailBytes: pages(2000), attemptedBytes: pages(2000), sinceLastMs: 1e9 },
      {},
      'none',
    ],
    [
      'commits keep coming, little more than at the last attempt',
      { tailBytes: pages(5000), attemptedBytes: pages(2000), stillMs: 999 },
      {},
      'none',
    ],
    [
      'commits keep coming, slowly, and nothing was tried for a while',
      { tailBytes: pages(1000), stillMs: 0, untriedMs: 1_000 },
      {},
      'checkpoint',
    ],
    [
      'commits keep coming, slowly, and an attempt has just failed',
      { tailBytes: pages(2000), attemptedBytes: pages(1000), stillMs: 0, untriedMs: 999 },
      {},
      'none',
    ],
    [
      'commits keep coming, 16 MiB more than at the last attempt',
      { tailBytes: pages(2000) + 16 * 2 ** 20, attemptedBytes: pages(2000), stillMs: 999 },
      {},
      'checkpoint',
    ],
    [
      'others checkpoint: left to them when nothing happens',
      { tailBytes: pages(9000), isDoneByOthers: true },
      {},
      'none',
    ],
    [
      'others checkpoint: done all the same when the interval has passed',
      { tailBytes: pages(9000), isDoneByOthers: true, sinceLastMs: 60_000 },
      {},
      'checkpoint',
    ],
    [
      'others checkpoint and commits keep coming: out of their way',
      { tailBytes: pages(9000), isDoneByOthers: true, stillMs: 0 },
      {},
      'advance',
    ],
    [
      'others checkpoint, and the WAL grows to half of its limit all the same',
      { tailBytes: settings.walLimitBytes / 2, isDoneByOthers: true, stillMs: 0 },
      {},
      'checkpoint',
    ],
    [
      'commits keep coming, an eighth of a small limit more',
      { tailBytes: pages(3100), attemptedBytes: pages(2000), stillMs: 999 },
      { walLimitBytes: 2 ** 24 },
      'checkpoint',
    ],
    [
      'a small rest is not confirmed',
      { tailBytes: pages(9000), unconfirmedBytes: SMALL_REST_BYTES },
      {},
      'checkpoint',
    ],
    [
      'a large rest is not confirmed',
      { tailBytes: pages(9000), unconfirmedBytes: SMALL_REST_BYTES + 1 },
      {},
      'none',
    ],
    ['shipping: beyond max pages', { tailBytes: pages(20_000), unconfirmedBytes: 2e7 }, {}, 'none'],
    [
      'shipping: at half of the limit of the WAL',
      { tailBytes: settings.walLimitBytes / 2, unconfirmedBytes: 2e7 },
      {},
      'checkpoint',
    ],
    [
      'shipping: just below half of the limit',
      { tailBytes: settings.walLimitBytes / 2 - 1, unconfirmedBytes: 2e7 },
      {},
      'none',
    ],
    [
      'above the limit, what is lacking becomes less: wait, it is on its way',
      { tailBytes: 1e9, unconfirmedBytes: 1e8, isDraining: true },
      {},
      'none',
    ],
    [
      'above the limit, what is lacking becomes more',
      { tailBytes: 1e9, unconfirmedBytes: 1e8 },
      {},
      'checkpoint',
    ],
    [
      'standing still: at max pages',
      { tailBytes: pages(10_000), unconfirmedBytes: 2e7, isShipping: false },
      {},
      'checkpoint',
    ],
    [
      'standing still: below max pages',
      { tailBytes: pages(9999), unconfirmedBytes: 2e7, isShipping: false },
      {},
      'none',
    ],
    [
      'standing still, max pages off',
      { tailBytes: pages(10_000), unconfirmedBytes: 2e7, isShipping: false },
      { maxPages: 0 },
      'none',
    ],
    [
      'standing still, max pages off, at half of the limit',
      { tailBytes: settings.walLimitBytes / 2, unconfirmedBytes: 2e7, isShipping: false },
      { maxPages: 0 },
      'checkpoint',
    ],
    [
      'half of the limit below max pages',
      { tailBytes: 3e7, unconfirmedBytes: 2e7, isShipping: false },
      { walLimitBytes: 6e7 },
      'checkpoint',
    ],
  ];
  for (const [what, facts, more, expected] of table) {
    it(`${what}: ${expected}`, () => {
      assert.equal(decideCheckpoint({ ...quiet, ...facts }, { ...settings, ...more }), expected);
    });
  }
});

describe('consumers', () => {
  it('the slowest holds back, and nobody holds back nothing', () => {
    const consumers = new Consumers();
    assert.equal(consumers.slowest(), undefined);
    assert.deepEqual(consumers.slowestNames(), []);
    consumers.confirm('a', { index: 2, offsetBytes: 10 }, 0);
    consumers.confirm('b', { index: 1, offsetBytes: 99 }, 0);
    consumers.resume('c', { index: 1, offsetBytes: 98 }, 0);
    assert.deepEqual(consumers.slowest(), { index: 1, offsetBytes: 98 });
    assert.deepEqual(consumers.slowestNames(), ['c']);
    consumers.confirm('c', { index: 1, offsetBytes: 99 }, 0);
    assert.deepEqual(consumers.slowestNames(), ['b', 'c']);
    consumers.drop('c');
    consumers.drop('unknown');
    assert.deepEqual(consumers.slowest(), { index: 1, offsetBytes: 99 });
    assert.deepEqual([...consumers.positions.keys()], ['a', 'b']);
    consumers.clear();
    assert.equal(consumers.slowest(), undefined);
    assert.deepEqual(consumers.slowestNames(), []);
  });

  it('move while each has confirmed something in the last three seconds', () => {
    const consumers = new Consumers();
    assert.equal(consumers.isMoving(0), true);
    consumers.confirm('a', { index: 0, offsetBytes: 0 }, 1000);
    assert.equal(consumers.isMoving(3999), true);
    assert.equal(consumers.isMoving(4000), false);
    consumers.confirm('a', { index: 0, offsetBytes: 1 }, 4000);
    consumers.resume('b', { index: 0, offsetBytes: 0 }, 4000);
    assert.equal(consumers.isMoving(4000), false, 'one that has never confirmed does not move');
    consumers.drop('b');
    assert.equal(consumers.isMoving(4000), true);
  });

  it('may be waited for while the slowest does not fail, for a minute after it was last heard of', () => {
    const consumers = new Consumers();
    assert.equal(consumers.isSlowestWell(0), true);
    consumers.resume('slow', { index: 0, offsetBytes: 0 }, 1000);
    consumers.confirm('fast', { index: 1, offsetBytes: 0 }, 1000);
    assert.equal(consumers.isSlowestWell(60_999), true);
    assert.equal(consumers.isSlowestWell(61_000), false);
    consumers.confirm('slow', { index: 0, offsetBytes: 1 }, 61_000);
    consumers.failed('fast');
    assert.equal(consumers.isSlowestWell(61_000), true, 'nobody waits for the fast one');
    consumers.failed('slow');
    consumers.failed('unknown');
    assert.equal(consumers.isSlowestWell(61_000), false);
    consumers.confirm('slow', { index: 0, offsetBytes: 2 }, 61_001);
    assert.equal(consumers.isSlowestWell(61_001), true);
  });
});
