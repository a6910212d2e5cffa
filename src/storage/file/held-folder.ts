/**
 * The folder that was written to last, kept open for the next object: to walk there from the root takes many times as long as
 * to write a small object. It is only used again while its path still leads to that very directory, so a folder that was
 * renamed, removed or replaced is walked to anew. One that nobody writes to is closed after a moment: descriptors are few.
 */
import { join } from 'node:path';
import { tellPath } from '../../base/directory-handle.ts';
import { fstat, stat } from './file-system.ts';
import type { FileOwnership } from './ownership.ts';
import { closeDirectory, openRealDirectory, type RealDirectory } from './real-directories.ts';

const IDLE_MS = 1_000;

interface Held {
  readonly directory: RealDirectory;
  readonly folder: string;
  /** Undefined: not to be used again. */
  readonly device: number | undefined;
  readonly inode: number | undefined;
  users: number;
}

export class HeldFolder {
  readonly #root: string;
  readonly #ownership: FileOwnership;
  #held: Held | undefined;
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
    const held = (await this.#again(folder)) ?? (await this.#open(folder));
    try {
      return await work(held.directory);
    } catch (error) {
      const { entries, path } = held.directory;
      throw tellPath(error, entries, path);
    } finally {
      held.users -= 1;
      await this.#release(held);
    }
  }

  /** Work that is under way goes on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#let();
  }

  async #again(folder: string): Promise<Held | undefined> {
    const held = this.#held;
    if (held?.folder !== folder) return undefined;
    held.users += 1;
    try {
      const found = await stat(join(this.#root, folder));
      if (found.dev === held.device && found.ino === held.inode) return held;
    } catch {
      // Whatever it is, the walk meets it too.
    }
    held.users -= 1;
    await this.#release(held);
    return undefined;
  }

  async #open(folder: string): Promise<Held> {
    const directory = await openRealDirectory(this.#root, folder, this.#ownership);
    const { descriptor, entries, path } = directory;
    // Where entries are addressed by path, there is nothing to keep.
    const facts = descriptor === undefined || entries === path ? undefined : await fstat(descriptor);
    const held: Held = { directory, folder, device: facts?.dev, inode: facts?.ino, users: 1 };
    if (facts !== undefined && !this.#isClosed) {
      const before = this.#held;
      this.#held = held;
      if (before !== undefined) await this.#release(before);
    }
    return held;
  }

  /** Closes what is neither used nor kept; what is kept, after a moment without work. */
  async #release(held: Held): Promise<void> {
    if (held.users > 0) return;
    if (held !== this.#held) return closeDirectory(held.directory);
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => void this.#let(), IDLE_MS).unref();
  }

  async #let(): Promise<void> {
    clearTimeout(this.#idle);
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) await this.#release(held);
  }
}
