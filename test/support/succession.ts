/** A lease that says which generation ended, and which one is written now. */
import { encodeLease } from '../../src/generations/lease-record.ts';
import type { Generation } from '../../src/generations/names.ts';
import { LEASE_KEY } from '../../src/storage/open-register.ts';
import type { MemoryStore } from './memory-store.ts';

/** @param atMs - when the ended one was superseded, as the record says; undefined: when the record was stored */
export function putSuccession(
  store: MemoryStore,
  { ended, written }: { readonly ended: Generation; readonly written: Generation },
  atMs: number | undefined,
  storedAtMs: number,
): void {
  const bytes = encodeLease({
    epoch: 2,
    state: 'held',
    owner: 'o',
    session: 's',
    serial: 1,
    host: 'h',
    pid: 1,
    database: 'd',
    program: 'p',
    acquiredAtMs: 0,
    renewedAtMs: 0,
    durationMs: 1,
    generations: [written],
    superseded: [{ generation: ended, atMs }],
  });
  store.put(LEASE_KEY, bytes, storedAtMs);
}
