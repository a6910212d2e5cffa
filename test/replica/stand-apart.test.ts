/** A restore finds the generation that was written last, also where the store counts in whole seconds. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readInventory } from '../../src/generations/inventory.ts';
import { segmentKey, snapshotKey } from '../../src/generations/names.ts';
import { standApart } from '../../src/replica/stand-apart.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene } from '../support/replica-scene.ts';
import { putSuccession } from '../support/succession.ts';

const FOREIGN = 'feedfeedfeedfeed';
const OWN = '0123456789abcdef';

/** A store whose times are cut to whole seconds. */
class SecondsStore extends MemoryStore {
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    super();
    this.#clock = clock;
  }

  override put(key: string, bytes: Uint8Array, timeMs: number = this.#clock.now()): void {
    super.put(key, bytes, Math.floor(timeMs / 1_000) * 1_000);
  }
}

describe('objects of two generations in one second', () => {
  it('do not come about: the first of ours waits', async () => {
    const clock = new FakeClock();
    const store = new SecondsStore(clock);
    clock.advance(300);
    store.put(snapshotKey(FOREIGN, 0), new Uint8Array([1]));
    await using scene = new ReplicaScene({ store, clock });
    scene.live.insert(3);
    await clock.during(scene.sync());
    const { generations } = await readInventory(store);
    const [foreign, own] = generations;
    assert.equal(foreign?.generation, FOREIGN);
    assert.equal(own?.generation, scene.primary.generation);
    assert.ok((own?.startedAt ?? 0) > (foreign?.updatedAt ?? 0));
  });

  it('are looked for once, at the start', async () => {
    const clock = new FakeClock();
    const store = new SecondsStore(clock);
    await using scene = new ReplicaScene({ store, clock });
    await clock.during(scene.sync());
    store.put(snapshotKey(FOREIGN, 0), new Uint8Array([1]));
    scene.live.insert(3);
    const { sleeps } = clock;
    const before = sleeps.length;
    await clock.during(scene.sync());
    assert.deepEqual(
      sleeps.slice(before).filter((ms) => ms >= 1_000),
      [],
    );
  });
});

describe('the wait for the next second', () => {
  const waits = async (
    timeMs: number,
    generation: string = FOREIGN,
    store: MemoryStore = new MemoryStore(),
  ): Promise<readonly number[]> => {
    const clock = new FakeClock();
    store.put(
      segmentKey(generation, { index: 3, offsetBytes: 0 }),
      new Uint8Array([1]),
      clock.now() + timeMs,
    );
    await clock.during(standApart({ store, clock }, OWN, {}));
    return clock.sleeps;
  };

  it('is for a recent whole second only', async () => {
    assert.deepEqual(await waits(0), [1_000]);
    assert.deepEqual(await waits(-59 * 60_000), [1_000], 'the clock here may run ahead');
    assert.deepEqual(await waits(3_600_000), [1_000], 'or behind');
    assert.deepEqual(await waits(-61 * 60_000), []);
    assert.deepEqual(await waits(-17), [], 'a store that counts finer has an order of its own');
  });

  it('is not for what this generation has stored itself', async () => {
    assert.deepEqual(await waits(0, OWN), []);
  });

  it('is not for a generation of which the lease says that it ended', async () => {
    const store = new MemoryStore();
    putSuccession(store, { ended: FOREIGN, written: OWN }, undefined, store.nowMs);
    assert.deepEqual(await waits(0, FOREIGN, store), []);
  });
});
