/** What a replica tells about itself; the daemon adds what it knows and shows it (`docs/monitoring.md`). */
import { type ErrorCode, isRivuletError, messageOf } from '../base/errors.ts';
import type { Generation, Position } from '../generations/names.ts';
import type { LeaseStatus } from './lease/lease.ts';
import type { DutyKind } from './schedule.ts';

/** An error as status pages show it. */
export interface NotedError {
  readonly message: string;
  /** Undefined for a fault of Rivulet itself. */
  readonly code: ErrorCode | undefined;
  /** What to do about it. */
  readonly hint: string | undefined;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** Whether all has been well again since. */
  readonly isOver: boolean;
  /** What failed beside the shipping, which goes on; undefined when the shipping itself did. */
  readonly duty?: DutyKind;
}

/** The one that matters most: shipping that fails, a duty that fails, or else what failed last and is over. */
export function latestError(
  shipping: NotedError | undefined,
  duties: readonly NotedError[],
): NotedError | undefined {
  if (shipping?.isOver === false) return shipping;
  const all = shipping === undefined ? duties : [shipping, ...duties];
  const going = all.filter(({ isOver }) => !isOver);
  return (going.length > 0 ? going : all).toSorted((a, b) => b.atMs - a.atMs)[0];
}

/** @param atMs - milliseconds since 1970 */
export function noteError(error: unknown, atMs: number): Omit<NotedError, 'isOver'> {
  const { code, hint } = isRivuletError(error) ? error : {};
  return { message: messageOf(error), code, hint, atMs };
}

/** How the last proof that the destination restores ended. */
export interface ProofStatus {
  readonly outcome: 'proven' | 'broken' | 'inconclusive';
  /** When it ended, in milliseconds since 1970. */
  readonly atMs: number;
  /** Everything up to this moment was shown to be restorable (milliseconds since 1970). */
  readonly provenUntilMs: number | undefined;
  /** How long a restore takes, as measured. */
  readonly restoreMs: number | undefined;
  /** One sentence, for people. */
  readonly message: string;
}

export interface ReplicaStatus {
  readonly name: string;
  readonly state: 'starting' | 'snapshotting' | 'streaming' | 'failing' | 'standby' | 'lost';
  readonly generation: Generation | undefined;
  /** Everything before this is stored at the destination. */
  readonly confirmed: Position | undefined;
  /** When the destination last stored something, in milliseconds since 1970. */
  readonly syncedAtMs: number | undefined;
  /** When the destination last held everything that was committed, in milliseconds since 1970. */
  readonly caughtUpAtMs: number | undefined;
  readonly lastError: NotedError | undefined;
  /** When the next full copy is due, in milliseconds since 1970; it waits for something new. Undefined: none will be. */
  readonly snapshotDueAtMs: number | undefined;
  /** For how long retention should have removed what is old and could not; 0 while it is on time. */
  readonly retentionOverdueMs: number;
  /** Undefined without a lease. */
  readonly lease: LeaseStatus | undefined;
  /** Undefined until something was tried. */
  readonly proof: ProofStatus | undefined;
}
