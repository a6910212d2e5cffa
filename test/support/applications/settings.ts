/** What the applications of this folder are asked to do, and what they report: what each of them felt. */

interface Common {
  readonly seconds: number;
  readonly rowBytes: number;
  /** As an application sets it; SQLite waits for locks so long. */
  readonly busyTimeoutMs?: number;
  /** SQLite's default of 1,000 pages when absent; 0 turns them off. */
  readonly autoCheckpointPages?: number;
}

/** `truncating.ts` */
export interface TruncatingSettings extends Common {
  /** Commits before each checkpoint. */
  readonly burst: number;
  /** Between the last commit and the checkpoint; taken in turn. */
  readonly pausesMs: readonly number[];
  /** After the checkpoint. */
  readonly restMs: number;
}

export interface TruncatingReport {
  readonly checkpoints: number;
  /** Answered "busy", or with an error. */
  readonly failed: number;
  readonly longestMs: number;
  readonly medianMs: number;
}

/** `reading-then-writing.ts` */
export interface ReadingThenWritingSettings extends Common {
  /** 0: as fast as it can. */
  readonly perSecond: number;
  /** Between the read and the write of a transaction. */
  readonly thinkMs: number;
}

export interface ReadingThenWritingReport {
  readonly transactions: number;
  /** Transactions that ended with SQLITE_BUSY. */
  readonly locked: number;
}

/** `probing.ts` */
export interface ProbingSettings extends Common {
  /** 0: as fast as it can. */
  readonly perSecond: number;
}

export interface ProbingReport {
  readonly commits: number;
  /** How often another process had the write lock. */
  readonly waits: number;
  /** The longest time from the first refusal of the write lock until it was granted. */
  readonly longestMs: number;
}

/** `hostile.ts` */
export interface HostileSettings {
  readonly seconds: number;
  readonly seed: number;
}

export interface HostileReport {
  readonly operations: number;
  readonly refused: number;
}

/** `sql.ts` */
export interface SqlSettings {
  readonly busyTimeoutMs?: number;
  /** As on a disk that may tear what is beside a write: with `synchronous=full`, commit frames are repeated up to the next sector. */
  readonly padsCommits?: boolean;
}
