import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DatabaseStatus, healthReasons, type ReplicaReport } from '../../src/daemon/database-status.ts';

const REPLICA = {
  name: 'r',
  state: 'streaming',
  lagMs: 0,
  lagBytes: 0,
  stillMs: 0,
  retentionOverdueMs: 0,
} as ReplicaReport;

function reasonsOf(replica: Partial<ReplicaReport>, database: Partial<DatabaseStatus> = {}): unknown[] {
  const status = { path: '/a', state: 'following', replicas: [{ ...REPLICA, ...replica }], ...database };
  return healthReasons([status as unknown as DatabaseStatus]).map((one) => [one.replica, one.reason]);
}

test('a standby, a start and an error that is over are well', () => {
  for (const state of ['streaming', 'standby', 'starting', 'snapshotting'] as const)
    assert.deepEqual(reasonsOf({ state }), []);
  assert.deepEqual(reasonsOf({}, { state: 'waiting' }), []);
});

test('a destination that fails is bad health only when it lacks changes for some time', () => {
  assert.deepEqual(reasonsOf({ state: 'failing', lagMs: 29_999 }), []);
  assert.deepEqual(reasonsOf({ state: 'failing', lagMs: 30_000 }), [['r', 'failing']]);
  assert.deepEqual(reasonsOf({ state: 'lost' }), [['r', 'lease-lost']]);
  assert.deepEqual(reasonsOf({ state: 'stalled' }), [['r', 'stalled']]);
});

test('a standby is bad health when something is committed beside it for some time, or for longer than it may', () => {
  assert.deepEqual(reasonsOf({ state: 'standby', lagMs: 29_999 }), []);
  assert.deepEqual(reasonsOf({ state: 'standby', lagMs: 30_000 }), [['r', 'standby']]);
  assert.deepEqual(reasonsOf({ state: 'standby', lagMs: 5_000, stalledSinceMs: 1 }), [['r', 'standby']]);
});

test('so is one that does not answer and has given up nothing yet; one that is slow is not', () => {
  for (const state of ['starting', 'snapshotting', 'streaming'] as const) {
    assert.deepEqual(reasonsOf({ state, lagMs: 30_000, stillMs: 25_000 }), [['r', 'failing']]);
    assert.deepEqual(reasonsOf({ state, lagMs: 29_999, stillMs: 29_999 }), []);
    assert.deepEqual(reasonsOf({ state, lagMs: 300_000, stillMs: 5_000 }), []);
  }
});

test('a database that cannot be followed is bad health at once, beside its replicas', () => {
  assert.deepEqual(reasonsOf({}, { state: 'failing' }), [[undefined, 'failing']]);
  assert.deepEqual(reasonsOf({ state: 'stalled' }, { state: 'stalled' }), [
    [undefined, 'stalled'],
    ['r', 'stalled'],
  ]);
});

test('what failed is in the reason while it lasts, and not when it is over', () => {
  const lastError = { message: 'no way', code: 'STORAGE_FAILED', hint: undefined, atMs: 1 } as const;
  const message = (isOver: boolean): string | undefined => {
    const replica = { ...REPLICA, state: 'stalled', lastError: { ...lastError, isOver } };
    return healthReasons([{ path: '/a', replicas: [replica] } as unknown as DatabaseStatus])[0]?.message;
  };
  assert.match(message(false) ?? '', /no way/);
  assert.doesNotMatch(message(true) ?? '', /no way/);
});

test('retention that is overdue for an hour is bad health, with what keeps it from removing', () => {
  assert.deepEqual(reasonsOf({ retentionOverdueMs: 3_599_999 }), []);
  assert.deepEqual(reasonsOf({ retentionOverdueMs: 3_600_000 }), [['r', 'retention']]);
  const lastError = { message: 'no way', duty: 'retention', isOver: false } as ReplicaReport['lastError'];
  const replica = { ...REPLICA, retentionOverdueMs: 7_260_000, lastError };
  const [reason] = healthReasons([{ path: '/a', replicas: [replica] } as unknown as DatabaseStatus]);
  assert.match(reason?.message ?? '', /should have been removed 2h1m ago: no way$/);
});

test('a database that is not there for longer than it may is bad health', () => {
  assert.deepEqual(reasonsOf({}, { state: 'waiting', waitingSinceMs: 1 }), [[undefined, 'waiting']]);
});
