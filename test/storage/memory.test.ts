import { MemoryStore } from '../support/memory-store.ts';
import { conformance } from './conformance.ts';

// Other tests take it for a store with every kind of conditional write, so it must be one. Its times are a test's.
conformance('memory', async () => ({ store: made(), dispose: async () => undefined }), {
  bigObjectBytes: 3_000_000,
});

function made(): MemoryStore {
  const store = new MemoryStore();
  store.nowMs = Date.now();
  return store;
}
