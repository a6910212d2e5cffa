import assert from 'node:assert/strict';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { FileObjectStore } from '../../src/storage/file/file-object-store.ts';
import { meteredStore } from '../../src/storage/metered.ts';
import type { StoreMeter } from '../../src/storage/metered.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { conformance, gather } from './conformance.ts';

const silent: StoreMeter = { operation: () => undefined, bytes: () => undefined };

conformance(
  'metered file',
  async () => {
    const directory = await fs.mkdtemp(join(tmpdir(), 'rivulet-metered-'));
    return {
      store: meteredStore(new FileObjectStore(directory), silent),
      dispose: async () => fs.rm(directory, { recursive: true }),
    };
  },
  { manyKeys: 300 },
);

conformance(
  'metered memory',
  async () => {
    const inner = new MemoryStore();
    inner.nowMs = Date.now();
    return { store: meteredStore(inner, silent), dispose: async () => undefined };
  },
  { bigObjectBytes: 3_000_000 },
);

it('metered store: counts operations and bytes', async () => {
  const directory = await fs.mkdtemp(join(tmpdir(), 'rivulet-metered-'));
  const counts: Record<string, number> = {};
  const add = (name: string, count: number): void => {
    counts[name] = (counts[name] ?? 0) + count;
  };
  const store = meteredStore(new FileObjectStore(directory), {
    operation: (kind, count) => add(kind, count),
    bytes: (kind, count) => add(`${kind} bytes`, count),
  });
  async function* body(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(30);
    yield Buffer.alloc(70);
  }
  await store.write('a', Buffer.alloc(10));
  await store.write('b', body());
  await store.readBytes('a');
  await store.readVersioned('a');
  await gather(store.read('b', { offsetBytes: 60 }));
  await assert.rejects(store.readBytes('missing'));
  await gather(store.list(''));
  await store.listFolders('');
  await store.remove(['a', 'b']);
  await store.remove([]);
  assert.deepEqual(counts, { PUT: 2, 'PUT bytes': 110, GET: 4, 'GET bytes': 60, LIST: 2, DELETE: 2 });
  await fs.rm(directory, { recursive: true });
});

it('metered store: leaves the counting of requests to a store that does it', async () => {
  const counts: Record<string, number> = {};
  const add = (name: string, count: number): void => void (counts[name] = (counts[name] ?? 0) + count);
  const meter: StoreMeter = {
    operation: (kind, count) => add(kind, count),
    bytes: (kind, count) => add(`${kind} bytes`, count),
  };
  const store = meteredStore(new MemoryStore(), meter, { countsItself: true });
  await store.write('a', Buffer.alloc(10), { onlyIf: 'absent' });
  await assert.rejects(store.write('a', Buffer.alloc(10), { onlyIf: 'absent' }), { code: 'STORAGE_EXISTS' });
  await store.readBytes('a');
  await store.readVersioned('a');
  await gather(store.read('a', { offsetBytes: 2, lengthBytes: 3 }));
  await gather(store.list(''));
  await store.listFolders('');
  await store.remove(['a']);
  assert.deepEqual(counts, { 'PUT bytes': 10, 'GET bytes': 23 });
});
