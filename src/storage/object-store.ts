/**
 * The contract of a place that keeps objects. Keys are relative to the replica's root, use `/`, and never begin
 * with it. A backend is one folder that implements this and passes `test/storage/conformance.ts`.
 */

/** One stored object as a listing shows it. */
export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  /** When the object got its present content, by the store's clock; point-in-time restore rests on it. */
  readonly modifiedAt: Date;
}

export interface CallOptions {
  /** Cancels the call; it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface ReadOptions extends CallOptions {
  /** First byte wanted; 0 when absent. */
  readonly offsetBytes?: number;
}

export interface ObjectStore {
  /** `file`, `s3`, ... as the configuration and the metrics name it. */
  readonly type: string;
  /** Where this is, for people: a URL or path without secrets. */
  readonly location: string;

  /**
   * Every object whose key begins with `prefix` (a folder path ending in `/`, or empty for all), in no
   * particular order. Nothing there means an empty result; a place that cannot be read throws
   * `STORAGE_FAILED`, never an empty result.
   */
  list(prefix: string, options?: CallOptions): AsyncIterable<ObjectInfo>;

  /** Names (one path part, no slash) of the folders directly under `prefix`; same rules as `list`. */
  listFolders(prefix: string, options?: CallOptions): Promise<string[]>;

  /** The object's bytes from an offset to its end. Throws `STORAGE_NOT_FOUND` when there is no such object. */
  read(key: string, options?: ReadOptions): AsyncIterable<Uint8Array>;

  /** A small object whole. `sizeHintBytes`, when a listing told the size, may save a request. */
  readBytes(key: string, options?: CallOptions & { sizeHintBytes?: number }): Promise<Uint8Array>;

  /**
   * Stores an object whole: it appears under its key only when every byte is there and safe, or not at all.
   * A chunk of a streamed `body` must not change after it was handed over: the next one is asked for meanwhile.
   * Replaces an object of the same key. When `body` throws, nothing appears and the same error is thrown.
   * Resolves to what a listing would now say.
   */
  write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: CallOptions,
  ): Promise<ObjectInfo>;

  /** Removes objects; one that is not there counts as removed. Any that could not be removed throws. */
  remove(keys: readonly string[], options?: CallOptions): Promise<void>;

  /** Lets go of connections. No call may be under way; none may follow. */
  close(): Promise<void>;
}
