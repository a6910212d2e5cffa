/** One destination that is slow, hangs or breaks off, beside a healthy one, under an application that must not notice. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { follow } from '../../src/primary/follow.ts';
import type { Primary } from '../../src/primary/primary.ts';
import { noReplicaObserver } from '../../src/replica/replica-observer.ts';
import { Replica } from '../../src/replica/replica.ts';
import { restore } from '../../src/restore/restore.ts';
import { FileObjectStore } from '../../src/storage/file/file-object-store.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';
import { assertSameRows } from './destination/same-rows.ts';
import { type Behaviour, FaultyStore } from './destination/faulty-store.ts';

const FAULT_MS = 1_500;
const RECOVERY_MS = 15_000;
const CAUGHT_UP_MS = 5_000;
/** Far above what a commit takes, and far below what a wait for the faulty destination would take. */
const COMMIT_P90_MS = 25;

function replicaTo(store: ObjectStore, name: string, primary: Primary, metaPath: string): Replica {
  return new Replica(
    {
      name,
      metaPath,
      syncIntervalMs: 20,
      snapshotIntervalMs: 0,
      retentionMs: 0,
      retentionCheckIntervalMs: 60_000,
      validationIntervalMs: 0,
    },
    { primary, store, clock: systemClock, logger: silentLogger, observer: noReplicaObserver },
  );
}

/** Commits several hundred times a second, and answers how long each commit took. */
async function writeFor(live: LiveDatabase, ms: number): Promise<number[]> {
  const times: number[] = [];
  for (const endMs = performance.now() + ms; performance.now() < endMs;) {
    const startedMs = performance.now();
    live.insert(3, 400);
    times.push(performance.now() - startedMs);
    await sleep(3);
  }
  return times.sort((a, b) => a - b);
}

async function untilCaughtUp(replica: Replica, primary: Primary, timeoutMs: number): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    await primary.refresh();
    if (replica.isCaughtUp) return;
    assert.ok(performance.now() < deadlineMs, `${replica.settings.name} did not catch up`);
    await sleep(20);
  }
}

async function tryBehaviour(behaviour: Behaviour): Promise<void> {
  using live = new LiveDatabase();
  const primary = openPrimary(live.path, { checkpoint: { minPages: 100, intervalMs: 500 } });
  const healthy = new FileObjectStore(live.scratch.file('healthy'));
  const faulty = new FaultyStore(new FileObjectStore(live.scratch.file('faulty')));
  const metaPath = live.scratch.file('meta');
  const replicas = [
    replicaTo(healthy, 'healthy', primary, metaPath),
    replicaTo(faulty, 'faulty', primary, metaPath),
  ] as const;
  const ending = new AbortController();
  const options = { primary, clock: systemClock, pollIntervalMs: 100, signal: ending.signal };
  const failures: unknown[] = [];
  await primary.refresh();
  const running = Promise.all([
    follow({ ...options, onFailure: (error) => failures.push(error) * 10, onSuccess: () => undefined }),
    ...replicas.map(async (replica) => replica.run(ending.signal)),
  ]);
  try {
    await writeFor(live, 300);
    faulty.behaviour = behaviour;
    const times = await writeFor(live, FAULT_MS);
    const p90Ms = times[Math.floor(times.length * 0.9)] ?? 0;
    assert.ok(p90Ms < COMMIT_P90_MS, `a commit took ${p90Ms} ms`);
    await untilCaughtUp(replicas[0], primary, CAUGHT_UP_MS);
    await assertRestores(live, healthy);
    // A call that hangs for ever can only be given up by whoever stops or restarts the process.
    if (behaviour === 'hanging') return;
    faulty.behaviour = 'well';
    await writeFor(live, 200);
    await untilCaughtUp(replicas[1], primary, RECOVERY_MS);
    await assertRestores(live, faulty);
    assert.deepEqual(failures, []);
  } finally {
    ending.abort();
    await running;
    await primary.close();
  }
}

async function assertRestores(live: LiveDatabase, store: ObjectStore): Promise<void> {
  const outputPath = live.scratch.file('copy.db');
  await restore({ store, outputPath, target: {}, integrityCheck: 'full' });
  assertSameRows(live.path, outputPath);
}

suite('a destination that misbehaves beside a healthy one', () => {
  for (const behaviour of ['slow', 'hanging', 'breaking', 'forgetful'] as const) {
    test(behaviour, { timeout: 300_000 }, async () => tryBehaviour(behaviour));
  }
});
