/**
 * The WAL index in shared memory, as SQLite's wal.c keeps it: two copies of a header, how far checkpoints have come, five
 * read marks, the page of each frame, and the locks. What of it a process can read from the `-shm` file is in that file,
 * byte for byte; the file is memory, so nothing of it is ever safe from a power cut.
 */
import { CHECKSUM_START, type Checksum } from '../../../src/wal/checksum.ts';
import type { Chain } from '../../../src/wal/frames.ts';
import { encodeWalIndex, WAL_INDEX_BYTES } from '../../../src/wal/wal-index.ts';
import type { Inode } from './disk.ts';
import type { SimConnection } from './sqlite.ts';

/** `WAL_NREADER`: groups of readers. */
export const READ_SLOTS = 5;
/** `READMARK_NOT_USED`. */
const NOT_USED = 0xffff_ffff;
const HEADER_BYTES = 48;
const BACKFILLED_AT = 96;
const MARKS_AT = 100;

/** One state of the header. Whoever changes something stores a new one. */
export interface IndexHeader {
  readonly change: number;
  /** Frames that are committed for every reader. */
  readonly frames: number;
  readonly pageCount: number;
  readonly pageSizeBytes: number;
  readonly salts: readonly [number, number];
  /** Behind the last committed frame, or that of the WAL before when none is committed in this one yet. */
  readonly checksum: Checksum;
  /** Behind the last committed frame; undefined before the WAL has a header. */
  readonly chain: Chain | undefined;
}

export const EMPTY_HEADER: IndexHeader = {
  change: 0,
  frames: 0,
  pageCount: 0,
  pageSizeBytes: 0,
  salts: [0, 0],
  checksum: CHECKSUM_START,
  chain: undefined,
};

interface ReadSlot {
  readonly readers: Set<SimConnection>;
  owner: SimConnection | undefined;
}

export class SharedIndex {
  readonly inode: Inode;
  writer: SimConnection | undefined;
  checkpointer: SimConnection | undefined;
  /** The page of each frame, from the first; those behind the committed ones may be anybody's. */
  readonly pages: number[] = [];
  readonly #slots: readonly ReadSlot[] = Array.from({ length: READ_SLOTS }, () => ({
    readers: new Set(),
    owner: undefined,
  }));
  readonly #marks: number[] = Array.from({ length: READ_SLOTS }, () => 0);
  /** Undefined before anybody has recovered the WAL. */
  #first: IndexHeader | undefined;
  #second: IndexHeader | undefined;
  #backfilled = 0;

  /** The first to open finds whatever lies in the file, and makes it empty. */
  constructor(inode: Inode) {
    this.inode = inode;
    inode.store(0, new Uint8Array(WAL_INDEX_BYTES));
  }

  // ---- the header --------------------------------------------------------------------------------------------------

  /** What readers look at; undefined while the two copies differ or nobody has recovered the WAL. */
  get header(): IndexHeader | undefined {
    return this.#first !== undefined && this.isSame(this.#second) ? this.#first : undefined;
  }

  /** The first copy, with which writers compare what they have read. */
  isSame(header: IndexHeader | undefined): boolean {
    const first = this.#first;
    if (header === first || header === undefined || first === undefined) return header === first;
    return (
      header.change === first.change &&
      header.frames === first.frames &&
      header.pageCount === first.pageCount &&
      header.salts[0] === first.salts[0] &&
      header.salts[1] === first.salts[1] &&
      header.checksum[0] === first.checksum[0] &&
      header.checksum[1] === first.checksum[1]
    );
  }

  get publishedFrames(): number {
    return this.#first?.frames ?? 0;
  }

  get first(): IndexHeader {
    return this.#first ?? EMPTY_HEADER;
  }

  storeSecond(header: IndexHeader): void {
    this.#second = header;
    this.#store(HEADER_BYTES, header);
  }

  storeFirst(header: IndexHeader): void {
    this.#first = header;
    this.#store(0, header);
  }

  #store(at: number, header: IndexHeader): void {
    const { change, frames, pageCount, pageSizeBytes, checksum, salts } = header;
    const bytes = encodeWalIndex({
      change,
      frames,
      pageCount,
      pageSizeBytes,
      bigEndianChecksum: false,
      frameChecksum: checksum,
      salt1: salts[0],
      salt2: salts[1],
      backfilledFrames: 0,
    });
    this.inode.store(at, bytes.subarray(0, HEADER_BYTES));
  }

  // ---- checkpoints and readers -------------------------------------------------------------------------------------

  get backfilled(): number {
    return this.#backfilled;
  }

  set backfilled(frames: number) {
    this.#backfilled = frames;
    this.#storeWord(BACKFILLED_AT, frames);
  }

  mark(slot: number): number {
    return this.#marks[slot] as number;
  }

  setMark(slot: number, frames: number | 'not used'): void {
    const word = frames === 'not used' ? NOT_USED : frames;
    this.#marks[slot] = word;
    this.#storeWord(MARKS_AT + 4 * slot, word);
  }

  #storeWord(at: number, word: number): void {
    const bytes = new Uint8Array(new Uint32Array([word]).buffer);
    this.inode.store(at, bytes);
  }

  tryShare(slot: number, reader: SimConnection): boolean {
    const { readers, owner } = this.#slots[slot] as ReadSlot;
    if (owner !== undefined) return false;
    readers.add(reader);
    return true;
  }

  /** All of them from `slot` on, up to `end`, or none. */
  tryOwn(slot: number, end: number, owner: SimConnection): boolean {
    const slots = this.#slots.slice(slot, end);
    if (slots.some((one) => one.readers.size > 0 || one.owner !== undefined)) return false;
    for (const one of slots) one.owner = owner;
    return true;
  }

  disown(slot: number, end: number): void {
    for (const one of this.#slots.slice(slot, end)) one.owner = undefined;
  }

  endRead(reader: SimConnection): void {
    for (const { readers } of this.#slots) readers.delete(reader);
  }

  /** What the system does when the process of a connection is gone. */
  release(connection: SimConnection): void {
    this.endRead(connection);
    for (const slot of this.#slots) if (slot.owner === connection) slot.owner = undefined;
    if (this.writer === connection) this.writer = undefined;
    if (this.checkpointer === connection) this.checkpointer = undefined;
  }

  /** `READMARK_NOT_USED` in all but the first two: what a restart and a recovery leave. */
  resetMarks(first: number | 'not used'): void {
    this.setMark(1, first);
    for (let slot = 2; slot < READ_SLOTS; slot++) this.setMark(slot, 'not used');
  }
}
