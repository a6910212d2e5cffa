/**
 * What the engine needs of the machine it runs on: files, SQLite's connections and locks, standing still, chance. All of it
 * comes in through here, so that a simulation can bring a machine of its own.
 */
import { randomBytes } from 'node:crypto';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { bootId } from '../base/boot-id.ts';
import { systemFiles, type Files } from '../base/files.ts';
import { standStill } from '../base/stand-still.ts';
import {
  checkpointInBackground,
  type CheckpointWithin,
  checkpointWithin,
  isCheckpointerFree,
} from './background-checkpoint.ts';
import { claimDatabase, type DatabaseClaim } from './database-claim.ts';
import type { FileIdentity } from './database-file.ts';
import { SqliteConnections, type Connections } from './connections.ts';
import { makeSidecars } from './sidecars.ts';
import { openStateDirectory, type StateDirectory } from './state-directory.ts';

export interface Machine {
  readonly files: Files;
  /** Makes `-wal` and `-shm` of a database in WAL mode so that its application can use them. @throws RivuletError `DB_UNREADABLE` */
  makeSidecars(path: string): void;
  /** @throws RivuletError `DB_INVALID`, `DB_UNREADABLE` or `DB_BUSY` */
  openConnections(path: string, busyTimeoutMs: number): Connections;
  /** Checkpoints as much as nobody's read transaction forbids; resolves also when nothing could be done, to whether another checkpoint was in the way. */
  checkpointInBackground(path: string): Promise<boolean>;
  /** Whether `checkpointWithin` would begin at once. Waits a little for it. */
  isCheckpointerFree(): Promise<boolean>;
  /** The same while this thread stands still, for `ms` milliseconds at most; then it goes on in the background. */
  checkpointWithin(path: string, ms: number): CheckpointWithin;
  /** Keeps others from replicating this very file under another name. @throws RivuletError `DB_IN_USE` */
  claimDatabase(path: string, identity: FileIdentity): DatabaseClaim;
  /** @throws RivuletError `DB_IN_USE`, `STATE_INVALID` */
  openStateDirectory(path: string, databasePath: string): StateDirectory;
  /** Lets other work of this process run. */
  readonly pause: () => Promise<void>;
  /** Stops everything of this process for `ms` milliseconds. */
  standStill(ms: number): void;
  /** Milliseconds that go on while standing still. */
  monotonicMs(): number;
  randomBytes(length: number): Uint8Array;
  /** Changes whenever writes that were not synced may have been lost. */
  bootId(): string;
}

export const systemMachine: Machine = {
  files: systemFiles,
  makeSidecars,
  openConnections: (path, busyTimeoutMs) => new SqliteConnections(path, busyTimeoutMs),
  checkpointInBackground,
  isCheckpointerFree,
  checkpointWithin,
  claimDatabase,
  openStateDirectory,
  pause: async () => yieldToOthers(),
  standStill,
  monotonicMs: () => performance.now(),
  randomBytes,
  bootId,
};
