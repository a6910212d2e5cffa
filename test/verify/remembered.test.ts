/** What is known of proofs lasts: over restarts, over processes that live for a moment, and until somebody has to act. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { validationPath } from '../../src/replica/validation.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene } from '../support/replica-scene.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const VERIFY = { intervalMs: 24 * HOUR, quickIntervalMs: 5 * MINUTE, maxSizeBytes: 0 };
const ALARM = 'the destination does not restore';

interface Setting {
  readonly scene: ReplicaScene;
  readonly store: MemoryStore;
  readonly clock: FakeClock;
  /** Something is committed and stored, and what is due is done; as `replicate -once` does it. */
  readonly once: (rows?: number) => Promise<void>;
}

function begin(verify: typeof VERIFY = VERIFY): Setting {
  const clock = new FakeClock();
  const store = new MemoryStore();
  const scene = new ReplicaScene({ clock, store, settings: { verify } });
  const once = async (rows: number = 1): Promise<void> => {
    store.nowMs = clock.now();
    if (rows > 0) scene.live.insert(rows, 900);
    await clock.during(scene.replica.once(new AbortController().signal));
  };
  return { scene, store, clock, once };
}

function count({ facts }: ReplicaScene, fact: string): number {
  return facts.filter((one) => one === fact).length;
}

describe('what is known of proofs', () => {
  it('is shown after a restart as before it', async () => {
    const { scene, clock, once } = begin();
    await using _scene = scene;
    await once();
    assert.equal(count(scene, 'proof quick proven'), 0);
    clock.advance(5 * MINUTE);
    await once();
    const { proof } = scene.replica.status;
    assert.equal(proof?.outcome, 'proven');
    await scene.restart();
    assert.deepEqual(scene.replica.status.proof, proof);
  });

  it('comes about although no process lives as long as an interval', async () => {
    const { scene, clock, once } = begin({ ...VERIFY, intervalMs: 2 * HOUR });
    await using _scene = scene;
    for (let minute = 0; minute < 150; minute += 3) {
      await once(minute % 15 === 0 ? 1 : 0);
      clock.advance(3 * MINUTE);
      await scene.restart();
    }
    const proofs = count(scene, 'proof quick proven');
    assert.ok(proofs >= 9, `${proofs} proofs`);
    assert.equal(count(scene, 'valid'), 1);
  });

  it('says what was left out, after a restart as well', async () => {
    const { scene, clock, once } = begin({ ...VERIFY, maxSizeBytes: 100 });
    await using _scene = scene;
    await once();
    clock.advance(5 * MINUTE);
    await once();
    const said =
      /^restorable until .*; but generations\/.*\.snapshot\.lz4 was not read, as it is larger than `max-size`$/;
    assert.match(scene.replica.status.proof?.message ?? '', said);
    await scene.restart();
    assert.match(scene.replica.status.proof?.message ?? '', said);
  });

  it('a full proof that an outage hindered is made up for, although nothing has been written since', async () => {
    const { scene, clock, once } = begin({ ...VERIFY, intervalMs: HOUR, quickIntervalMs: 0 });
    await using _scene = scene;
    await once();
    clock.advance(HOUR);
    scene.store.fault = ({ kind }) => (kind === 'read' || kind === 'readBytes' ? 'fail' : undefined);
    await assert.rejects(once(0), { code: 'STORAGE_FAILED' });
    assert.equal(scene.replica.status.lastError?.duty, 'validation');
    scene.store.fault = () => undefined;
    clock.advance(5 * MINUTE);
    await once(0);
    assert.equal(count(scene, 'valid'), 1);
    assert.equal(scene.replica.status.proof?.outcome, 'proven');
  });

  it('a process that was killed while it proved leaves no copy', async () => {
    const { scene, once } = begin();
    await using _scene = scene;
    await once();
    const copy = validationPath(`${scene.live.path}-meta`, 'memory');
    const half = `${copy}.tmp-0123456789abcdef`;
    const left = [copy, half, `${half}-overflow`];
    for (const path of left) writeFileSync(path, 'half');
    await scene.restart();
    await once();
    for (const path of left) assert.ok(!existsSync(path), path);
  });

  it('an emptied destination is told each time, and nothing of it counts as restorable', async () => {
    // More often than the shipping looks for the snapshot.
    const { scene, store, clock, once } = begin({ ...VERIFY, quickIntervalMs: 10_000 });
    await using _scene = scene;
    const round = async (): Promise<void> => {
      await once();
      clock.advance(11_000);
      await once(0);
    };
    for (const told of [1, 2]) {
      await round();
      assert.equal(scene.replica.status.proof?.outcome, 'proven');
      store.objects.clear();
      // Nor can a fresh snapshot be stored for now.
      scene.store.fault = ({ kind, key }) =>
        kind === 'write' && key.includes('/snapshots/') ? 'fail' : undefined;
      await once();
      clock.advance(11_000);
      await assert.rejects(once(0));
      const broken = scene.replica.status.proof;
      assert.equal(scene.logger.matching(ALARM).length, told);
      assert.deepEqual([broken?.outcome, broken?.provenUntilMs], ['broken', undefined]);
      scene.store.fault = () => undefined;
      clock.advance(60_000);
      await once(0);
    }
  });

  it('damage that leaves an older moment: no later one counts as restorable', async () => {
    const { scene, store, clock, once } = begin();
    await using _scene = scene;
    for (let n = 0; n < 6; n += 1) {
      await once();
      clock.advance(2 * MINUTE);
    }
    await once(0);
    const before = scene.replica.status.proof?.provenUntilMs ?? 0;
    const keys = store.keys().filter((key) => key.includes('/wal/'));
    const hole = keys.at(2) ?? '';
    const { timeMs = 0 } = store.objects.get(hole) ?? {};
    store.objects.delete(hole);
    // No fresh snapshot can be stored meanwhile.
    scene.store.fault = ({ kind, key }) =>
      kind === 'write' && key.includes('/snapshots/') ? 'fail' : undefined;
    clock.advance(5 * MINUTE);
    await once().catch(() => undefined);
    const { proof } = scene.replica.status;
    assert.equal(proof?.outcome, 'broken');
    assert.ok((proof.provenUntilMs ?? 0) < timeMs, `${proof.provenUntilMs} ${timeMs}`);
    assert.ok((proof.provenUntilMs ?? 0) > 0 && timeMs < before);
  });

  it('what cannot be proven for a day needs somebody', async () => {
    const { scene, clock, once } = begin();
    await using _scene = scene;
    await once();
    scene.store.fault = ({ kind }) => (kind === 'read' || kind === 'readBytes' ? 'fail' : undefined);
    for (let hours = 0; hours < 50; hours += 1) {
      clock.advance(HOUR);
      await once().catch(() => undefined);
    }
    assert.equal(scene.logger.matching('the destination could not be proven; trying again').length, 1);
    const told = scene.logger.matching('the destination cannot be proven');
    assert.equal(told.length, 2, 'each day');
    assert.ok(told.every(({ level }) => level === 'error'));
    assert.match(String(told[0]?.fields['hint']), /can be reached and read/);
    scene.store.fault = () => undefined;
    clock.advance(HOUR);
    await once();
    assert.equal(scene.replica.status.proof?.outcome, 'proven');
  });
});
