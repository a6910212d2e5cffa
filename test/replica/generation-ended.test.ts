/** A generation that has ended gets nothing of the next one, also from a destination that has not noticed yet. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { startOfLog } from '../../src/primary/cursor.ts';
import { readState } from '../../src/primary/state-file.ts';
import { Duties } from '../../src/replica/duties.ts';
import { noReplicaObserver } from '../../src/replica/replica-observer.ts';
import type { Session } from '../../src/replica/session.ts';
import { StoreClock } from '../../src/replica/store-clock.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene } from '../support/replica-scene.ts';

describe('a generation that has ended', () => {
  it('gets no snapshot of the database that came after it', async () => {
    await using scene = new ReplicaScene();
    await scene.sync();
    const ended = scene.primary.generation as string;
    const session: Session = {
      generation: ended,
      // Far behind the place of any snapshot, so that nothing holds it up.
      cursor: startOfLog(9),
      firstIndex: 0,
      reachBytes: 0,
      snapshotIndex: 0,
      lastSegment: undefined,
      snapshotSeenMs: 0,
    };
    const duties = new Duties(
      {
        name: 'memory',
        metaPath: `${scene.live.path}-meta`,
        snapshotIntervalMs: 1,
        retentionMs: 0,
        retentionCheckIntervalMs: 3_600_000,
        validationIntervalMs: undefined,
      },
      {
        primary: scene.primary,
        store: scene.store,
        clock: systemClock,
        logger: scene.logger,
        observer: noReplicaObserver,
        session: () => session,
        storeClock: new StoreClock(systemClock),
      },
    );
    await scene.primary.abandonGeneration(ended, 'for this test');
    // Its name is free, as that of a later index would be, or at a store that overwrites.
    await scene.store.remove(await keysOf(scene));
    duties.start(undefined);
    assert.ok(duties.underWay !== undefined, 'no snapshot was due');
    await duties.underWay;
    assert.deepEqual(await keysOf(scene), []);
    assert.deepEqual(duties.failures, []);
    // It is due still, and would be tried again and again without a pause.
    assert.ok((duties.nextAtMs() ?? 0) > systemClock.now(), 'tried again at once');
  });

  it('has nothing noted of what is stored after its end', async () => {
    const store = new MemoryStore();
    await using scene = new ReplicaScene({ store });
    await scene.sync();
    const ended = scene.primary.generation as string;
    scene.live.insert(3);
    await scene.refresh();
    const write = store.write.bind(store);
    store.write = async (...call) => {
      const written = await write(...call);
      await scene.primary.abandonGeneration(ended, 'for this test');
      return written;
    };
    await scene.replica.syncOnce();
    await scene.primary.close();
    const state = readState(join(`${scene.live.path}-meta`, 'state.json'));
    assert.ok(state.kind === 'state' && state.state.generation !== ended);
    assert.deepEqual([...state.state.confirmed], []);
  });

  it('is not opened for a snapshot', async () => {
    await using scene = new ReplicaScene();
    await scene.sync();
    const ended = scene.primary.generation as string;
    await scene.primary.abandonGeneration(ended, 'for this test');
    await assert.rejects(scene.primary.openSnapshot({ wanted: ended }), { code: 'CANCELLED' });
    const snapshot = await scene.primary.openSnapshot({ wanted: scene.primary.generation });
    snapshot.close();
  });
});

async function keysOf(scene: ReplicaScene): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of scene.store.list('')) keys.push(key);
  return keys.sort();
}
