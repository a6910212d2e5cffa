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
      store.put(key, damaged);
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
  store: MemoryStore,
  states: readonly Buffer[],
): Promise<void> {
  assert.equal(error.code, 'CHAIN_BROKEN', error.message);
  assert.ok(
    error.message.includes(nameOf(fault.key)),
    `the message does not name ${fault.key}: ${error.message}`,
  );
  const flags = error.details['flags'];
  if (flags === undefined) {
    assert.match(error.message, /nothing else in the replica can be restored/);
    return;
  }
  assert.ok(error.message.includes(String(flags)));
  const suggested = await attempt(store, targetOf(String(flags)));
  assert.ok(
    Buffer.isBuffer(suggested),
    `the flags ${String(flags)} do not work: ${String(suggested)}; after ${error.message}`,
  );
  assert.ok(
    states.some((state) => state.equals(suggested)),
    `the flags ${String(flags)} give a state that never was`,
  );
}

describe('holes', () => {
  it('every fault in every object is an error with a way out, or makes no difference', async (t) => {
    using maker = new ReplicaMaker(new MemoryStore(), { pageSizeBytes: 1024 });
    fillSmallReplica(maker);
    const expected = lastPoint(maker).database;
    const states = maker.points.map((point) => point.database);
    let right = 0;
    let refused = 0;
    const failures: string[] = [];
    for (const key of maker.store.keys()) {
      for (const fault of faultsOf(key, maker.generation, maker.store)) {
        const store = maker.store.clone();
        fault.apply(store);
        try {
          const outcome = await attempt(store, {});
          if (Buffer.isBuffer(outcome)) {
            assert.ok(outcome.equals(expected), 'restored another database without an error');
            right += 1;
          } else {
            await checkError(outcome, fault, store, states);
            refused += 1;
          }
        } catch (error) {
          failures.push(`${key}: ${fault.name}: ${String(error)}`);
        }
      }
    }
    t.diagnostic(`${right} restored exactly, ${refused} refused`);
    assert.deepEqual(failures, []);
    assert.ok(right > 200 && refused > 500);
  });
});
