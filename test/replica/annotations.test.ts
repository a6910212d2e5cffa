/** What the stored objects say about themselves, and that retention takes nothing that is needed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeFrame } from '../../src/codec/decode-frame.ts';
import { encodeFrame } from '../../src/codec/encode-frame.ts';
import { type Annotation, encodeAnnotation, findAnnotation } from '../../src/generations/annotation.ts';
import { parseSegmentName, segmentKey, snapshotKey } from '../../src/generations/names.ts';
import { frameBytes } from '../../src/wal/frames.ts';
import { enforceRetention } from '../../src/replica/retention.ts';
import { restore } from '../../src/restore/restore.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { fillSmallReplica, ReplicaMaker } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { ReplicaScene } from '../support/replica-scene.ts';
import { Scratch } from '../support/scratch.ts';

const MAX = { maxBytes: 2 ** 28 };

function annotationOf(store: MemoryStore, key: string): Annotation | undefined {
  return findAnnotation(decodeFrame(store.bytesOf(key), MAX).annotations, key);
}

/** The checksum in the last frame of a segment; the pages of these databases have 4096 bytes. */
function lastChecksum(content: Uint8Array): [number, number] {
  const view = new DataView(content.buffer, content.byteOffset + content.length - frameBytes(4096));
  return [view.getUint32(16), view.getUint32(20)];
}

/** A log that ends at the right offset, but with other content, is not the one that the next log followed. */
async function assertOtherHistoryIsRefused(store: MemoryStore, segments: readonly string[]): Promise<void> {
  const key = segments.find((name) => name.includes('/00000001_00000000')) ?? assert.fail('no second log');
  const changed = store.clone();
  const annotation = annotationOf(store, key);
  assert.ok(annotation?.kind === 'segment');
  const other = encodeAnnotation({ ...annotation, previousEndChecksum: [1, 2] });
  changed.put(key, encodeFrame(decodeFrame(store.bytesOf(key), MAX).content, { annotation: other }));
  using scratch = new Scratch();
  const restoring = restore({ store: changed, target: {}, outputPath: scratch.file('out') });
  await assert.rejects(restoring, { code: 'CHAIN_BROKEN', message: /follows another log of index 00000000/ });
}

describe('what is uploaded', () => {
  it('the first segment of a log says where the one before ended; a snapshot says where it stands', async () => {
    const store = new MemoryStore();
    await using scene = new ReplicaScene({ store, primary: { checkpoint: { minPages: 4 } } });
    scene.live.insert(3);
    for (let round = 0; round < 8; round++) {
      await scene.sync();
      scene.live.insert(3, 1500);
    }
    const generation = scene.primary.generation ?? '';
    const ends = new Map<number, number>();
    const checksums = new Map<number, [number, number]>();
    const segments = store.keys().filter((key) => key.includes('/wal/'));
    let firsts = 0;
    for (const key of segments) {
      const position = parseSegmentName(key.split('/').at(-1) ?? '') ?? assert.fail(key);
      const { index, offsetBytes } = position;
      const annotation = annotationOf(store, key);
      const previousEndBytes = ends.get(index - 1);
      if (offsetBytes === 0) {
        firsts++;
        const previousEndChecksum = checksums.get(index - 1);
        const known = previousEndBytes === undefined ? {} : { previousEndBytes, previousEndChecksum };
        assert.deepEqual(annotation, { kind: 'segment', generation, index, ...known });
      } else assert.equal(annotation, undefined);
      const { content } = decodeFrame(store.bytesOf(key), MAX);
      assert.equal(offsetBytes, ends.get(index) ?? 0, 'a gap between segments');
      ends.set(index, offsetBytes + content.length);
      checksums.set(index, lastChecksum(content));
    }
    assert.ok(firsts >= 3);
    await assertOtherHistoryIsRefused(store, segments);
    const snapshot = store.keys().find((key) => key.includes('/snapshots/')) ?? '';
    const annotation = annotationOf(store, snapshot);
    assert.ok(annotation?.kind === 'snapshot');
    assert.equal(annotation.index, 0);
    assert.equal(annotation.generation, generation);
    const { content } = decodeFrame(store.bytesOf(snapshot), MAX);
    assert.equal(content.length, annotation.pageCount * annotation.pageSizeBytes);
    assert.equal(annotation.salts?.length, 2);
  });
});

describe('retention at a destination', () => {
  async function restoredBytes(store: MemoryStore, timestampMs: number): Promise<number> {
    using scratch = new Scratch();
    const outputPath = scratch.file('out');
    return (await restore({ store, target: { timestampMs }, outputPath })).databaseBytes;
  }

  it('keeps every moment of the window restorable, whenever it is enforced', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    const last = maker.points.at(-1)?.timeMs ?? 0;
    for (const retentionMs of [1, 2000, 4000, 1e9]) {
      for (const later of [0, 1500, 3000, 1e10]) {
        const store = maker.store.clone();
        const nowMs = last + later;
        const logger = new RecordingLogger();
        const before = store.keys().length;
        const { removed } = await enforceRetention({ store, retentionMs, nowMs, logger });
        assert.equal(before - store.keys().length, removed);
        assert.equal(logger.messages().length, removed > 0 ? 1 : 0);
        const again = await enforceRetention({ store, retentionMs, nowMs, logger });
        assert.equal(again.removed, 0, 'nothing is left to remove');
        const inWindow = maker.points.filter(({ timeMs }) => timeMs >= nowMs - retentionMs);
        for (const point of [...inWindow, ...maker.points.slice(-1)].slice(1)) {
          assert.equal(await restoredBytes(store, point.timeMs), point.database.length);
        }
      }
    }
  });

  it('removes in batches, is idle when one snapshot is left, and fails as the destination does', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    const nowMs = (maker.points.at(-1)?.timeMs ?? 0) + 1e9;
    const store = new FaultyStore(maker.store);
    const logger = new RecordingLogger();
    const parts = { store, retentionMs: 1000, nowMs, logger, signal: new AbortController().signal };
    store.fault = ({ kind }) => (kind === 'remove' ? 'fail' : undefined);
    await assert.rejects(enforceRetention(parts), { code: 'STORAGE_FAILED' });
    store.fault = () => undefined;
    const { isIdle, removed } = await enforceRetention(parts);
    assert.equal(isIdle, true);
    assert.ok(removed > 0);
    // One that failed; then snapshots, segments, and first segments, one after the other.
    assert.equal(store.keysOf('remove').length, 4);
    assert.equal((await enforceRetention({ ...parts, retentionMs: 0 })).removed, 0);
  });

  it('takes nothing of the generation that is being written, whatever another writer and the clocks do', async () => {
    const store = new MemoryStore();
    const present = '00112233445566aa';
    const other = '00112233445566bb';
    for (const [generation, timeMs] of [
      [present, 1000],
      [other, 2000],
    ] as const) {
      store.put(snapshotKey(generation, 0), new Uint8Array(1), timeMs);
      store.put(segmentKey(generation, { index: 0, offsetBytes: 0 }), new Uint8Array(1), timeMs);
    }
    const parts = { store, retentionMs: 1000, nowMs: 3_600_000, logger: new RecordingLogger() };
    const { removed, isIdle } = await enforceRetention({ ...parts, present });
    assert.deepEqual({ removed, isIdle }, { removed: 0, isIdle: true });
    assert.equal((await enforceRetention({ ...parts, present: other })).removed, 2);
    assert.deepEqual(
      store.keys().filter((key) => key.includes(present)),
      [],
    );
  });

  it('is idle beside an old generation that was written to after the present one got its snapshot', async () => {
    const DAY = 86_400_000;
    const store = new MemoryStore();
    const put = (generation: string, snapshotMs: number, segmentMs: number): void => {
      store.put(snapshotKey(generation, 0), new Uint8Array(1), snapshotMs);
      store.put(segmentKey(generation, { index: 0, offsetBytes: 0 }), new Uint8Array(1), segmentMs);
    };
    put('00112233445566aa', 0, 4 * DAY);
    put('00112233445566bb', 3 * DAY, 5 * DAY);
    const parts = { store, retentionMs: DAY, logger: new RecordingLogger() };
    // Whatever the time, no snapshot of the present one begins behind all of the old one: nothing was written since.
    for (const nowMs of [5 * DAY, 500 * DAY]) {
      const { isIdle, removed } = await enforceRetention({ ...parts, nowMs });
      assert.deepEqual({ isIdle, removed }, { isIdle: true, removed: 0 });
    }
    store.put(snapshotKey('00112233445566bb', 1), new Uint8Array(1), 6 * DAY);
    assert.equal((await enforceRetention({ ...parts, nowMs: 6 * DAY })).isIdle, false);
    const { isIdle, removed } = await enforceRetention({ ...parts, nowMs: 7 * DAY });
    assert.deepEqual({ isIdle, removed }, { isIdle: true, removed: 4 });
  });
});
