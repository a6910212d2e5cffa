import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { restore } from '../../src/restore/restore.ts';
import type { ReadOptions } from '../../src/storage/object-store.ts';
import { rangedStore } from '../../src/storage/ranged.ts';
import { ReplicaMaker, fillSmallReplica, lastPoint } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';

class NotingStore extends MemoryStore {
  readonly ranges: string[] = [];

  override read(key: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    if (options.lengthBytes !== undefined) this.ranges.push(key);
    return super.read(key, options);
  }
}

it('a restore fetches a large snapshot in several ranges', async () => {
  const store = new NotingStore();
  using maker = new ReplicaMaker(store);
  fillSmallReplica(maker);
  using scratch = new Scratch();
  const outputPath = scratch.file('out');
  await restore({
    store: rangedStore(store, { thresholdBytes: 100, rangeBytes: 100 }),
    target: {},
    outputPath,
  });
  assert.ok(readFileSync(outputPath).equals(lastPoint(maker).database));
  assert.ok(store.ranges.filter((key) => key.includes('/snapshots/')).length > 3, store.ranges.join(' '));
});
