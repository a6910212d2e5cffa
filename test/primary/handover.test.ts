/** Which locks a checkpoint takes, and when. */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import type { Connections } from '../../src/primary/connections.ts';
import { handOver, type HandoverParts } from '../../src/primary/handover.ts';
import { openDatabase, readLog } from '../../src/primary/open-database.ts';
import { handoverParts } from '../support/handover-parts.ts';
import { LiveDatabase } from '../support/live-database.ts';

interface Scene {
  readonly live: LiveDatabase;
  readonly steps: string[];
  /** Called before each PASSIVE checkpoint. */
  readonly onCheckpoint?: () => void;
  readonly lockedBytesMax?: number;
  /** By what the clock goes on with each step of that name. */
  readonly takesMs?: Readonly<Record<string, number>>;
  /** For how long the write lock was held each time. */
  readonly heldMs?: number[];
}

/** What was done, one after another, and how it ended. */
async function stepsOf(scene: Scene): Promise<string> {
  const { live, steps, onCheckpoint, lockedBytesMax, takesMs = {} } = scene;
  const database = openDatabase(live.path, 10);
  const { machine } = database;
  let nowMs = 0;
  const note = (step: string): void => {
    steps.push(step);
    nowMs += takesMs[step] ?? 0;
  };
  const noted = {
    withWriteLock: <T>(section: () => T, waitMs?: number): T | undefined => {
      note('write lock');
      return database.connections.withWriteLock(section, waitMs);
    },
    checkpointPassive: () => {
      note('checkpoint');
      const result = database.connections.checkpointPassive();
      onCheckpoint?.();
      return result;
    },
    moveHold: (whileBothHold: () => boolean): boolean => {
      note('move');
      return database.connections.moveHold(whileBothHold);
    },
  };
  const connections: Connections = new Proxy(database.connections, {
    get(target, name) {
      if (name in noted) return Reflect.get(noted, name) as unknown;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const parts: Partial<HandoverParts> = {
    connections,
    lockedBytesMax,
    onWriteLock: (ms) => scene.heldMs?.push(ms),
    capture: (isLate) => {
      if (isLate !== undefined) nowMs += takesMs['capture under the lock'] ?? 0;
      return isLate?.() !== true;
    },
    machine: {
      standStill: (ms) => (nowMs += ms),
      monotonicMs: () => nowMs,
      isCheckpointerFree: async () => machine.isCheckpointerFree(),
      checkpointWithin: (of, ms) => {
        steps.push('checkpoint under the lock');
        const tookMs = takesMs['checkpoint under the lock'] ?? 0;
        nowMs += Math.min(ms, tookMs);
        return tookMs > ms ? 'late' : machine.checkpointWithin(of, 5_000);
      },
      checkpointInBackground: async (of) => {
        note('background');
        return machine.checkpointInBackground(of);
      },
    },
  };
  try {
    return await handOver(
      handoverParts(database, await readLog(database, { index: 0, change: undefined }), parts),
    );
  } finally {
    database.close();
  }
}

describe('checkpointing a WAL', () => {
  it('takes no lock that a writer can feel', async () => {
    using live = new LiveDatabase();
    live.insert(500, 3900);
    const steps: string[] = [];
    assert.equal(await stepsOf({ live, steps }), 'complete');
    assert.deepEqual(steps, ['move', 'checkpoint', 'move']);
  });

  it('does a large one on a thread of its own', async () => {
    using live = new LiveDatabase();
    live.insert(3000, 3900);
    const steps: string[] = [];
    assert.equal(await stepsOf({ live, steps }), 'complete');
    assert.deepEqual(steps, ['move', 'background', 'move']);
  });

  it('below the limit a writer that never pauses is left to write', async () => {
    using live = new LiveDatabase();
    live.insert(100, 3900);
    const steps: string[] = [];
    const onCheckpoint = (): void => live.insert(1);
    assert.equal(await stepsOf({ live, steps, onCheckpoint }), 'outrun');
    assert.ok(!steps.includes('write lock'));
    assert.equal(live.count(), 101);
  });

  it('at the limit it takes the write lock for the last frames, after nearly all is done without it', async () => {
    using live = new LiveDatabase();
    live.insert(100, 3900);
    const steps: string[] = [];
    const onCheckpoint = (): void => {
      if (!steps.includes('write lock')) live.insert(1);
    };
    assert.equal(await stepsOf({ live, steps, onCheckpoint, lockedBytesMax: 1e6 }), 'complete');
    assert.deepEqual(steps.slice(-5), ['move', 'write lock', 'move', 'checkpoint under the lock', 'move']);
    assert.equal(steps.filter((step) => step === 'checkpoint').length, 1);
  });

  it('the write lock is released in time although the checkpoint under it has not ended', async () => {
    using live = new LiveDatabase();
    live.insert(100, 3900);
    const steps: string[] = [];
    const heldMs: number[] = [];
    const onCheckpoint = (): void => {
      if (!steps.includes('write lock')) live.insert(1);
    };
    const takesMs = { 'checkpoint under the lock': 5_000 };
    assert.equal(
      await stepsOf({ live, steps, onCheckpoint, lockedBytesMax: Infinity, takesMs, heldMs }),
      'outrun',
    );
    assert.equal(heldMs.length, 1);
    assert.ok(heldMs.every((ms) => ms <= 250));
    assert.equal(steps.at(-1), 'checkpoint under the lock');
  });

  it('and also when the last frames cannot be kept in time', async () => {
    using live = new LiveDatabase();
    live.insert(100, 3900);
    const steps: string[] = [];
    const heldMs: number[] = [];
    const onCheckpoint = (): void => live.insert(1);
    const takesMs = { 'capture under the lock': 100 };
    assert.equal(
      await stepsOf({ live, steps, onCheckpoint, lockedBytesMax: Infinity, takesMs, heldMs }),
      'busy',
    );
    assert.ok(heldMs.length > 0 && heldMs.every((ms) => ms <= 250));
    assert.ok(!steps.includes('checkpoint under the lock'));
  });

  it('a disk that takes long for a few frames is not tried under the lock', async () => {
    using live = new LiveDatabase();
    live.insert(20, 3900);
    const steps: string[] = [];
    const onCheckpoint = (): void => live.insert(1);
    const scene = { live, steps, onCheckpoint, lockedBytesMax: Infinity, takesMs: { checkpoint: 400 } };
    assert.equal(await stepsOf(scene), 'outrun');
    assert.ok(!steps.includes('write lock'));
  });

  it('while a reader is in the way it does not ask for the write lock', async () => {
    using live = new LiveDatabase();
    live.insert(100, 3900);
    const reader = new DatabaseSync(live.path);
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM t').get();
    live.insert(10, 3900);
    const steps: string[] = [];
    assert.equal(await stepsOf({ live, steps, lockedBytesMax: 1e6 }), 'partial');
    assert.ok(!steps.includes('write lock'));
    reader.close();
  });
});
