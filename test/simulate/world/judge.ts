/** Looks at a store from outside the world, restores from it with the real code, and says which committed state came out. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { decodeFrame } from '../../../src/codec/lz4-frame.ts';
import { segmentKey, type Generation, type Position } from '../../../src/generations/names.ts';
import type { RestoreTarget } from '../../../src/generations/restore-target.ts';
import { restore } from '../../../src/restore/restore.ts';
import type { MemoryStore } from '../../support/memory-store.ts';
import { type CommittedState, pageContent, TRANSACTION_AT } from './application.ts';
import { PAGE_BYTES } from './sqlite.ts';

export type Restored =
  | { readonly kind: 'state'; readonly state: CommittedState; readonly generation: Generation }
  /** What came out was never committed. */
  | { readonly kind: 'mixture'; readonly why: string }
  | { readonly kind: 'refused'; readonly code: string; readonly why: string };

export class Judge {
  readonly #directory: string;
  readonly #find: (transaction: number) => CommittedState | undefined;
  #count = 0;

  /** @param directory - a real one, for restored files */
  constructor(directory: string, find: (transaction: number) => CommittedState | undefined) {
    this.#directory = directory;
    this.#find = find;
  }

  async restore(store: MemoryStore, target: RestoreTarget): Promise<Restored> {
    const outputPath = join(this.#directory, `restored-${++this.#count}`);
    try {
      const { generation } = await restore({ store, target, outputPath, integrityCheck: 'none' });
      return this.#judge(readFileSync(outputPath), generation);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'BUG';
      return { kind: 'refused', code, why: String(error) };
    } finally {
      rmSync(outputPath, { force: true });
    }
  }

  #judge(bytes: Uint8Array, generation: Generation): Restored {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const transaction = view.getUint32(TRANSACTION_AT);
    const state = this.#find(transaction);
    if (state === undefined)
      return { kind: 'mixture', why: `transaction ${transaction} was never committed` };
    const why = differenceOf(bytes, state);
    return why === undefined ? { kind: 'state', state, generation } : { kind: 'mixture', why };
  }
}

/** Where `bytes` is not the database after this transaction; undefined when it is. */
export function differenceOf(
  bytes: Uint8Array,
  { versions, transaction }: CommittedState,
): string | undefined {
  if (bytes.length !== versions.length * PAGE_BYTES)
    return `transaction ${transaction} had ${versions.length} pages, not ${bytes.length / PAGE_BYTES}`;
  for (const [i, version] of versions.entries()) {
    const expected = pageContent(i + 1, version, i === 0 ? versions.length : 0);
    if (Buffer.compare(expected, bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES)) !== 0)
      return `page ${i + 1} is not as in transaction ${transaction}`;
  }
  return undefined;
}

/** The salts of a log, from the first segment of it that the store holds; undefined when it is not there any more. */
export function saltsOf(store: MemoryStore, generation: Generation, { index }: Position): string | undefined {
  const key = segmentKey(generation, { index, offsetBytes: 0 });
  if (!store.keys().includes(key)) return undefined;
  const { content } = decodeFrame(store.bytesOf(key), { maxBytes: 64 * 1024 * 1024 });
  return Buffer.from(content.subarray(16, 24)).toString('hex');
}
