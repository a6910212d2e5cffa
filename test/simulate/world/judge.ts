/** Looks at a store from outside the world, restores from it with the real code, and says which committed state came out. */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../../src/base/errors.ts';
import { decodeFrame } from '../../../src/codec/lz4-frame.ts';
import { segmentKey, type Generation, type Position } from '../../../src/generations/names.ts';
import type { RestoreTarget } from '../../../src/generations/restore-target.ts';
import { buildInto } from '../../../src/restore/restore.ts';
import { type CommittedState, pageContent, TRANSACTION_AT } from './application.ts';
import { PAGE_BYTES } from './sqlite.ts';
import type { StillStore } from './still-store.ts';

export type Restored =
  | { readonly kind: 'state'; readonly state: CommittedState; readonly generation: Generation }
  /** What came out was never committed. */
  | { readonly kind: 'mixture'; readonly why: string; readonly isProven: boolean }
  | { readonly kind: 'refused'; readonly code: string; readonly why: string };

/** A real file in which restored databases are built, one after another. Nobody needs it after a power cut. */
export class Bench implements Disposable {
  readonly #path = join(tmpdir(), `rivulet-simulation-${process.pid}.db`);
  readonly fd: number = openSync(this.#path, 'w+', 0o600);

  /** The content of the file; it is empty afterwards. */
  takeAll(): Uint8Array {
    const bytes = new Uint8Array(fstatSync(this.fd).size);
    for (let at = 0; at < bytes.length;) at += readSync(this.fd, bytes, at, bytes.length - at, at);
    ftruncateSync(this.fd, 0);
    return bytes;
  }

  readonly folder: string = tmpdir();

  openOverflow(): number {
    const path = `${this.#path}-overflow`;
    const fd = openSync(path, 'wx+', 0o600);
    rmSync(path);
    return fd;
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
    rmSync(this.#path, { force: true });
  }
}

export class Judge {
  readonly #bench: Bench;
  readonly #find: (transaction: number) => CommittedState | undefined;
  count = 0;

  constructor(bench: Bench, find: (transaction: number) => CommittedState | undefined) {
    this.#bench = bench;
    this.#find = find;
  }

  async restore(store: StillStore, target: RestoreTarget): Promise<Restored> {
    this.count++;
    try {
      const { plan, unprovenReasons } = await buildInto(this.#bench, { store, target });
      return this.#judge(this.#bench.takeAll(), plan.generation, unprovenReasons.length === 0);
    } catch (error) {
      ftruncateSync(this.#bench.fd, 0);
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'BUG';
      return {
        kind: 'refused',
        code,
        why: code === 'BUG' ? String((error as Error).stack) : messageOf(error),
      };
    }
  }

  #judge(bytes: Uint8Array, generation: Generation, isProven: boolean): Restored {
    if (bytes.length < PAGE_BYTES) return { kind: 'mixture', why: `it has ${bytes.length} bytes`, isProven };
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const transaction = view.getUint32(TRANSACTION_AT);
    const state = this.#find(transaction);
    if (state === undefined)
      return { kind: 'mixture', why: `transaction ${transaction} was never committed`, isProven };
    const why = differenceOf(bytes, state);
    return why === undefined ? { kind: 'state', state, generation } : { kind: 'mixture', why, isProven };
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
export function saltsOf(store: StillStore, generation: Generation, { index }: Position): string | undefined {
  const key = segmentKey(generation, { index, offsetBytes: 0 });
  if (!store.keys().includes(key)) return undefined;
  const { content } = decodeFrame(store.held(key).bytes, { maxBytes: 64 * 1024 * 1024 });
  return Buffer.from(content.subarray(16, 24)).toString('hex');
}
