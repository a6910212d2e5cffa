/** What to do about a lease, from what is known. Pure. */
import type { LeaseRecord } from '../../generations/lease-record.ts';
import { observationMs } from './validity.ts';

/** Our clock may be behind that of the store by so much before nothing is concluded from the two. */
const CLOCK_SKEW_MS_MAX = 5 * 60_000;

export interface Identity {
  /** Of the state directory. */
  readonly owner: string;
  readonly host: string;
  /** Of the process. */
  readonly session: string;
}

/** What is known when a lease that is not ours at this moment was read. */
export interface Seen {
  readonly me: Identity;
  readonly record: LeaseRecord;
  /** When the value was stored, by the store's clock. */
  readonly storedAtMs: number;
  /** Our wall clock, which may be wrong: it decides what is said and whether to watch, never that a lease is taken. */
  readonly nowMs: number;
  /** How long we have watched exactly this value, by the monotonic clock. */
  readonly unchangedMs: number;
  /** The value has changed while we were waiting for it: there is somebody alive. */
  readonly sawAlive: boolean;
  /** We held the lease in this process, and it was taken from us. */
  readonly wasSuperseded: boolean;
}

export type Verdict =
  | { readonly kind: 'take'; readonly why: 'released' | 'own' | 'expired' | 'idle' }
  /** `silent`: by the times at the store its holder may be dead. */
  | { readonly kind: 'wait'; readonly why: 'held' | 'silent' | 'parked' | 'superseded' };

/** Whether the record was written for the same state directory on the same machine, or by this very process. */
export function isOwn({ owner, host, session }: LeaseRecord, me: Identity): boolean {
  return session === me.session || (owner === me.owner && host === me.host);
}

/**
 * Whether what the record's holder wrote may be continued as our own history: its holder cannot be alive any more.
 *
 * A restart in the same place is: the lock in the state directory proves that the former process is gone. A state
 * directory that is found on another machine may be a copy, with the original alive, unless its holder has said good-bye;
 * and it is one, of a database that went on otherwise, when its holder had to be waited for.
 */
export function continuesHistory(record: LeaseRecord, me: Identity, hasWaited: boolean): boolean {
  if (record.session === me.session) return true;
  if (hasWaited) return false;
  return isOwn(record, me) || (record.owner === me.owner && record.state === 'released');
}

/**
 * Whether a lease may be taken now. That of another process is only ever taken after it was watched for its whole duration and did
 * not change: the clock of this machine, that of the holder and that of the store may each be wrong, and a living holder
 * changes the value.
 */
export function judge(seen: Seen): Verdict {
  const { record, me } = seen;
  if (record.session === me.session) return { kind: 'take', why: 'own' };
  if (record.state === 'released') return { kind: 'take', why: 'released' };
  // Two living writers would take turns for ever otherwise, each time with a whole snapshot.
  if (seen.wasSuperseded) return { kind: 'wait', why: 'superseded' };
  if (isOwn(record, me)) return { kind: 'take', why: 'own' };
  const isUnchanged = seen.unchangedMs >= observationMs(record.durationMs);
  if (record.state === 'parked') {
    // One that was seen alive is idle, and still has the newer copy.
    return isUnchanged && !seen.sawAlive ? { kind: 'take', why: 'idle' } : { kind: 'wait', why: 'parked' };
  }
  if (isUnchanged) return { kind: 'take', why: 'expired' };
  return { kind: 'wait', why: seen.sawAlive || looksRenewed(seen) ? 'held' : 'silent' };
}

/** Whether the value got there within its duration, if the store's clock and ours agree. */
function looksRenewed({ nowMs, storedAtMs, record }: Seen): boolean {
  const ageMs = nowMs - storedAtMs;
  return ageMs >= -CLOCK_SKEW_MS_MAX && ageMs <= record.durationMs;
}

export type Upkeep = 'renew' | 'park' | 'nothing';

/** What the holder does each third of the duration. */
export function upkeep(facts: {
  readonly sinceRenewalMs: number;
  readonly durationMs: number;
  /** Something was written since the last renewal, or is being written. */
  readonly isActive: boolean;
  readonly renewAlways: boolean;
}): Upkeep {
  if (facts.isActive || facts.renewAlways) return 'renew';
  return facts.sinceRenewalMs >= (facts.durationMs * 3) / 5 ? 'park' : 'nothing';
}

/** The longest time between two looks of a standby. */
export function slowPollMs(durationMs: number): number {
  return Math.ceil(durationMs / 3);
}

/** How long a standby waits before it looks again: often at first, when a hand-over is likely. */
export function pollMs(durationMs: number, waitedMs: number): number {
  const slowMs = slowPollMs(durationMs);
  return waitedMs < 2 * durationMs ? Math.min(1_000, slowMs) : slowMs;
}
