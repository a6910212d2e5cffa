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
}

/** What was done, one after another, and how it ended. */
async function stepsOf({ live, steps, onCheckpoint, lockedBytesMax }: Scene): Promise<string> {
  const database = openDatabase(live.path, 10);
  const { machine } = database;
  const noted = {
    withWriteLock: <T>(section: () => T, waitMs?: number): T | undefined => {
      steps.push('write lock');
      return database.connections.withWriteLock(section, waitMs);
    },
    checkpointPassive: () => {
      steps.push('checkpoint');
      const result = database.connections.checkpointPassive();
      onCheckpoint?.();
      return result;
    },
    moveHold: (whileBothHold: () => boolean): boolean => {
      steps.push('move');
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
    machine: {
      standStill: (ms) => machine.standStill(ms),
      monotonicMs: () => machine.monotonicMs(),
      checkpointInBackground: async (of) => {
        steps.push('background');
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
    assert.deepEqual(steps.slice(-5), ['move', 'write lock', 'move', 'checkpoint', 'move']);
    assert.equal(steps.filter((step) => step === 'checkpoint').length, 2);
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
