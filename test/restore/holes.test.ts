/**
 * Every fault in any single object of a replica: the restore gives exactly the right database, or it names the object
 * and the newest restorable point, whose flags work, and leaves nothing behind.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { RivuletError } from '../../src/base/errors.ts';
import { formatEndName, parseEndName } from '../../src/generations/ends.ts';
import { parseSegmentName, parseSnapshotName, segmentKey, snapshotKey } from '../../src/generations/names.ts';
import type { RestoreTarget } from '../../src/generations/restore-target.ts';
import { restore } from '../../src/restore/restore.ts';
import { ReplicaMaker, fillSmallReplica, lastPoint } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';

const OTHER_GENERATION = 'ffeeddccbbaa0099';

interface Fault {
  readonly name: string;
  /** The key that the fault touches: the one that a message must name. */
  readonly key: string;
  readonly apply: (store: MemoryStore) => void;
}

function nameOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

function truncations(key: string, bytes: Uint8Array): Fault[] {
  const lengths = [0, 1, bytes.length >>> 2, bytes.length >>> 1, bytes.length - 5, bytes.length - 1];
  const distinct = [...new Set(lengths)].filter((length) => length >= 0 && length < bytes.length);
  return distinct.map((length) => ({
    name: `truncate to ${length} of ${bytes.length}`,
    key,
    apply: (store) => store.put(key, bytes.slice(0, length)),
  }));
}

/** One bit in every byte of the first and last hundred, and here and there between. */
function flips(key: string, bytes: Uint8Array): Fault[] {
  const positions = new Set<number>();
  for (let i = 0; i < Math.min(200, bytes.length); i += 4) positions.add(i);
  for (let i = 0; i < 8; i += 1) positions.add(Math.floor((bytes.length * i) / 8));
  for (let i = Math.max(0, bytes.length - 12); i < bytes.length; i += 1) positions.add(i);
  return [...positions].map((position) => ({
    name: `flip a bit of byte ${position} of ${bytes.length}`,
    key,
    apply: (store) => {
      const damaged = bytes.slice();
      damaged[position] = (damaged[position] ?? 0) ^ (1 << (position % 8));
      // Rotten bits leave the object's time alone; all other faults are made by somebody's hand.
      store.put(key, damaged, store.objects.get(key)?.timeMs);
    },
  }));
}

function otherSegmentNames(key: string, generation: string, store: MemoryStore): string[] {
  const place = parseSegmentName(nameOf(key));
  if (place === undefined) return [];
  const { index, offsetBytes } = place;
  const offsets = [0, offsetBytes + 4120, offsetBytes + 32, offsetBytes * 2, 32];
  for (const other of store.keys()) {
    const found = parseSegmentName(nameOf(other));
    if (found !== undefined) offsets.push(found.offsetBytes);
  }
  const names = [0, 1, 2, 3, 4, 9].flatMap((otherIndex) =>
    offsets.map((offset) => segmentKey(generation, { index: otherIndex, offsetBytes: offset })),
  );
  names.push(
    segmentKey(OTHER_GENERATION, { index, offsetBytes }),
    segmentKey(OTHER_GENERATION, { index: 0, offsetBytes: 0 }),
  );
  return names;
}

function otherNames(key: string, generation: string, store: MemoryStore): string[] {
  const snapshot = parseSnapshotName(nameOf(key));
  if (snapshot !== undefined) {
    return [0, 1, 2, 3, 7]
      .map((index) => snapshotKey(generation, index))
      .concat(snapshotKey(OTHER_GENERATION, snapshot));
  }
  const end = parseEndName(nameOf(key));
  if (end !== undefined) {
    const later = formatEndName({ index: end.index + 1, offsetBytes: end.offsetBytes });
    return [key.replace(generation, OTHER_GENERATION), key.replace(nameOf(key), later)];
  }
  return otherSegmentNames(key, generation, store);
}

function copies(key: string, generation: string, store: MemoryStore): Fault[] {
  const names = new Set(otherNames(key, generation, store));
  names.delete(key);
  return [...names].map((copy) => ({
    name: `copy to ${copy}`,
    key: copy,
    apply: (damaged) => damaged.put(copy, store.bytesOf(key), damaged.nowMs + 60_000),
  }));
}

function faultsOf(key: string, generation: string, store: MemoryStore): Fault[] {
  const bytes = store.bytesOf(key);
  return [
    { name: 'delete', key, apply: (damaged) => damaged.objects.delete(key) },
    ...truncations(key, bytes),
    ...flips(key, bytes),
    ...copies(key, generation, store),
  ];
}

async function attempt(store: MemoryStore, target: RestoreTarget): Promise<Buffer | RivuletError> {
  using scratch = new Scratch();
  const outputPath = scratch.file('out');
  try {
    await restore({ store, target, outputPath });
    assert.deepEqual(scratch.names(), ['out']);
    return readFileSync(outputPath);
  } catch (error) {
    assert.deepEqual(scratch.names(), [], 'a failed restore left something behind');
    if (error instanceof RivuletError) return error;
    throw error;
  }
}

/** Reads flags as the command line would. */
function targetOf(flags: string): RestoreTarget {
  const found = (name: string): string | undefined => new RegExp(`-${name} (\\S+)`).exec(flags)?.[1];
  const index = found('index');
  const timestamp = found('timestamp');
  return {
    generation: found('generation'),
    index: index === undefined ? undefined : Number.parseInt(index, 16),
    timestampMs: timestamp === undefined ? undefined : Date.parse(timestamp),
  };
}

async function checkError(
  error: RivuletError,
  fault: Fault,
  target: RestoreTarget,
  store: MemoryStore,
  states: readonly Buffer[],
): Promise<void> {
  // What was stored again is as young as that: an early moment may now have no snapshot at all.
  if (error.code === 'TARGET_UNAVAILABLE' && target.timestampMs !== undefined) return;
  assert.equal(error.code, 'CHAIN_BROKEN', error.message);
  assert.ok(
    error.message.includes(nameOf(fault.key)),
    `the message does not name ${fault.key}: ${error.message}`,
  );
  const { flags } = error.details as { flags?: unknown };
  if (typeof flags !== 'string') {
    assert.match(error.message, /nothing else in the replica can be restored/);
    return;
  }
  assert.ok(error.message.includes(flags));
  const suggested = await attempt(store, targetOf(flags));
  assert.ok(
    Buffer.isBuffer(suggested),
    `${flags} does not work: ${String(suggested)}; after ${error.message}`,
  );
  assert.ok(
    states.some((state) => state.equals(suggested)),
    `the flags ${flags} give a state that never was`,
  );
}

interface Tally {
  right: number;
  refused: number;
  readonly failures: string[];
}

/** Restores `target` under each fault; what is not the expected database must be a good error. */
async function tryFaults(
  maker: ReplicaMaker,
  faults: readonly Fault[],
  target: RestoreTarget,
  expected: Buffer,
): Promise<Tally> {
  const states = maker.points.map((point) => point.database);
  const tally: Tally = { right: 0, refused: 0, failures: [] };
  for (const fault of faults) {
    const store = maker.store.clone();
    fault.apply(store);
    try {
      const outcome = await attempt(store, target);
      if (Buffer.isBuffer(outcome)) {
        assert.ok(outcome.equals(expected), 'restored another database without an error');
        tally.right += 1;
      } else {
        await checkError(outcome, fault, target, store, states);
        tally.refused += 1;
      }
    } catch (error) {
      tally.failures.push(`${fault.key}: ${fault.name}: ${String(error)}`);
    }
  }
  return tally;
}

describe('holes', () => {
  it('every fault in every object is an error with a way out, or makes no difference', async () => {
    using maker = new ReplicaMaker(new MemoryStore(), { pageSizeBytes: 1024 });
    fillSmallReplica(maker);
    const { store, generation } = maker;
    const faults = store.keys().flatMap((key) => faultsOf(key, generation, store));
    const tally = await tryFaults(maker, faults, {}, lastPoint(maker).database);
    assert.deepEqual(tally.failures, []);
    assert.ok(tally.right > 200 && tally.refused > 500, JSON.stringify(tally));
  });

  it('so it is for an index and for a moment', async () => {
    using maker = new ReplicaMaker(new MemoryStore(), { pageSizeBytes: 2048 });
    fillSmallReplica(maker);
    const { store, generation, points } = maker;
    const faults = store
      .keys()
      .flatMap((key) => [
        ...faultsOf(key, generation, store).filter((_, i) => i % 7 === 0),
        ...copies(key, generation, store).filter((_, i) => i % 5 === 0),
      ]);
    for (const index of [0, 1]) {
      const point = points.findLast(({ position }) => position.index === index);
      assert.ok(point !== undefined);
      const byIndex = await tryFaults(maker, faults, { index }, point.database);
      assert.deepEqual(byIndex.failures, []);
      // An object that was replaced later was not there at the moment, as far as anybody can know.
      const unreplaced = faults.filter(
        ({ name, key }) => !name.startsWith('copy') || !store.objects.has(key),
      );
      const byTime = await tryFaults(maker, unreplaced, { timestampMs: point.timeMs + 500 }, point.database);
      assert.deepEqual(byTime.failures, []);
      assert.ok(byIndex.refused > 10 && byTime.refused > 10);
    }
  });

  it('an older generation that is touched does not become the live one unnoticed', async () => {
    const store = new MemoryStore();
    using older = new ReplicaMaker(store, { pageSizeBytes: 1024, generation: OTHER_GENERATION });
    fillSmallReplica(older);
    const oldKeys = store.keys();
    using maker = new ReplicaMaker(store, { pageSizeBytes: 1024 });
    fillSmallReplica(maker);
    maker.points.push(...older.points);
    const expected = maker.points[maker.points.length - older.points.length - 1]?.database as Buffer;
    const faults: Fault[] = [];
    for (const key of oldKeys.filter((name) => !name.includes('/ends/'))) {
      const bytes = store.bytesOf(key);
      const damaged = bytes.slice();
      damaged[damaged.length >>> 1] = (damaged[damaged.length >>> 1] ?? 0) ^ 4;
      faults.push({ name: 'damage', key, apply: (copy) => copy.put(key, damaged, copy.nowMs + 60_000) });
    }
    for (const key of store.keys().filter((name) => name.includes(maker.generation))) {
      const copy = key.replace(maker.generation, OTHER_GENERATION);
      if (oldKeys.includes(copy)) continue;
      faults.push({
        name: 'copy',
        key: copy,
        apply: (into) => into.put(copy, store.bytesOf(key), into.nowMs + 60_000),
      });
    }
    const tally = await tryFaults(maker, faults, {}, expected);
    assert.deepEqual(tally.failures, []);
  });
});
