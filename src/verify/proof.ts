/** What a proof comes to. There are three outcomes, and the difference between the last two matters most. */
import { isRivuletError, type RivuletError } from '../base/errors.ts';
import type { Generation, Position } from '../generations/names.ts';

/**
 * - `proven`: everything up to this point was read back from the destination and holds.
 * - `broken`: an object is missing or wrong, looked at more than once; somebody has to know.
 * - `inconclusive`: nobody can say at the moment: the destination is away, a key is missing, what was looked at has left the
 *   retention's window meanwhile. Nothing follows from it about the replica.
 */
export type Proof = Proven | Broken | Inconclusive;

export interface Proven {
  readonly outcome: 'proven';
  readonly generation: Generation;
  /** Where the proven chain ends; undefined for a snapshot alone that does not say where it stands. */
  readonly position: Position | undefined;
  /** When the newest object of it was stored, in milliseconds since 1970: what can be restored up to. */
  readonly untilMs: number;
  /** What nothing in the replica can prove, as in replicas of Litestream v0.3.13; one sentence each. */
  readonly unproven: readonly string[];
  /** Whether a copy was restored and passed SQLite's `integrity_check`. */
  readonly wasChecked: boolean;
  /** What that check could not look at and why, one sentence each: it says nothing against the replica. */
  readonly checkLeftOut: readonly string[];
  /** Objects and stored bytes that were read back. */
  readonly objects: number;
  readonly bytes: number;
  /** How long it took; for a full proof that is how long a restore takes. */
  readonly elapsedMs: number;
}

export interface Broken {
  readonly outcome: 'broken';
  readonly damage: Damage;
}

export interface Damage {
  /** Undefined when the replica as a whole is empty. */
  readonly generation: Generation | undefined;
  /** The object that is missing or wrong; undefined when it is not known which. */
  readonly key: string | undefined;
  /** The log that it concerns: a snapshot of a later one is not touched. Undefined when it concerns all of them. */
  readonly index: number | undefined;
  /** For people: says what is wrong, and what can still be restored and how. */
  readonly error: RivuletError;
}

export interface Inconclusive {
  readonly outcome: 'inconclusive';
  readonly error: RivuletError;
}

/** What says nothing about the replica: it could not be looked at, or the place for the copy was not there. */
const NOT_ITS_FAULT = [
  'AGE_KEY_MISSING',
  'AGE_KEY_WRONG',
  'STORAGE_FAILED',
  'STORAGE_DENIED',
  'STORAGE_NOT_FOUND',
  'CREDENTIALS_FAILED',
  'HOST_KEY_UNVERIFIED',
  'PACKAGE_MISSING',
  'REPLICA_UNREADABLE',
  'OUTPUT_EXISTS',
  'OUTPUT_UNWRITABLE',
] as const;

/** Whether an error leaves open how the replica is. */
export function leavesOpen(error: unknown): error is RivuletError {
  return isRivuletError(error, ...NOT_ITS_FAULT);
}
