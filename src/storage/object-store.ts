/**
 * The contract of a place that keeps objects. Keys are relative to the replica's root, use `/`, and never begin
 * with it. A backend is one folder that implements this and passes `test/storage/conformance.ts`.
 *
 * A backend throws `RivuletError` with one of the codes that `storage-error.ts` makes, and says there whether trying
 * again may help. It does not try again by itself, does not limit itself and counts only its requests: that is done by
 * wrappers over this contract, written once.
 */

/** One stored object as a listing shows it. */
export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  /** When the object got its present content, by the store's clock; point-in-time restore rests on it. */
  readonly modifiedAt: Date;
}

/** A small object with what a later conditional write needs to know of it. */
export interface VersionedObject {
  readonly bytes: Uint8Array;
  /** Names this very content; only this store understands it. Undefined where `conditions` is not `compare-and-swap`. */
  readonly version: string | undefined;
  readonly modifiedAt: Date;
}

/** What a write resolves to. */
export interface WrittenObject extends ObjectInfo {
  /** As in `VersionedObject`; undefined where the store did not tell. */
  readonly version?: string | undefined;
  /**
   * The last attempt of a conditional write was refused, and the object was found to hold these bytes: an attempt before
   * it, whose answer was lost, wrote them. Who writes what may be there anyway must look at this.
   */
  readonly foundWritten?: true;
}

export interface CallOptions {
  /** Cancels the call; it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface ReadOptions extends CallOptions {
  /** First byte wanted; 0 when absent. */
  readonly offsetBytes?: number;
  /** How many bytes are wanted; to the end when absent. Fewer come when the object ends before. */
  readonly lengthBytes?: number;
  /**
   * The object's whole size as a listing told it: lets a large object be fetched in several ranges at once. One that
   * turns out to be shorter may be a failure; of one that is longer nothing more is read, and `REPLICA_INVALID` thrown.
   */
  readonly sizeHintBytes?: number;
}

export interface ReadVersionedOptions extends CallOptions {
  /** A longer object throws `REPLICA_INVALID`; 16 MiB when absent. */
  readonly maxBytes?: number;
}

export interface WriteOptions extends CallOptions {
  /**
   * Writes only if there is no such object (`absent`), or only over that very content (a version, where `conditions`
   * is `compare-and-swap`; elsewhere a `RangeError`). Otherwise throws `STORAGE_EXISTS`, and nothing has changed.
   */
  readonly onlyIf?: 'absent' | { readonly version: string };
}

/**
 * The conditional writes that a store is said to know: none, only-if-absent, or also only-over-this-version. What a
 * server really honours is found out by asking it (see the lease), since some ignore what they do not know.
 */
export type Conditions = 'none' | 'create-only' | 'compare-and-swap';

export interface ObjectStore {
  /** `file`, `s3`, ... as the configuration and the metrics name it. */
  readonly type: string;
  /** Where this is, for people: a URL or path without secrets. */
  readonly location: string;
  readonly conditions: Conditions;
  /**
   * The steps in which listings tell times, in milliseconds: a service with whole seconds cuts off the rest. Absent where it depends on the
   * server or the file system; then the listing shows it.
   */
  readonly timeStepMs?: number | undefined;

  /**
   * Every object whose key begins with `prefix` (a folder path ending in `/`, or empty for all), in no
   * particular order. Nothing there means an empty result; a place that cannot be read throws
   * `STORAGE_FAILED` or `STORAGE_DENIED`, never an empty result. One object may come more than once: a listing
   * that broke off is begun again, and names are too many to be remembered.
   */
  list(prefix: string, options?: CallOptions): AsyncIterable<ObjectInfo>;

  /** Names (one path part, no slash) of the folders directly under `prefix`; same rules as `list`. */
  listFolders(prefix: string, options?: CallOptions): Promise<string[]>;

  /** The object's bytes from an offset on. Throws `STORAGE_NOT_FOUND` when there is no such object. */
  read(key: string, options?: ReadOptions): AsyncIterable<Uint8Array>;

  /**
   * A small object whole. `sizeHintBytes`, when a listing told the size, may save a request. An object that is longer than it,
   * or than 16 MiB when it is absent, throws `REPLICA_INVALID`.
   */
  readBytes(key: string, options?: CallOptions & { sizeHintBytes?: number }): Promise<Uint8Array>;

  /** A small object with its version, never from a cache. Throws `STORAGE_NOT_FOUND` when there is no such object. */
  readVersioned(key: string, options?: ReadVersionedOptions): Promise<VersionedObject>;

  /**
   * Stores an object whole: it appears under its key only when every byte is there and safe, or not at all.
   * A chunk of a streamed `body` must not change after it was handed over: the next one is asked for meanwhile.
   * Replaces an object of the same key unless `onlyIf` says otherwise. When `body` throws, nothing appears and the same
   * error is thrown. Resolves to the exact size, and to the store's time of the write, which may differ from the time
   * in a listing by a second or two where knowing it exactly would cost another request.
   */
  write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: WriteOptions,
  ): Promise<WrittenObject>;

  /** Removes objects; one that is not there counts as removed. Any that could not be removed throws. */
  remove(keys: readonly string[], options?: CallOptions): Promise<void>;

  /** Lets go of connections. No call may be under way; none may follow. */
  close(): Promise<void>;
}
