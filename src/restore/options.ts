/** What a restore takes and what it tells. */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Inventory } from '../generations/inventory.ts';
import type { Generation, Position } from '../generations/names.ts';
import type { RestoreTarget } from '../generations/restore-target.ts';
import type { ObjectStore } from '../storage/object-store.ts';

export type IntegrityCheck = 'none' | 'quick' | 'full';

export type RestorePhase = 'plan' | 'snapshot' | 'segments' | 'verify' | 'finish';

export interface RestoreProgress {
  readonly phase: RestorePhase;
  /** Stored (compressed) bytes. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly objectsDone: number;
  readonly objectsTotal: number;
}

export interface RestoreOptions {
  readonly store: ObjectStore;
  readonly target: RestoreTarget;
  /** What the store holds, when the caller has just listed it. */
  readonly inventory?: Inventory | undefined;
  /** Must not exist; its folder is made when it is missing. A link to what does not exist stands for that path. */
  readonly outputPath: string;
  /** Objects fetched at the same time; 8 when absent. */
  readonly parallelism?: number | undefined;
  /** Absent: `quick` when something in the chain is not proven, else `none`. */
  readonly integrityCheck?: IntegrityCheck | undefined;
  /** Permissions of the database; 0600 when absent. */
  readonly mode?: number | undefined;
  /** Called at most some twenty times a second, and when a phase begins. */
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly logger?: Logger | undefined;
  readonly clock?: Clock | undefined;
}

export interface RestoreSummary {
  readonly generation: Generation;
  readonly snapshotIndex: number;
  /** Behind the last transaction of the result; undefined for a bare snapshot that does not say where it stands. */
  readonly position: Position | undefined;
  /** Segments applied. */
  readonly segments: number;
  readonly bytesFetched: number;
  readonly databaseBytes: number;
  readonly resultingTimeMs: number;
  /** The steps in which the store tells times, in milliseconds: the result may be as late as the end of that step. */
  readonly timeStepMs: number;
  /** Every link of the chain was checked: nothing that the replica ever held up to this point can be missing. */
  readonly proven: boolean;
  /** Why not, one sentence each. */
  readonly unprovenReasons: readonly string[];
  /** Snapshots that could not be used, although older ones led to the same point. */
  readonly damagedSnapshots: readonly string[];
  /** The check that was made. */
  readonly integrityCheck: IntegrityCheck;
  /** What it could not look at and why, as where the application brings a collation of its own; one sentence each. */
  readonly checkLeftOut: readonly string[];
  /** New paths of files beside the output that held nothing and were in the way: an empty `-wal`, a `-shm` that was left alone. */
  readonly movedAside: readonly string[];
  readonly elapsedMs: number;
}
