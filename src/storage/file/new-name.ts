/**
 * Gives a finished file its name only if nothing has that name yet, whole and at once, whoever else tries.
 *
 * A hard link does that: it is refused where a rename would replace. Some file systems have no links (FAT, many behind
 * FUSE or SMB). There the name is guarded: whoever creates a file of the guard's name, which the system lets only one
 * do, looks whether the name is free and renames. The object is never seen empty or in part, as it would be if its own
 * name were created first and filled afterwards.
 *
 * A process that dies meanwhile leaves its guard behind; others take it away when they have seen it unchanged for a
 * minute. That is the one weakness: a process that hangs for so long between its last look at its guard and its rename
 * may replace what another has created meanwhile.
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { NEW_FILE } from '../../base/directory-handle.ts';
import { systemCode } from '../../base/errors.ts';
import { fileFailed, objectExists } from '../storage-error.ts';
import { close, ignoringErrors, link, lstat, open, rename, stat, unlink, writeAll } from './file-system.ts';
import type { FilePlace } from './read-file.ts';
import { readWholeFile } from './read-file.ts';
import { guardName, temporaryName } from './temporary-name.ts';

/** For tests. */
export interface NamingOptions {
  /** Makes a hard link, or fails as a file system without them. */
  readonly link?: (from: string, to: string) => Promise<void>;
  readonly guardStaleMs?: number;
}

/** What systems say where there are no hard links; `EMLINK` where a file may have one name only. */
const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** Holding a guard takes a few system calls. One that is seen unchanged for so long was left behind. */
const GUARD_STALE_MS = 60_000;
const GUARD_LOOK_MS = 20;

/**
 * Moves `temporary` to the place of an object that is not there yet.
 *
 * @throws RivuletError `STORAGE_EXISTS` when it is there; `temporary` may remain, whatever happens
 */
export async function giveNewName(
  temporary: string,
  place: FilePlace,
  signal: AbortSignal | undefined,
  options: NamingOptions = {},
): Promise<void> {
  try {
    await (options.link ?? link)(temporary, place.path);
  } catch (error) {
    const code = systemCode(error);
    if (code !== undefined && NO_LINKS.has(code)) {
      const guard = new Guard(place, options.guardStaleMs ?? GUARD_STALE_MS);
      return renameGuarded(temporary, place, guard, signal);
    }
    if (code !== 'EEXIST') throw fileFailed('link to', place.path, error);
    if (!(await hasTwoNames(temporary))) throw objectExists(place.location, place.key, error);
  }
}

/** A link over a network may have been made although its answer was lost, and be refused when it is asked for again. */
async function hasTwoNames(path: string): Promise<boolean> {
  try {
    return (await stat(path)).nlink === 2;
  } catch {
    return false;
  }
}

async function renameGuarded(
  temporary: string,
  place: FilePlace,
  guard: Guard,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (;;) {
    signal?.throwIfAborted();
    if (await exists(place.path)) throw objectExists(place.location, place.key);
    if (!(await guard.take())) continue;
    try {
      if (await exists(place.path)) throw objectExists(place.location, place.key);
      if (!(await guard.isOwn())) continue;
      return await rename(temporary, place.path);
    } catch (error) {
      throw fileFailed('rename to', place.path, error);
    } finally {
      await guard.release();
    }
  }
}

/** The right to give an object its name. */
class Guard {
  readonly #file: FilePlace;
  readonly #staleMs: number;
  /** Written into the guard, to know it from those of others. */
  readonly #mark: string = randomUUID();
  /** What another's guard held, and since when. Not its age, since a file server's clock may be anything. */
  #seen: { readonly mark: string | undefined; readonly sinceMs: number } | undefined;

  constructor(place: FilePlace, staleMs: number) {
    this.#file = { ...place, path: guardName(place.path) };
    this.#staleMs = staleMs;
  }

  /** @returns false when somebody else has it; by then it is worth another look */
  async take(): Promise<boolean> {
    const { path } = this.#file;
    const flags = NEW_FILE | constants.O_WRONLY;
    let fd: number;
    try {
      fd = await open(path, flags, 0o600);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw fileFailed('write', path, error);
      await this.#wait();
      return false;
    }
    try {
      await writeAll(fd, Buffer.from(this.#mark));
    } catch (error) {
      await ignoringErrors(unlink(path));
      throw fileFailed('write', path, error);
    } finally {
      await close(fd);
    }
    return true;
  }

  /** Somebody else may have taken it for stale. */
  async isOwn(): Promise<boolean> {
    return (await this.#read()) === this.#mark;
  }

  async release(): Promise<void> {
    if (await this.isOwn()) await ignoringErrors(unlink(this.#file.path));
  }

  /** Waits a moment, or takes away a guard that was left behind. */
  async #wait(): Promise<void> {
    const mark = await this.#read();
    const nowMs = performance.now();
    if (this.#seen === undefined || this.#seen.mark !== mark) this.#seen = { mark, sinceMs: nowMs };
    if (nowMs - this.#seen.sinceMs < this.#staleMs) {
      await delay(GUARD_LOOK_MS);
      return;
    }
    // Renamed, since of several that find it old only one can do that, whereas a late removal could hit the next guard.
    const aside = temporaryName(this.#file.path);
    await ignoringErrors(rename(this.#file.path, aside));
    await ignoringErrors(unlink(aside));
  }

  async #read(): Promise<string | undefined> {
    try {
      return Buffer.from(await readWholeFile(this.#file, undefined, undefined)).toString();
    } catch {
      return undefined;
    }
  }
}

/** Whether anything has this name, also a link that leads nowhere. */
async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw fileFailed('look at', path, error);
  }
}
