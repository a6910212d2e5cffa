import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { Primary } from '../../src/primary/primary.ts';
import { readValidatedAt, validateReplica, writeValidatedAt } from '../../src/replica/validation.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ReplicaScene } from '../support/replica-scene.ts';
import { Scratch } from '../support/scratch.ts';

/** The primary with one byte of its snapshots changed. */
function lying(primary: Primary): Primary {
  const openSnapshot: Primary['openSnapshot'] = async () => {
    const snapshot = await primary.openSnapshot();
    async function* pages(): AsyncIterable<Uint8Array> {
      for await (const piece of snapshot.pages()) {
        const changed = piece.slice();
        changed[5000] = (changed[5000] ?? 0) ^ 1;
        yield changed;
      }
    }
    return { ...snapshot, pages };
  };
  return { openSnapshot } as Primary;
}

async function validate(scene: ReplicaScene, primary: Primary): Promise<string> {
  const { outcome } = await validateReplica({
    primary,
    store: scene.store,
    generation: scene.primary.generation ?? '',
    temporaryPath: scene.live.scratch.file('validation.db'),
    logger: scene.logger,
    shipped: async (position) => position,
  });
  return outcome;
}

describe('validation', { timeout: 30_000 }, () => {
  it('tells equal from different, and leaves nothing behind', async () => {
    await using scene = new ReplicaScene();
    scene.live.insert(30, 1000);
    await scene.sync();
    const before = readdirSync(scene.live.scratch.path);
    assert.equal(await validate(scene, scene.primary), 'equal');
    assert.equal(await validate(scene, lying(scene.primary)), 'different');
    assert.match(scene.logger.messages('error').join(), /the restored database differs from the live one/);
    assert.deepEqual(readdirSync(scene.live.scratch.path), before);
  });

  it('a destination that cannot be read is a failure, not a difference', async () => {
    await using scene = new ReplicaScene();
    scene.live.insert(3);
    await scene.sync();
    scene.store.fault = ({ kind }) => (kind === 'list' ? 'fail' : undefined);
    await assert.rejects(validate(scene, scene.primary), { code: 'STORAGE_FAILED' });
    assert.deepEqual(scene.logger.messages('error'), []);
  });

  it('remembers when it was, by the name of the destination, and takes nonsense for never', () => {
    using scratch = new Scratch();
    const folder = scratch.file('meta');
    assert.equal(readValidatedAt(folder, 'a/b'), undefined);
    writeValidatedAt(folder, 'a/b', 1_750_000_000_000);
    assert.equal(readValidatedAt(folder, 'a/b'), 1_750_000_000_000);
    assert.equal(readValidatedAt(folder, 'a'), undefined);
    writeValidatedAt(folder, 'a', 0);
    assert.deepEqual(readdirSync(folder).length, 2);
  });
});

describe('a duty that fails', { timeout: 30_000 }, () => {
  it('is told, waits longer each time, and does not disturb the shipping', async () => {
    const clock = new FakeClock();
    const HOUR = 3_600_000;
    const settings = { retentionMs: 24 * HOUR, retentionCheckIntervalMs: HOUR };
    await using scene = new ReplicaScene({ clock, settings });
    scene.live.insert(2);
    const { signal } = new AbortController();
    await scene.sync();
    scene.store.fault = ({ kind }) => (kind === 'list' ? 'fail' : undefined);
    const lines = (): number => scene.logger.matching('retention failed; trying again').length;
    const fails = async (): Promise<void> => assert.rejects(scene.replica.once(signal));
    await fails();
    assert.equal(lines(), 1);
    scene.live.insert(2);
    await fails();
    assert.equal(lines(), 1, 'not before its wait is over');
    assert.equal(scene.replica.isCaughtUp, true);
    assert.equal(scene.replica.status.state, 'streaming');
    for (let n = 0; n < 5; n++) {
      clock.advance(HOUR);
      await fails();
    }
    const waits = scene.logger.matching('retention failed').map(({ fields }) => Number(fields['retryInMs']));
    assert.equal(waits.length, 6);
    assert.ok((waits.at(-1) ?? 0) > (waits[0] ?? 0), waits.join(' '));
    scene.store.fault = () => undefined;
    clock.advance(HOUR);
    await scene.replica.once(signal);
    assert.equal(lines(), 6);
  });
});
