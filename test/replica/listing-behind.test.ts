/** A store whose listings are behind: what is there already seems to be missing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ObjectInfo } from '../../src/storage/object-store.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene } from '../support/replica-scene.ts';

class LaggingStore extends MemoryStore {
  #unlisted = new Set<string>();

  /** Only what is there now is listed; all of it when nothing is given. */
  unlist(keys: readonly string[] = []): void {
    this.#unlisted = new Set(keys);
  }

  override async *list(...call: Parameters<MemoryStore['list']>): AsyncGenerator<ObjectInfo> {
    for await (const info of super.list(...call)) if (!this.#unlisted.has(info.key)) yield info;
  }
}

describe('a listing that is behind', () => {
  it('gets no snapshot that stands further than the log that lies there already', async () => {
    const store = new LaggingStore();
    await using scene = new ReplicaScene({ store, primary: { checkpoint: { minPages: 10 } } });
    for (const rows of [20, 20, 1]) {
      scene.live.insert(rows, 3000);
      await scene.sync();
    }
    scene.live.insert(1);
    await scene.restart();
    const segments = store.keys().filter((key) => key.includes('/wal/'));
    assert.ok(segments.length >= 3 && segments.at(-1)?.includes('_00000000.'), segments.join());
    store.unlist(segments.slice(1));
    await assert.rejects(scene.sync(), { code: 'STORAGE_FAILED', message: /it is behind/ });
    store.unlist();
    await scene.sync();
    await scene.assertRestores();
    assert.equal(scene.facts.filter((fact) => fact === 'snapshot').length, 1);
  });
});
