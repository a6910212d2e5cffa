/**
 * The end of what is committed in the live WAL. It moves forward over valid, committed frames only; "same size" or "same time"
 * is never taken for "no change" (SQLite uses the file again after a restart of the WAL).
 *
 * A commit frame in the file is not a commit yet: a writer publishes it in the WAL index afterwards, and one that is killed in
 * between (a sync can lie there) leaves a transaction that nobody sees and that the next writer overwrites. So the tail never
 * passes what the index has published for this WAL. A WAL of which nothing is published has no header here, whatever the
 * file holds: the file may still have the frames of the WAL before.
 */
import { isRivuletError } from '../base/errors.ts';
import type { Position } from '../generations/names.ts';
import { checksumsEqual, LITTLE_ENDIAN_MACHINE } from '../wal/checksum.ts';
import {
  type Chain,
  type CommitFrame,
  commitFrameAt,
  frameBytes,
  type FrameScan,
  scanFrames,
  startChain,
  walBytes,
} from '../wal/frames.ts';
import { WAL_HEADER_BYTES, type WalHeader } from '../wal/wal-header.ts';
import type { WalIndex } from '../wal/wal-index.ts';
import type { Cursor } from './cursor.ts';
import type { HeaderReading, LiveWal } from './live-wal.ts';

/** What may have been committed between the last look and a restart; more is not looked for. */
const REMAINS_BYTES_MAX = 16 * 1024 * 1024;
/** Bytes looked at in one step; bounds memory and the time that other work waits. */
const STEP_BYTES = 4 * 1024 * 1024;
const FIRST_READ_BYTES = 64 * 1024;
/** Every step is synchronous and leaves nothing behind in it, so one buffer serves all databases. */
const scratch = { bytes: new Uint8Array(0) };

function scratchOf(length: number): Uint8Array {
  if (scratch.bytes.length < length) scratch.bytes = new Uint8Array(length);
  return scratch.bytes.subarray(0, length);
}

/** What a tail reads from. */
export interface TailSource {
  readonly wal: LiveWal;
  /** By the header of the database file; counts while the WAL has none. */
  readonly pageSizeBytes: number;
  /** The present WAL index, read again each time. @throws RivuletError `DB_BUSY` */
  readonly published: () => WalIndex;
}

/**
 * A WAL of which all was in the database file when it was last seen. The next commit begins another one, unless somebody reads from it.
 */
export interface EndedLog {
  readonly salt1: number;
  readonly salt2: number;
  readonly frames: number;
}

export function endedLogOf({ salt1, salt2, frames }: WalIndex): EndedLog {
  return { salt1, salt2, frames };
}

/** Whether the index still speaks of that WAL, as it was or with more commits. */
export function isOfEnded(index: WalIndex, ended: EndedLog | undefined): boolean {
  return index.frames > 0 && index.salt1 === ended?.salt1 && index.salt2 === ended.salt2;
}

/** Committed transactions of a WAL that was restarted, behind its tail. */
export interface Remains {
  readonly bytes: Uint8Array;
  readonly commits: number;
  readonly scan: FrameScan;
}

/** Where a tail begins. */
export interface TailStart {
  readonly index: number;
  /** Undefined for a WAL of which nothing is published. */
  readonly reading: HeaderReading | undefined;
  /** The index's count of commits before the first one of this WAL; undefined when nobody knows. */
  readonly change: number | undefined;
  /** The WAL before, while the file still has it and nothing of this one. */
  readonly after?: EndedLog | undefined;
}

export class LogTail {
  readonly #source: TailSource;
  readonly index: number;
  /** The header of the WAL; empty while nothing of the WAL is committed. */
  readonly headerBytes: Uint8Array;
  readonly #header: WalHeader | undefined;
  /** The WAL before, while the file still has it and nothing of this one. */
  readonly after: EndedLog | undefined;
  #committed: Chain | undefined;
  #commitPageCount = 0;
  #commits = 0;
  #change: number | undefined;
  #isCountable = true;
  /** The last commit frame before the tail. */
  #last: CommitFrame | undefined;

  constructor(source: TailSource, { index, reading, change, after }: TailStart) {
    this.#source = source;
    this.index = index;
    this.headerBytes = reading?.bytes ?? new Uint8Array(0);
    this.#header = reading?.header;
    this.#committed = reading && startChain(reading.header);
    this.#change = change;
    this.after = reading === undefined ? after : undefined;
  }

  /** The end of the next WAL, in which nothing is yet: all of this one is in the database file, as the WAL index says. */
  next(published: WalIndex, index: number = this.index + 1): LogTail {
    const after = endedLogOf(published);
    return new LogTail(this.#source, { index, reading: undefined, change: this.#change, after });
  }

  /** The same WAL before anything of it has been read. */
  fromStart(): LogTail {
    const reading = this.#header && { header: this.#header, bytes: this.headerBytes };
    return new LogTail(this.#source, { index: this.index, reading, change: undefined });
  }

  /** Nothing of this WAL has been committed yet. */
  get isEmpty(): boolean {
    return this.position.offsetBytes <= WAL_HEADER_BYTES;
  }

  /** Undefined for a WAL without a header. */
  get chain(): Chain | undefined {
    return this.#committed;
  }

  get position(): Position {
    return { index: this.index, offsetBytes: this.#committed?.offsetBytes ?? 0 };
  }

  get cursor(): Cursor {
    return { index: this.index, chain: this.#committed };
  }

  get pageSizeBytes(): number {
    return this.#header?.pageSizeBytes ?? this.#source.pageSizeBytes;
  }

  /** A header with page size and byte order of this database, for chains of other WALs of it. */
  get format(): WalHeader {
    return (
      this.#header ?? {
        bigEndianChecksum: !LITTLE_ENDIAN_MACHINE,
        pageSizeBytes: this.pageSizeBytes,
        checkpointSequence: 0,
        salt1: 0,
        salt2: 0,
        checksum: [0, 0],
      }
    );
  }

  /** Database size in pages at the tail; 0 when no commit has been seen in this WAL. */
  get commitPageCount(): number {
    return this.#commitPageCount;
  }

  /** Committed frames of this WAL before the tail. */
  get frames(): number {
    return this.isEmpty ? 0 : (this.position.offsetBytes - WAL_HEADER_BYTES) / frameBytes(this.pageSizeBytes);
  }

  /** Committed transactions of this WAL before the tail. */
  get commits(): number {
    return this.#commits;
  }

  /** The index's count of commits at the tail; undefined before anything was compared with it. */
  get change(): number | undefined {
    return this.#change;
  }

  /**
   * Whether frames and index have counted the same commits since what the constructor was given. Not where commits are
   * padded, after a recovery of the index, or when commits were lost before this WAL.
   */
  get isCountable(): boolean {
    return this.#isCountable;
  }

  /** Whether this is still the present WAL. */
  isSameLog(): boolean {
    if (this.#header === undefined) return this.hasAllOf(this.#source.published());
    const now = this.#source.wal.header();
    return now !== undefined && Buffer.compare(now.bytes, this.headerBytes) === 0;
  }

  /** The same where somebody else may have overwritten the header: a restart is published before the new header is written. */
  isPresent(): boolean {
    return this.isSameLog() || (this.#header !== undefined && this.isLogOf(this.#source.published()));
  }

  /** Where frame `frames` of this WAL ends. */
  bytesOf(frames: number): number {
    return walBytes(frames, this.pageSizeBytes);
  }

  /** Whether `index` speaks of this WAL. Without any commit they are told apart by the count of commits alone: see `hasAllOf`. */
  isLogOf(index: WalIndex): boolean {
    if (this.#header === undefined)
      return index.frames === 0 || (isOfEnded(index, this.after) && index.frames === this.after?.frames);
    return index.salt1 === this.#header.salt1 && index.salt2 === this.#header.salt2;
  }

  /** Whether all frames that `index` has published of this WAL are before the tail. */
  hasAtLeast(index: WalIndex): boolean {
    if (!this.isLogOf(index)) return false;
    return (
      this.#header === undefined ||
      index.frames === 0 ||
      walBytes(index.frames, this.pageSizeBytes) <= this.position.offsetBytes
    );
  }

  /** Whether everything that `index` has published is before the tail, and nothing else was committed meanwhile. */
  hasAllOf(index: WalIndex): boolean {
    return index.change === this.#change && this.hasAtLeast(index);
  }

  /**
   * What the file still has of this WAL behind the tail, once the index speaks of another one: a restart leaves it where the new WAL has
   * not come yet. It proves nothing by itself: a commit that was never published looks the same.
   */
  remains(): Remains | undefined {
    const chain = this.#committed;
    if (chain === undefined) return undefined;
    const length = Math.min(REMAINS_BYTES_MAX, this.#source.wal.sizeBytes() - chain.offsetBytes);
    if (length < frameBytes(this.pageSizeBytes)) return undefined;
    const bytes = new Uint8Array(length);
    const scan = scanFrames(chain, bytes, 0, this.#source.wal.read(bytes, chain.offsetBytes));
    if (scan.commits === 0) return undefined;
    return { bytes: bytes.subarray(0, scan.committedBytes), commits: scan.commits, scan };
  }

  /** They are proven to have been committed. */
  accept({ scan }: Remains): void {
    this.#committed = scan.committedChain;
    this.#commitPageCount = scan.commitPageCount;
    this.#commits += scan.commits;
    if (this.#change !== undefined) this.#change = (this.#change + scan.commits) >>> 0;
    this.#isCountable &&= !scan.isPadded;
  }

  /**
   * The first look at this WAL: compares the counts also where nothing is in it. Later a WAL without a commit whose count has changed
   * is another one, of which everything was missed.
   */
  async begin(pause: () => Promise<void>): Promise<void> {
    const index = this.#source.published();
    if (this.#header === undefined && this.isLogOf(index)) this.#meet(index);
    else await this.advance(pause);
  }

  /**
   * Moves over everything committed since. A transaction of any size is looked through in steps, with `pause`
   * between them; memory stays at one step.
   *
   * @returns whether the tail moved
   * @throws RivuletError `DB_BUSY` when the index cannot be read
   */
  async advance(pause: () => Promise<void>): Promise<boolean> {
    const before = this.position.offsetBytes;
    let chain = this.#committed;
    while (chain !== undefined) {
      const step = this.#step(chain);
      chain = step.chain;
      if (step.ended) break;
      await pause();
    }
    return this.position.offsetBytes > before;
  }

  /** The same, but a WAL whose end cannot be told this moment counts as unchanged: a later look will tell. */
  async advanceIfTold(pause: () => Promise<void>): Promise<boolean> {
    try {
      return await this.advance(pause);
    } catch (error) {
      if (isRivuletError(error, 'DB_BUSY')) return false;
      throw error;
    }
  }

  /**
   * The same in one go, for short stretches under a lock. Returns false when more than `maxBytes` are ahead, or the
   * end cannot be told, or when `isLate` says so; what was read until then counts.
   */
  advanceNow(maxBytes: number, isLate: () => boolean = () => false): boolean {
    try {
      return this.#advanceNow(maxBytes, isLate);
    } catch (error) {
      if (isRivuletError(error, 'DB_BUSY')) return false;
      throw error;
    }
  }

  #advanceNow(maxBytes: number, isLate: () => boolean): boolean {
    let chain = this.#committed;
    for (let seen = 0; chain !== undefined && seen <= maxBytes && !isLate();) {
      const step = this.#step(chain);
      seen += step.chain.offsetBytes - chain.offsetBytes;
      chain = step.chain;
      if (step.ended) return true;
    }
    return chain === undefined && this.isSameLog();
  }

  #step(chain: Chain): { chain: Chain; ended: boolean } {
    // Asked before the file is read: what a restarted WAL has published by then lies over the old frames.
    const index = this.#source.published();
    const endBytes = this.isLogOf(index) ? walBytes(index.frames, this.pageSizeBytes) : 0;
    const ahead = Math.min(endBytes, this.#source.wal.sizeBytes()) - chain.offsetBytes;
    const size = frameBytes(this.pageSizeBytes);
    if (ahead < size) {
      if (this.position.offsetBytes === endBytes) this.#meet(index);
      return { chain, ended: true };
    }
    const first = scratchOf(Math.min(ahead, Math.max(size, FIRST_READ_BYTES)));
    const scan = this.#scan(chain, first);
    const wanted = Math.min(ahead - first.length, Math.max(size, STEP_BYTES));
    const rest = scan.ended || wanted < size ? scan : this.#scan(scan.chain, scratchOf(wanted));
    if (this.position.offsetBytes === endBytes) this.#meet(index);
    return rest;
  }

  #scan(chain: Chain, into: Uint8Array): { chain: Chain; ended: boolean } {
    const length = this.#source.wal.read(into, chain.offsetBytes);
    const scan = scanFrames(chain, into, 0, length);
    if (scan.committedBytes > 0) {
      this.#committed = scan.committedChain;
      this.#commitPageCount = scan.commitPageCount;
      this.#commits += scan.commits;
      if (this.#change !== undefined) this.#change = (this.#change + scan.commits) >>> 0;
      this.#isCountable &&= !scan.isPadded && !this.#repeatsLast(into);
      this.#last = commitFrameAt(into, scan.committedBytes - frameBytes(this.pageSizeBytes), chain.header);
    }
    return { chain: scan.chain, ended: scan.stop !== 'end' || scan.validBytes === 0 || length < into.length };
  }

  /** Whether what was read begins with a copy of the commit frame that was read last: they may be in different steps. */
  #repeatsLast(into: Uint8Array): boolean {
    if (this.#last === undefined || this.#header === undefined) return false;
    const first = commitFrameAt(into, 0, this.#header);
    return first?.page === this.#last.page && checksumsEqual(first.sum, this.#last.sum);
  }

  /** The tail is where the index is: both must have counted the same. */
  #meet(index: WalIndex): void {
    if (this.#change !== undefined) this.#isCountable &&= index.change === this.#change;
    this.#change = index.change;
  }
}
