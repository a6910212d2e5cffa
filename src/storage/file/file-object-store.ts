/**
 * Objects as files below a directory, as Litestream's file replica has them. An object's folder is made when it is
 * first needed and removed with its last object. Its time is the file's modification time, by the clock of the machine
 * that holds the file system.
 */
import type { Dirent } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import type { Clock } from '../../base/clock.ts';
import { systemCode } from '../../base/errors.ts';
import { assertFolderPrefix, assertObjectKey } from '../object-key.ts';
import type {
  CallOptions,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
  ReadVersionedOptions,
  VersionedObject,
  WriteOptions,
} from '../object-store.ts';
import { removeEach } from '../remove-each.ts';
import { fileFailed } from '../storage-error.ts';
import { untilAborted } from '../until-aborted.ts';
import { orAbandon, orAbort } from '../abandon.ts';
import { WHOLE_BYTES_MAX } from '../bounded-body.ts';
import { AT_ONCE_BYTES_MAX, readWholeFileAtOnce, statFilesAtOnce } from './at-once.ts';
import { rmdir, unlink } from './file-system.ts';
import { HeldFolders } from './held-folders.ts';
import { directoryEntries, statFiles } from './list-directory.ts';
import type { FileOwnership } from './ownership.ts';
import { modifiedAt } from './modified-at.ts';
import type { NamingOptions } from './new-name.ts';
import { readFileChunks, readWholeFile, readWholeFileWithStats } from './read-file.ts';
import type { FilePlace } from './read-file.ts';
import { folderOf, inRealDirectory, isAbsentFolder } from './real-directories.ts';
import { isLeftOver, isTemporary } from './temporary-name.ts';
import { writeFileSafely } from './write-file.ts';

export interface FileObjectStoreOptions extends FileOwnership {
  readonly clock?: Clock;
  /**
   * Whether small files are read, and listed files looked at, at once instead of on the thread pool. Much faster for
   * thousands of them, and for a process that has nothing else to do: a mount that hangs holds it up.
   */
  readonly atOnce?: boolean;
  /** For tests of file systems without hard links. */
  readonly naming?: NamingOptions;
}

/** Removals at once; the thread pool has four threads. */
const REMOVALS_AT_ONCE = 8;

export class FileObjectStore implements ObjectStore {
  readonly type = 'file';
  readonly conditions = 'create-only';
  readonly location: string;
  readonly #ownership: FileOwnership;
  readonly #folders: HeldFolders;
  readonly #clock: Clock;
  readonly #atOnce: boolean;
  readonly #naming: NamingOptions | undefined;

  /** @param root the directory; made, with its parents, by the first write */
  constructor(root: string, options: FileObjectStoreOptions = {}) {
    this.location = resolve(root);
    this.#ownership = options;
    this.#folders = new HeldFolders(this.location, options);
    this.#clock = options.clock ?? systemClock;
    this.#atOnce = options.atOnce ?? false;
    this.#naming = options.naming;
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectInfo, void, undefined> {
    assertFolderPrefix(prefix);
    for await (const folder of this.#walk(prefix, options.signal)) {
      const names = folder.entries.filter(mayBeObject).map((entry) => entry.name);
      const looking = this.#atOnce ? statFilesAtOnce : statFiles;
      const found = await orAbort(looking(folder.path, names, options.signal), options.signal);
      for (const { name, stats } of found) {
        yield { key: folder.prefix + name, sizeBytes: stats.size, modifiedAt: modifiedAt(stats) };
      }
    }
  }

  async listFolders(prefix: string, options: CallOptions = {}): Promise<string[]> {
    assertFolderPrefix(prefix);
    options.signal?.throwIfAborted();
    const folders: string[] = [];
    for await (const entries of directoryEntries(join(this.location, prefix), options.signal)) {
      for (const entry of entries) if (entry.isDirectory()) folders.push(entry.name);
    }
    return folders;
  }

  read(key: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    return untilAborted(readFileChunks(this.#placeOf(key), options), options.signal);
  }

  async readBytes(key: string, options: CallOptions & { sizeHintBytes?: number } = {}): Promise<Uint8Array> {
    const { sizeHintBytes, signal } = options;
    const place = this.#placeOf(key);
    if (this.#atOnce && sizeHintBytes !== undefined && sizeHintBytes <= AT_ONCE_BYTES_MAX) {
      signal?.throwIfAborted();
      return readWholeFileAtOnce(place, sizeHintBytes);
    }
    return orAbandon(readWholeFile(place, sizeHintBytes, signal), signal);
  }

  async readVersioned(key: string, options: ReadVersionedOptions = {}): Promise<VersionedObject> {
    const { signal, maxBytes = WHOLE_BYTES_MAX } = options;
    const place = this.#placeOf(key);
    const { bytes, stats } = await orAbandon(readWholeFileWithStats(place, maxBytes, signal), signal);
    return { bytes, version: undefined, modifiedAt: modifiedAt(stats) };
  }

  async write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: WriteOptions = {},
  ): Promise<ObjectInfo> {
    const { onlyIf } = options;
    if (typeof onlyIf === 'object') throw new RangeError('a file has no version to compare with');
    const writing = writeFileSafely(this.#placeOf(key), body, this.#ownership, this.#folders, {
      isNew: onlyIf === 'absent',
      signal: options.signal,
      naming: this.#naming,
    });
    const stats = await orAbandon(writing, options.signal);
    return { key, sizeBytes: stats.size, modifiedAt: modifiedAt(stats) };
  }

  async remove(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) this.#placeOf(key);
    await orAbandon(this.#removeFiles(keys, options.signal), options.signal);
  }

  /**
   * Removes temporary files that a killed process left behind. Younger ones may be another process's work under way.
   * @returns how many there were
   */
  async removeStaleTemporaries(
    olderThanMs: number,
    isOurs: (key: string) => boolean,
    options: CallOptions = {},
  ): Promise<number> {
    const stale: string[] = [];
    for await (const folder of this.#walk('', options.signal)) {
      const names = folder.entries
        .filter((entry) => entry.isFile() && isLeftOver(folder.prefix + entry.name, isOurs))
        .map((entry) => entry.name);
      for (const { name, stats } of await statFiles(folder.path, names, options.signal)) {
        if (this.#clock.now() - stats.mtimeMs > olderThanMs) stale.push(folder.prefix + name);
      }
    }
    await orAbandon(this.#removeFiles(stale, options.signal), options.signal);
    return stale.length;
  }

  async close(): Promise<void> {
    this.#folders.close();
  }

  #placeOf(key: string): FilePlace {
    assertObjectKey(key);
    if (isTemporary(key)) throw new RangeError(`an object cannot have the name of a temporary file: ${key}`);
    // `join` would look for `..` once more, which takes longer than to read a small file.
    return { path: `${this.location}/${key}`, key, location: this.location };
  }

  /** A folder and those below it, with some of its entries at a time. Links to directories are not followed. */
  async *#walk(prefix: string, signal: AbortSignal | undefined): AsyncGenerator<Folder, void, undefined> {
    const pending = [prefix];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      signal?.throwIfAborted();
      const path = join(this.location, next);
      for await (const entries of directoryEntries(path, signal)) {
        for (const entry of entries) if (entry.isDirectory()) pending.push(`${next}${entry.name}/`);
        yield { prefix: next, path, entries };
      }
    }
  }

  /** @param files - relative to the root */
  async #removeFiles(files: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const byFolder = Map.groupBy(files, folderOf);
    try {
      for (const [folder, paths] of byFolder) await this.#removeFrom(folder, paths, signal);
    } finally {
      if (signal?.aborted !== true) for (const folder of byFolder.keys()) await this.#removeEmpty(folder);
    }
  }

  async #removeFrom(
    folder: string,
    files: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      await inRealDirectory(this.location, folder, undefined, async ({ entries }) => {
        const names = files.map((file) => join(entries, basename(file)));
        await removeEach(names, REMOVALS_AT_ONCE, removeFile, signal);
      });
    } catch (error) {
      // Without the folder nothing of it is there.
      if (!isAbsentFolder(error)) throw error;
    }
  }

  /** Removes a directory that is empty, then its parents that became so, up to the root, which stays. */
  async #removeEmpty(folder: string): Promise<void> {
    for (let at = folder; at !== ''; at = folderOf(at)) {
      try {
        await inRealDirectory(this.location, folderOf(at), undefined, async ({ entries }) =>
          rmdir(join(entries, basename(at))),
        );
      } catch (error) {
        // Not empty is the usual end; that an empty directory stays for another reason harms nobody.
        if (systemCode(error) !== 'ENOENT' && !isAbsentFolder(error)) return;
      }
    }
  }
}

interface Folder {
  readonly prefix: string;
  readonly path: string;
  readonly entries: Dirent[];
}

function mayBeObject(entry: Dirent): boolean {
  return (entry.isFile() || entry.isSymbolicLink()) && !isTemporary(entry.name);
}

async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw fileFailed('remove', path, error);
  }
}
