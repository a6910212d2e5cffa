/**
 * The last commits that a destination holds of a former generation, page by page: which content each page had after which commit. It is what
 * the live database is compared with. Pure.
 */
import { hash } from 'node:crypto';
import { frameBytes, FRAME_HEADER_BYTES, frameCommit, framePage, viewOf } from '../../wal/frames.ts';
import { WAL_HEADER_BYTES } from '../../wal/wal-header.ts';

/** Content of a page, and after which of the commits it was first there; 0: before all of them. */
interface PageVersion {
  readonly commit: number;
  readonly digest: string;
}

const CHANGE_COUNTER_AT = 24;

export function digestOf(page: Uint8Array): string {
  return hash('sha256', page, 'base64');
}

/** SQLite counts up this number of page 1 when it writes that page. */
export function changeCounterOf(firstPage: Uint8Array): number {
  return viewOf(firstPage).getUint32(CHANGE_COUNTER_AT);
}

export class FormerPages {
  readonly pageSizeBytes: number;
  /** Whether no commit is left out between the base and the first one. */
  readonly isWhole: boolean;
  readonly #versions = new Map<number, PageVersion[]>();
  /** When the object was stored in which each commit ends, in milliseconds since 1970. */
  readonly #storedAtMs: number[] = [];
  /** Frames of a transaction that has not ended yet. */
  #open: { readonly page: number; readonly digest: string; readonly counter: number | undefined }[] = [];
  #changeCounter: number | undefined;

  constructor(pageSizeBytes: number, isWhole: boolean = true) {
    this.pageSizeBytes = pageSizeBytes;
    this.isWhole = isWhole;
  }

  /** The number in the newest page 1 that was seen; undefined: none was. */
  get changeCounter(): number | undefined {
    return this.#changeCounter;
  }

  get commits(): number {
    return this.#storedAtMs.length;
  }

  /** When the commit of that number was stored; they are counted from 1 on. */
  storedAtMs(commit: number): number | undefined {
    return this.#storedAtMs[commit - 1];
  }

  /** Pages that were changed, and what they held, oldest first. */
  get versions(): ReadonlyMap<number, readonly PageVersion[]> {
    return this.#versions;
  }

  /** The segments are given in order; `offsetBytes` is where this one begins in its WAL. */
  addSegment(content: Uint8Array, offsetBytes: number, storedAtMs: number): void {
    const view = viewOf(content);
    const size = frameBytes(this.pageSizeBytes);
    // What an earlier WAL left open was never committed.
    if (offsetBytes === 0) this.#open = [];
    for (let at = offsetBytes === 0 ? WAL_HEADER_BYTES : 0; at + size <= content.length; at += size) {
      const page = framePage(view, at);
      const bytes = content.subarray(at + FRAME_HEADER_BYTES, at + size);
      const counter = page === 1 ? changeCounterOf(bytes) : undefined;
      this.#open.push({ page, digest: digestOf(bytes), counter });
      if (frameCommit(view, at) > 0) this.#commit(storedAtMs);
    }
  }

  #commit(storedAtMs: number): void {
    this.#storedAtMs.push(storedAtMs);
    const commit = this.#storedAtMs.length;
    for (const { page, digest, counter } of this.#open) {
      this.#changeCounter = counter ?? this.#changeCounter;
      const versions = this.#versions.get(page) ?? [];
      this.#versions.set(page, versions);
      // A transaction may write a page several times, and a page as it was is no change.
      if (versions.at(-1)?.commit === commit) versions.pop();
      if (versions.at(-1)?.digest !== digest) versions.push({ commit, digest });
    }
    this.#open = [];
  }

  /** A page as it was before all commits, though maybe not just before them. Only after all segments. */
  addBase(page: number, bytes: Uint8Array): void {
    if (page === 1) this.#changeCounter ??= changeCounterOf(bytes);
    const versions = this.#versions.get(page);
    if (versions === undefined) return;
    const digest = digestOf(bytes);
    const [first] = versions;
    if (first?.digest === digest) versions.shift();
    versions.unshift({ commit: 0, digest });
  }
}
