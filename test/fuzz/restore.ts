/** A restore of a replica in which one object is not what it should be. */
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readFileSync } from 'node:fs';
import { buildInto } from '../../src/restore/restore.ts';
import { fillSmallReplica, lastPoint, ReplicaMaker } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';
import type { FuzzTarget } from './target.ts';

interface Scene {
  readonly store: MemoryStore;
  readonly keys: readonly string[];
  readonly expected: Buffer;
}

/** Made from fixed content: a seed must repeat its findings. */
function makeScene(): Scene {
  const store = new MemoryStore();
  using maker = new ReplicaMaker(store, { pageSizeBytes: 512 });
  fillSmallReplica(maker, { promise: true });
  return { store, keys: store.keys(), expected: lastPoint(maker).database };
}

let made: Scene | undefined;

function scene(): Scene {
  return (made ??= makeScene());
}

/** Which object it is, then its bytes. */
function samples(): Uint8Array[] {
  const { store, keys } = scene();
  return keys.map((key, i) => Buffer.concat([Uint8Array.of(i), store.bytesOf(key)]));
}

/** Either the very database that was stored comes out, or an error that says what is wrong. */
async function restoreChanged(input: Uint8Array): Promise<void> {
  const { store, keys, expected } = scene();
  const [which = 0] = input;
  const changed = store.clone();
  const key = keys[which % keys.length] as string;
  changed.put(key, input.subarray(1), store.objects.get(key)?.timeMs);
  using scratch = new Scratch();
  const path = scratch.file('out');
  const fd = openSync(path, 'wx+');
  try {
    ftruncateSync(fd, 0);
    const built = await buildInto(
      { fd, folder: scratch.path, openOverflow: () => openSync(scratch.file('overflow'), 'wx+') },
      { store: changed, target: {} },
    );
    const isWhole = Buffer.compare(readFileSync(path), expected) === 0;
    // An object without its annotation says less: then the restore must say that it is not proven.
    assert.ok(isWhole || built.unprovenReasons.length > 0, `another database, and no word of it: ${key}`);
  } finally {
    closeSync(fd);
  }
}

export const RESTORE_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'restore/objects',
    codes: [
      'CHAIN_BROKEN',
      'REPLICA_INVALID',
      'LZ4_INVALID',
      'AGE_KEY_MISSING',
      'REPLICA_EMPTY',
      'TARGET_UNAVAILABLE',
    ],
    samples,
    read: restoreChanged,
    memory: { perByte: 64, besides: 64 * 1024 * 1024 },
  },
];
