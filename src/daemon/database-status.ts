/** What the daemon tells about its databases: the JSON of `/status` and `/healthz`, described in `docs/monitoring.md`. */
import { formatDuration } from '../base/duration.ts';
import { formatReplicaUrl } from '../config/replica-url.ts';
import type { ReplicaSettings } from '../config/settings.ts';
import type { KeyStatus } from '../credentials/keeper.ts';
import type { Generation, Position } from '../generations/names.ts';
import type { ReadLockStatus } from '../primary/primary.ts';
import type { LogPin } from '../primary/log-pin.ts';
import type { NotedError, ReplicaStatus } from '../replica/replica-status.ts';

/** Times are milliseconds since 1970. What is not known is undefined, and absent in JSON. */
export interface DatabaseStatus {
  readonly path: string;
  readonly state: 'waiting' | 'following' | 'failing' | 'stalled';
  readonly generation: Generation | undefined;
  /** End of what is known to be committed. */
  readonly committed: Position | undefined;
  /** When the database was last looked at with success. */
  readonly lookedAtMs: number | undefined;
  readonly databaseBytes: number | undefined;
  readonly walBytes: number | undefined;
  /** What keeps the log from becoming shorter. */
  readonly walPinnedBy: LogPin | undefined;
  readonly spoolBytes: number;
  /** Whether this process holds a read transaction on the database, and why it lasts. */
  readonly readLock: ReadLockStatus | undefined;
  readonly lastError: NotedError | undefined;
  readonly stalledSinceMs: number | undefined;
  /** Since when there has been no database, once that is longer than `stall-after`. */
  readonly waitingSinceMs: number | undefined;
  readonly replicas: readonly ReplicaReport[];
}

export interface ReplicaReport extends Omit<ReplicaStatus, 'state'> {
  readonly state: ReplicaStatus['state'] | 'stalled';
  /** Where it is stored, without secrets. */
  readonly destination: string;
  /** Log bytes that are committed and not stored. */
  readonly lagBytes: number;
  /** Committed transactions that are not stored. */
  readonly lagCommits: number;
  /** Age of the oldest change that is not stored. */
  readonly lagMs: number;
  /** For how long nothing has moved although there is something to store; 0 while something does. */
  readonly stillMs: number;
  readonly stalledSinceMs: number | undefined;
  /** Where the keys of the destination come from and how long they hold; absent where there are none to renew. */
  readonly credentials?: KeyStatus;
}

/** What is told of a replica while nothing could be opened. @param lagMs - for how long there may have been something to store */
export function unopenedReport({ name, destination }: ReplicaSettings, lagMs: number): ReplicaReport {
  return {
    name,
    state: 'starting',
    destination: formatReplicaUrl(destination),
    generation: undefined,
    confirmed: undefined,
    syncedAtMs: undefined,
    caughtUpAtMs: undefined,
    lastError: undefined,
    snapshotDueAtMs: undefined,
    retentionOverdueMs: 0,
    lease: undefined,
    proof: undefined,
    lagBytes: 0,
    lagCommits: 0,
    lagMs,
    stillMs: 0,
    stalledSinceMs: undefined,
  };
}

export const HEALTH_REASONS = [
  'stalled',
  'failing',
  'waiting',
  'lease-lost',
  'standby',
  'broken',
  'retention',
] as const;

/** Why something is not well. */
export interface HealthReason {
  readonly db: string;
  /** Undefined when it is the database itself. */
  readonly replica: string | undefined;
  readonly reason: (typeof HEALTH_REASONS)[number];
  /** One sentence. */
  readonly message: string;
}

/** A destination may fail this long before it is bad health. */
const UNHEALTHY_AFTER_MS = 30_000;
/** That nothing moves is noticed by a look that comes up to five seconds after the change that should. */
const STILL_AFTER_MS = 25_000;

/** Outages of a destination are over by then. What may not be removed is billed, and fills disks. */
const RETENTION_OVERDUE_MS = 3_600_000;

/** Everything that somebody should look at; nothing when all is well. */
export function healthReasons(databases: readonly DatabaseStatus[]): HealthReason[] {
  return databases.flatMap((database) => [
    ...databaseReasons(database),
    ...database.replicas.flatMap((replica) => replicaReasons(database.path, replica)),
  ]);
}

function databaseReasons(database: DatabaseStatus): HealthReason[] {
  const { path, state, lastError, stalledSinceMs, waitingSinceMs } = database;
  const why = lastError === undefined || lastError.isOver ? '' : `: ${lastError.message}`;
  const about = { db: path, replica: undefined };
  if (state === 'stalled')
    return [
      { ...about, reason: 'stalled', message: `it was not followed since ${at(stalledSinceMs)}${why}` },
    ];
  if (waitingSinceMs !== undefined) {
    const message = `there has been no database there since ${at(waitingSinceMs)}: is the path right?`;
    return [{ ...about, reason: 'waiting', message }];
  }
  return state === 'failing' ? [{ ...about, reason: 'failing', message: `it cannot be followed${why}` }] : [];
}

function replicaReasons(db: string, one: ReplicaReport): HealthReason[] {
  return [...shippingReasons(db, one), ...proofReasons(db, one), ...retentionReasons(db, one)];
}

function retentionReasons(
  db: string,
  { name, retentionOverdueMs, lastError }: ReplicaReport,
): HealthReason[] {
  if (retentionOverdueMs < RETENTION_OVERDUE_MS) return [];
  const isCause = lastError?.duty === 'retention' && !lastError.isOver;
  const why = isCause ? `: ${lastError.message}` : '';
  const message = `what is older than the retention should have been removed ${formatDuration(roundToMinutes(retentionOverdueMs))} ago${why}`;
  return [{ db, replica: name, reason: 'retention', message }];
}

function roundToMinutes(ms: number): number {
  return Math.floor(ms / 60_000) * 60_000;
}

function proofReasons(db: string, { name, proof }: ReplicaReport): HealthReason[] {
  if (proof?.outcome !== 'broken') return [];
  return [
    { db, replica: name, reason: 'broken', message: `the destination does not restore: ${proof.message}` },
  ];
}

function shippingReasons(db: string, one: ReplicaReport): HealthReason[] {
  const { lastError } = one;
  const isCause = lastError?.isOver === false && lastError.duty === undefined;
  const why = isCause ? `: ${lastError.message}` : '';
  const about = { db, replica: one.name };
  if (one.state === 'lost')
    return [{ ...about, reason: 'lease-lost', message: 'another process has taken the replica over' }];
  if (one.state === 'standby') return standbyReasons(about, one);
  if (one.state === 'stalled')
    return [
      { ...about, reason: 'stalled', message: `nothing was stored since ${at(one.stalledSinceMs)}${why}` },
    ];
  if (one.lagMs < UNHEALTHY_AFTER_MS) return [];
  const reason = 'failing';
  if (one.state === 'failing') return [{ ...about, reason, message: `the destination fails${why}` }];
  if (one.stillMs < STILL_AFTER_MS) return [];
  const what = isCause ? 'the destination keeps failing' : 'nothing moves on the way to the destination';
  return [{ ...about, reason, message: `${what}${why}` }];
}

/** A standby is well as long as nothing is committed beside it. */
function standbyReasons(about: Pick<HealthReason, 'db' | 'replica'>, one: ReplicaReport): HealthReason[] {
  if (one.lagMs < UNHEALTHY_AFTER_MS && one.stalledSinceMs === undefined) return [];
  const { holder } = one.lease ?? {};
  const who = holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}`;
  const message = `${who} holds the lease, and what is committed here meanwhile is stored nowhere`;
  return [{ ...about, reason: 'standby', message }];
}

function at(ms: number | undefined): string {
  return ms === undefined ? 'the start' : new Date(ms).toISOString();
}
