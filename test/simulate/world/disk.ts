/**
 * A disk that forgets what was not synced. Content and names are kept twice: as processes see them, and as they would be
 * after a power cut. What is in between survives a power cut in part: any of the unsynced writes of a file, cut at
 * sectors, in any combination; of the changes to the names in a directory, the first few.
 */
import { dirname } from 'node:path';
import type { Random } from '../../faults/random.ts';
import type { ReadFault } from '../../support/failing-reads.ts';

const SECTOR_BYTES = 512;

interface Change {
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** For a truncation: the size that the file got; `bytes` is empty then. */
  readonly sizeAfter?: number;
}

export class Inode {
  readonly id: number;
  readonly kind: 'file' | 'directory';
  content: Uint8Array = new Uint8Array(0);
  sizeBytes = 0;
  modifiedAtMs: number;
  /** Descriptors that processes have on it. */
  openCount = 0;
  #durable: Uint8Array = new Uint8Array(0);
  #unsynced: Change[] = [];

  constructor(id: number, kind: Inode['kind'], nowMs: number) {
    this.id = id;
    this.kind = kind;
    this.modifiedAtMs = nowMs;
  }

  read(into: Uint8Array, at: number, length: number, position: number): number {
    const end = Math.min(this.sizeBytes, position + length);
    if (end <= position) return 0;
    into.set(this.content.subarray(position, end), at);
    return end - position;
  }

  write(offset: number, bytes: Uint8Array, nowMs: number): void {
    this.#unsynced.push({ offset, bytes: bytes.slice() });
    this.#apply(offset, bytes);
    this.modifiedAtMs = nowMs;
  }

  /** What a process writes into a file that it has mapped and never syncs: nobody has it after a power cut. */
  store(offset: number, bytes: Uint8Array): void {
    this.#apply(offset, bytes);
  }

  truncate(sizeBytes: number, nowMs: number): void {
    this.#unsynced.push({ offset: 0, bytes: new Uint8Array(0), sizeAfter: sizeBytes });
    this.#resize(sizeBytes);
    this.modifiedAtMs = nowMs;
  }

  #apply(offset: number, bytes: Uint8Array): void {
    if (offset + bytes.length > this.sizeBytes) this.#resize(offset + bytes.length);
    this.content.set(bytes, offset);
  }

  #resize(sizeBytes: number): void {
    if (sizeBytes > this.content.length) {
      const larger = new Uint8Array(Math.max(sizeBytes, 2 * this.content.length));
      larger.set(this.content.subarray(0, this.sizeBytes));
      this.content = larger;
    } else if (sizeBytes < this.sizeBytes) {
      this.content.fill(0, sizeBytes, this.sizeBytes);
    }
    this.sizeBytes = sizeBytes;
  }

  sync(): void {
    for (const { offset, bytes, sizeAfter } of this.#unsynced) {
      if (sizeAfter !== undefined) this.#durable = resized(this.#durable, sizeAfter);
      else {
        if (offset + bytes.length > this.#durable.length)
          this.#durable = resized(this.#durable, offset + bytes.length);
        this.#durable.set(bytes, offset);
      }
    }
    this.#unsynced = [];
  }

  copy(id: number): Inode {
    const copy = new Inode(id, this.kind, this.modifiedAtMs);
    copy.content = this.content.slice(0, this.sizeBytes);
    copy.sizeBytes = this.sizeBytes;
    copy.#durable = copy.content.slice();
    return copy;
  }

  /** What a power cut leaves of it. */
  losePower(random: Random): void {
    const changes = this.#unsynced;
    this.content = this.#durable.slice();
    this.sizeBytes = this.content.length;
    this.#unsynced = [];
    if (changes.length === 0) return;
    const manner = random.weighted({ none: 1, all: 1, prefix: 1, any: 1 });
    const keep = manner === 'prefix' ? random.int(0, changes.length) : changes.length;
    if (manner !== 'none') {
      for (const change of changes.slice(0, keep)) {
        if (manner !== 'any' || random.chance(0.5))
          this.#applyTorn(change, manner === 'any' ? random : undefined);
      }
    }
    this.#durable = this.content.slice(0, this.sizeBytes);
  }

  #applyTorn({ offset, bytes, sizeAfter }: Change, random: Random | undefined): void {
    if (sizeAfter !== undefined) {
      this.#resize(sizeAfter);
      return;
    }
    let at = 0;
    while (at < bytes.length) {
      const sectorEnd = (Math.floor((offset + at) / SECTOR_BYTES) + 1) * SECTOR_BYTES - offset;
      const end = Math.min(bytes.length, sectorEnd);
      if (random === undefined || random.chance(0.7)) this.#apply(offset + at, bytes.subarray(at, end));
      at = end;
    }
  }
}

/** The same bytes with another length, in memory that has room to grow. */
function resized(bytes: Uint8Array, length: number): Uint8Array {
  if (length <= bytes.length) return bytes.subarray(0, length);
  const whole = new Uint8Array(bytes.buffer, bytes.byteOffset);
  if (whole.length >= length) return whole.subarray(0, length).fill(0, bytes.length);
  const larger = new Uint8Array(Math.max(length, 2 * bytes.length));
  larger.set(bytes);
  return larger.subarray(0, length);
}

export interface FailingReads {
  readonly isHit: (path: string) => boolean;
  /** Share of the reads. */
  readonly share: number;
  readonly fault: ReadFault;
}

type NameChange = { readonly path: string; readonly inode: Inode | undefined };

export class Disk {
  readonly #random: Random;
  readonly #nowMs: () => number;
  readonly #names = new Map<string, Inode>();
  readonly #durableNames = new Map<string, Inode>();
  /** Changes of names that are not safe yet, by directory. */
  readonly #pending = new Map<string, NameChange[]>();
  #lastId = 0;
  /** Inode numbers that are free again, by the path of the file that had it. */
  readonly #freeIds = new Map<string, number>();
  #lastNumber = 0;
  /** Writes fail with ENOSPC. */
  isFull = false;
  /** Share of the calls that fail with EIO. */
  failing = 0;
  /** What is on the disk is whole meanwhile, and can be read afterwards. */
  failingReads: FailingReads | undefined;
  /** When a read failed last with a code of the system. */
  readFailedAtMs: number | undefined;

  constructor(random: Random, nowMs: () => number) {
    this.#random = random;
    this.#nowMs = nowMs;
  }

  /** A copy of the whole machine, as cloning a virtual one makes it. */
  clone(random: Random, nowMs: () => number): Disk {
    const copy = new Disk(random, nowMs);
    copy.#lastNumber = this.#lastNumber;
    const inodes = new Map<Inode, Inode>();
    for (const [path, inode] of this.#names) {
      const own = inodes.get(inode) ?? inode.copy(++copy.#lastId);
      inodes.set(inode, own);
      copy.#names.set(path, own);
      copy.#durableNames.set(path, own);
    }
    return copy;
  }

  /** One that it has never given before: in place of chance, so that a run can be repeated. */
  nextNumber(): number {
    return ++this.#lastNumber;
  }

  lookUp(path: string): Inode | undefined {
    return this.#names.get(path);
  }

  hasName(inode: Inode): boolean {
    return [...this.#names.values()].includes(inode);
  }

  make(path: string, kind: Inode['kind'] = 'file'): Inode {
    const inode = new Inode(this.#idFor(path), kind, this.#nowMs());
    this.#set(path, inode);
    return inode;
  }

  /** File systems like to give a new file the number that was freed last. */
  #idFor(path: string): number {
    const free = this.#freeIds.get(path);
    this.#freeIds.delete(path);
    return free !== undefined && this.#random.chance(0.5) ? free : ++this.#lastId;
  }

  /** An error of the hardware, now and then. */
  assertWorks(): void {
    if (this.failing > 0 && this.#random.chance(this.failing)) throw systemError('EIO', 'input/output error');
  }

  /** Before a read of Rivulet's. @returns how many bytes may come */
  readable(path: string, length: number): number {
    const { failingReads } = this;
    if (failingReads === undefined || !failingReads.isHit(path)) return length;
    if (!this.#random.chance(failingReads.share)) return length;
    if (failingReads.fault === 'short') return this.#random.int(0, length);
    this.readFailedAtMs = this.#nowMs();
    throw systemError(failingReads.fault, `read '${path}'`);
  }

  /** Damages a file, as a bug or a broken disk does. */
  damage(path: string): void {
    const inode = this.#names.get(path);
    if (inode === undefined || inode.sizeBytes === 0) return;
    const now = this.#nowMs();
    if (this.#random.chance(0.3)) inode.truncate(this.#random.int(0, inode.sizeBytes - 1), now);
    else {
      const at = this.#random.int(0, inode.sizeBytes - 1);
      inode.write(at, Uint8Array.of((inode.content[at] as number) ^ (1 << this.#random.int(0, 7))), now);
    }
    inode.sync();
  }

  files(): string[] {
    return [...this.#names].filter(([, { kind }]) => kind === 'file').map(([path]) => path);
  }

  makeDirectory(path: string): void {
    if (path !== '/' && path !== '.') this.makeDirectory(dirname(path));
    if (this.#names.get(path) === undefined) this.make(path, 'directory');
  }

  rename(from: string, to: string): void {
    const inode = this.#names.get(from);
    if (inode === undefined) throw systemError('ENOENT', `rename '${from}'`);
    this.#set(to, inode);
    this.#set(from, undefined);
  }

  remove(path: string): void {
    const inode = this.#names.get(path);
    if (inode === undefined) return;
    if (inode.kind === 'directory') throw systemError('EISDIR', `unlink '${path}'`);
    // Only the file of an index: any other may come back with its number when the power is cut.
    if (inode.openCount === 0 && path.endsWith('-shm')) this.#freeIds.set(path, inode.id);
    this.#set(path, undefined);
  }

  list(path: string): string[] {
    const names = [...this.#names.keys()].filter((name) => dirname(name) === path && name !== path);
    return names.map((name) => name.slice(path.length + 1)).sort();
  }

  syncDirectory(path: string): void {
    for (const { path: name, inode } of this.#pending.get(path) ?? []) this.#setDurable(name, inode);
    this.#pending.delete(path);
  }

  #set(path: string, inode: Inode | undefined): void {
    if (inode === undefined) this.#names.delete(path);
    else this.#names.set(path, inode);
    const directory = dirname(path);
    const changes = this.#pending.get(directory) ?? [];
    changes.push({ path, inode });
    this.#pending.set(directory, changes);
  }

  #setDurable(path: string, inode: Inode | undefined): void {
    if (inode === undefined) this.#durableNames.delete(path);
    else this.#durableNames.set(path, inode);
  }

  losePower(): void {
    for (const changes of this.#pending.values()) {
      const kept = this.#random.int(0, changes.length);
      for (const { path, inode } of changes.slice(0, kept)) this.#setDurable(path, inode);
    }
    this.#pending.clear();
    this.#names.clear();
    for (const [path, inode] of this.#durableNames) this.#names.set(path, inode);
    for (const inode of new Set(this.#names.values())) inode.losePower(this.#random);
    this.isFull = false;
    this.failing = 0;
    this.failingReads = undefined;
  }
}

/** An error as Node.js's file calls throw them. */
export function systemError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}
