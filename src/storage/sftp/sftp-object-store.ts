/**
 * Objects as files below a folder of an SFTP server, as Litestream's SFTP replica has them. It needs nothing of the
 * server but the SFTP subsystem: no shell, no other command, no folder that it may write to but its own.
 *
 * All calls share one connection, which is opened when it is needed and closed after a while without calls. While
 * it is open, a keep-alive packet now and then tells whether the other end is still there; it asks nothing of the
 * server's disk. An object's time is its file's modification time, in whole seconds and by the server's clock.
 *
 * `tools.onRequest` is told once for each object, folder or look, not for each packet: nobody bills them.
 */
import { settleAll } from '../../base/settle-all.ts';
import type { BackendTools } from '../backend.ts';
import { orAbandon, orAbort } from '../abandon.ts';
import { isLeftOver, isTemporary } from '../file/temporary-name.ts';
import { assertFolderPrefix, assertObjectKey } from '../object-key.ts';
import type {
  CallOptions,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
  ReadVersionedOptions,
  VersionedObject,
  WriteOptions,
  WrittenObject,
} from '../object-store.ts';
import { removeEach } from '../remove-each.ts';
import { connectSftp } from './connect.ts';
import { ConnectionKeeper } from './connection-keeper.ts';
import type { FolderEntry, SftpConnection } from './connection.ts';
import { type SftpPlace, requestFailed } from './failures.ts';
import { removeEmptyFolders } from './folders.ts';
import { parsePinnedKey } from './host-key.ts';
import { Endless, TreeBounds } from './folder-bounds.ts';
import { endless, listFolder } from './list-folder.ts';
import { DEFAULT_TIMEOUTS, type SftpStoreOptions, locationOf } from './options.ts';
import { cleanRoot, folderOf, inFolder } from './paths.ts';
import { WHOLE_BYTES_MAX } from '../bounded-body.ts';
import { readObject, readWhole } from './read-object.ts';
import { removeUnlessAbsent, writeObject } from './write-object.ts';

/** Folders listed at once; a distant server is asked for many in the time of one. */
const FOLDERS_AT_ONCE = 8;
const REMOVALS_AT_ONCE = 32;
/** Temporary files of broken calls to remember; others are found by `removeStaleTemporaries`. */
const LEFTOVERS_MAX = 1_000;

export class SftpObjectStore implements ObjectStore {
  readonly type = 'sftp';
  readonly conditions = 'create-only';
  /** The protocol has seconds. */
  readonly timeStepMs = 1000;
  readonly location: string;
  readonly #root: string;
  readonly #tools: BackendTools;
  readonly #keeper: ConnectionKeeper;
  /** Temporary files that a broken connection left on the server. */
  readonly #leftovers = new Set<string>();

  /**
   * Connects to nothing yet.
   *
   * @param options - secrets in them are read for each connection
   * @throws RangeError for a host key that is none
   */
  constructor(options: SftpStoreOptions, tools: BackendTools) {
    for (const text of options.hostKeys ?? []) parsePinnedKey(text);
    this.location = locationOf(options);
    this.#root = cleanRoot(options.path);
    this.#tools = tools;
    const timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
    const connect = async (signal: AbortSignal): Promise<SftpConnection> => {
      const connection = await connectSftp(options, timeouts, tools.clock, signal);
      tools.logger.debug('connected', { location: this.location });
      return connection;
    };
    this.#keeper = new ConnectionKeeper(connect, timeouts.idleMs, tools.clock);
    if (options.insecure === true) {
      tools.logger.warn(
        'the host key of the SFTP server is not verified: whoever sits between can read and change the backup',
        { location: this.location },
      );
    }
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectInfo, void, undefined> {
    assertFolderPrefix(prefix);
    const { signal } = options;
    using borrowed = await this.#keeper.borrow(signal);
    for await (const folder of this.#walk(borrowed.connection, prefix, signal)) {
      for (const { name, kind, sizeBytes, modifiedAt } of folder.entries) {
        if (kind !== 'file' || isTemporary(name)) continue;
        yield { key: folder.prefix + name, sizeBytes, modifiedAt };
      }
    }
  }

  async listFolders(prefix: string, options: CallOptions = {}): Promise<string[]> {
    assertFolderPrefix(prefix);
    const { signal } = options;
    using borrowed = await this.#keeper.borrow(signal);
    const entries = await this.#list(borrowed.connection, prefix, signal);
    return entries.filter((entry) => entry.kind === 'folder').map((entry) => entry.name);
  }

  read(key: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#read(this.#placeOf(key), options);
  }

  async readBytes(key: string, options: CallOptions & { sizeHintBytes?: number } = {}): Promise<Uint8Array> {
    const { sizeHintBytes, signal } = options;
    const place = this.#placeOf(key);
    using borrowed = await this.#keeper.borrow(signal);
    this.#tools.onRequest('GET');
    const maxBytes = sizeHintBytes ?? WHOLE_BYTES_MAX;
    return (await readWhole(borrowed.connection, place, { sizeHintBytes, maxBytes }, signal)).bytes;
  }

  async readVersioned(key: string, options: ReadVersionedOptions = {}): Promise<VersionedObject> {
    const { signal, maxBytes = WHOLE_BYTES_MAX } = options;
    const place = this.#placeOf(key);
    using borrowed = await this.#keeper.borrow(signal);
    this.#tools.onRequest('GET');
    const bounds = { sizeHintBytes: undefined, maxBytes };
    const { bytes, facts } = await readWhole(borrowed.connection, place, bounds, signal);
    return { bytes, version: undefined, modifiedAt: facts.modifiedAt };
  }

  async write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: WriteOptions = {},
  ): Promise<WrittenObject> {
    const { onlyIf, signal } = options;
    if (typeof onlyIf === 'object') throw new RangeError('a file has no version to compare with');
    const place = this.#placeOf(key);
    using borrowed = await this.#keeper.borrow(signal);
    const { connection } = borrowed;
    this.#tools.onRequest('PUT');
    const isNew = onlyIf === 'absent';
    const leftBehind = (path: string): void => this.#remember(path);
    const writing = writeObject(connection, place, body, isNew, leftBehind, signal);
    const { sizeBytes, modifiedAt } = await orAbandon(writing, signal);
    if (this.#leftovers.size > 0) void this.#removeLeftovers();
    return { key, sizeBytes, modifiedAt };
  }

  async remove(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    const { signal } = options;
    const paths = keys.map((key) => this.#placeOf(key).path);
    signal?.throwIfAborted();
    if (paths.length === 0) return;
    using borrowed = await this.#keeper.borrow(signal);
    await orAbandon(this.#removeFiles(borrowed.connection, paths, signal), signal);
  }

  /**
   * Removes temporary files that a killed process left behind. Younger ones may be another process's work under way.
   *
   * @param olderThanMs - by the server's clock and this one, which may differ
   * @returns how many there were
   */
  async removeStaleTemporaries(
    olderThanMs: number,
    isOurs: (key: string) => boolean,
    options: CallOptions = {},
  ): Promise<number> {
    const { signal } = options;
    using borrowed = await this.#keeper.borrow(signal);
    const stale: string[] = [];
    for await (const folder of this.#walk(borrowed.connection, '', signal)) {
      for (const { name, kind, modifiedAt } of folder.entries) {
        const isStale = this.#tools.clock.now() - modifiedAt.getTime() > olderThanMs;
        const key = folder.prefix + name;
        if (kind === 'file' && isLeftOver(key, isOurs) && isStale) stale.push(inFolder(this.#root, key));
      }
    }
    await orAbandon(this.#removeFiles(borrowed.connection, stale, signal), signal);
    return stale.length;
  }

  async close(): Promise<void> {
    this.#keeper.close();
  }

  #placeOf(key: string): SftpPlace {
    assertObjectKey(key);
    if (isTemporary(key)) throw new RangeError(`an object cannot have the name of a temporary file: ${key}`);
    return { path: inFolder(this.#root, key), key, location: this.location };
  }

  async *#read(place: SftpPlace, options: ReadOptions): AsyncGenerator<Uint8Array, void, undefined> {
    using borrowed = await this.#keeper.borrow(options.signal);
    this.#tools.onRequest('GET');
    yield* readObject(borrowed.connection, place, options);
  }

  async #list(
    connection: SftpConnection,
    prefix: string,
    signal: AbortSignal | undefined,
  ): Promise<FolderEntry[]> {
    signal?.throwIfAborted();
    this.#tools.onRequest('LIST');
    const path = inFolder(this.#root, prefix.slice(0, -1));
    return orAbort(listFolder(connection, path, this.location, signal), signal);
  }

  /** A folder and those below it, each with its entries. */
  async *#walk(
    connection: SftpConnection,
    prefix: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Folder, void, undefined> {
    const pending = [prefix];
    const bounds = new TreeBounds();
    while (pending.length > 0) {
      const some = pending.splice(-FOLDERS_AT_ONCE);
      for (const at of some) this.#checkTree(bounds, prefix, at);
      const listings = some.map(async (at) => ({
        prefix: at,
        entries: await this.#list(connection, at, signal),
      }));
      await settleAll(listings);
      for (const folder of await Promise.all(listings)) {
        for (const { kind, name } of folder.entries)
          if (kind === 'folder') pending.push(`${folder.prefix}${name}/`);
        yield folder;
      }
    }
  }

  #checkTree(bounds: TreeBounds, from: string, at: string): void {
    try {
      bounds.check(at);
    } catch (error) {
      throw error instanceof Endless ? endless(inFolder(this.#root, from), this.location, error) : error;
    }
  }

  async #removeFiles(
    connection: SftpConnection,
    paths: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      await removeEach(paths, REMOVALS_AT_ONCE, async (path) => this.#removeFile(connection, path), signal);
    } finally {
      if (connection.isOpen && signal?.aborted !== true) {
        // Of those below one parent, the last one removes it.
        const folders = [...new Set(paths.map((path) => folderOf(path)))];
        const remove = async (folder: string): Promise<void> =>
          removeEmptyFolders(connection, folder, this.#root);
        await removeEach(folders, REMOVALS_AT_ONCE, remove, signal);
      }
    }
  }

  async #removeFile(connection: SftpConnection, path: string): Promise<void> {
    this.#tools.onRequest('DELETE');
    try {
      await removeUnlessAbsent(connection, path);
    } catch (error) {
      throw requestFailed('remove', path, this.location, error);
    }
  }

  #remember(path: string): void {
    if (this.#leftovers.size < LEFTOVERS_MAX) this.#leftovers.add(path);
  }

  /** The connection works again: what a broken one left behind can go. */
  async #removeLeftovers(): Promise<void> {
    const paths = [...this.#leftovers];
    this.#leftovers.clear();
    try {
      using borrowed = await this.#keeper.borrow(undefined);
      await this.#removeFiles(borrowed.connection, paths, undefined);
    } catch {
      // It will not be tried again and again: `removeStaleTemporaries` finds them.
    }
  }
}

interface Folder {
  readonly prefix: string;
  readonly entries: readonly FolderEntry[];
}
