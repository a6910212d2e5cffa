/** In which order a checkpoint takes locks: what takes long comes before writers have to wait. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { handOver } from '../../src/primary/handover.ts';
import { type OpenDatabase, openDatabase, readLog } from '../../src/primary/open-database.ts';
import { LiveDatabase } from '../support/live-database.ts';

const HUGE_BYTES = 300 * 1024 * 1024;

/** What was done, one after another. */
async function stepsOf(
  { path }: LiveDatabase,
  database: OpenDatabase,
  facts: { readonly isUrgent: boolean; readonly checkpointedBytes: number },
): Promise<string[]> {
  const steps: string[] = [];
  const { connections, machine } = database;
  const withWriteLock: typeof connections.withWriteLock = (section, waitMs) => {
    steps.push('write lock');
    return connections.withWriteLock(section, waitMs);
  };
  const outcome = await handOver({
    path,
    machine: {
      standStill: (ms) => machine.standStill(ms),
      monotonicMs: () => machine.monotonicMs(),
      checkpointInBackground: async (of) => {
        steps.push('background');
        await machine.checkpointInBackground(of);
      },
    },
    connections: new Proxy(connections, {
      get: (target, name) => {
        if (name === 'withWriteLock') return withWriteLock;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    }),
    tail: await readLog(database, 0),
    captureMost: async () => true,
    capture: () => true,
    ...facts,
  });
  return [...steps, outcome];
}

describe('handing over a log at its limit', () => {
  it('takes the write lock at once', async () => {
    using live = new LiveDatabase();
    live.insert(500, 3900);
    const database = openDatabase(live.path, 10);
    const facts = { isUrgent: true, checkpointedBytes: 0 };
    assert.deepEqual(await stepsOf(live, database, facts), ['write lock', 'complete']);
    database.close();
  });

  it('does nearly all of a huge one without the lock first', async () => {
    using live = new LiveDatabase();
    live.insert(500, 3900);
    const database = openDatabase(live.path, 10);
    // As far behind as if the log were that long.
    const facts = { isUrgent: true, checkpointedBytes: -HUGE_BYTES };
    assert.deepEqual(await stepsOf(live, database, facts), ['background', 'write lock', 'complete']);
    database.close();
  });
});
