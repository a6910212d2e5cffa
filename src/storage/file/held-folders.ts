/**
 * The folders that were written to last, kept open for the next object: to walk there from the root takes many times as long as
 * to write a small object. One is only used again while its path still leads to that very directory, so a folder that was
 * renamed, removed or replaced is walked to anew. All are closed after a moment in which nobody writes: descriptors are few.
 */
import { join } from 'node:path';
import { ANY_DIRECTORY, tellPath } from '../../base/directory-handle.ts';
import { closeNow, fstat, open } from './file-system.ts';
import type { FileOwnership } from './ownership.ts';
import { closeDirectory, openRealDirectory, type RealDirectory } from './real-directories.ts';

/** The root, from which others are walked to, and those of segments and snapshots. */
const FOLDERS_MAX = 3;
const IDLE_MS = 1_000;
const ROOT = '';

interface Held {
  readonly directory: RealDirectory;
  readonly folder: string;
  /** Undefined: not to be used again. */
  readonly device: number | undefined;
  readonly inode: number | undefined;
  users: number;
}

export class HeldFolders {
  readonly #root: string;
  readonly #ownership: FileOwnership;
  /** The one that was used last is the last. */
  readonly #held = new Map<string, Held>();
  #idle: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(root: string, ownership: FileOwnership) {
    this.#root = root;
    this.#ownership = ownership;
  }

  /**
   * Runs `work` in a folder, made when it is missing.
   *
   * @throws as `inRealDirectory`
   */
  async use<T>(folder: string, work: (directory: RealDirectory) => Promise<T>): Promise<T> {
    const held = await this.#take(folder);
    try {
      return await work(held.directory);
    } catch (error) {
      const { entries, path } = held.directory;
      throw tellPath(error, entries, path);
    } finally {
      this.#giveBack(held);
    }
  }

  /** Work that is under way goes on. */
  close(): void {
    this.#isClosed = true;
    this.#letAll();
  }

  async #take(folder: string): Promise<Held> {
    return (await this.#again(folder)) ?? (await this.#open(folder));
  }

  async #again(folder: string): Promise<Held | undefined> {
    const held = this.#held.get(folder);
    if (held === undefined) return undefined;
    held.users += 1;
    try {
      if (await this.#isStill(held)) return held;
    } catch {
      // Whatever it is, the walk meets it too.
    }
    if (this.#held.get(folder) === held) this.#held.delete(folder);
    this.#giveBack(held);
    return undefined;
  }

  /** Whether the path leads to it, and can be opened: where the file system hangs, the write would, too. */
  async #isStill({ folder, device, inode }: Held): Promise<boolean> {
    const descriptor = await open(join(this.#root, folder), ANY_DIRECTORY);
    try {
      const found = await fstat(descriptor);
      return found.dev === device && found.ino === inode;
    } finally {
      closeNow(descriptor);
    }
  }

  async #open(folder: string): Promise<Held> {
    if (folder === ROOT)
      return this.#keep(folder, await openRealDirectory(this.#root, ROOT, this.#ownership));
    const root = await this.#take(ROOT);
    try {
      const directory = await openRealDirectory(this.#root, folder, this.#ownership, root.directory);
      return await this.#keep(folder, directory);
    } finally {
      this.#giveBack(root);
    }
  }

  async #keep(folder: string, directory: RealDirectory): Promise<Held> {
    const { descriptor, entries, path } = directory;
    // Where entries are addressed by path, there is nothing to keep.
    const facts = descriptor === undefined || entries === path ? undefined : await fstat(descriptor);
    const held: Held = { directory, folder, device: facts?.dev, inode: facts?.ino, users: 1 };
    if (facts !== undefined && !this.#isClosed) {
      this.#let(folder);
      this.#held.set(folder, held);
      for (const oldest of this.#held.keys()) {
        if (this.#held.size <= FOLDERS_MAX) break;
        if (oldest !== ROOT) this.#let(oldest);
      }
    }
    return held;
  }

  #giveBack(held: Held): void {
    held.users -= 1;
    this.#closeUnused(held);
    clearTimeout(this.#idle);
    if (this.#held.size > 0) this.#idle = setTimeout(() => this.#letAll(), IDLE_MS).unref();
  }

  #let(folder: string): void {
    const held = this.#held.get(folder);
    this.#held.delete(folder);
    if (held !== undefined) this.#closeUnused(held);
  }

  #letAll(): void {
    clearTimeout(this.#idle);
    for (const folder of this.#held.keys()) this.#let(folder);
  }

  #closeUnused(held: Held): void {
    if (held.users === 0 && this.#held.get(held.folder) !== held) closeDirectory(held.directory);
  }
}
