/** Whether a store does with conditions what it says. Without that, a swap proves nothing. */
import type { Clock } from '../../base/clock.ts';
import type { Reading, Register } from '../../storage/register.ts';
import { saysUnknownCondition } from './lease-errors.ts';
import type { OwnRecord } from './own-record.ts';
import type { OwnerMemory } from './owner-memory.ts';

/** What was found out about a store is believed so long; its server may be replaced by another one. */
const TRIED_FOR_MS = 7 * 24 * 3_600_000;

export interface Tried {
  readonly register: Register;
  /** The destination, without secrets. */
  readonly location: string;
  readonly clock: Clock;
  readonly memory: OwnerMemory;
}

/**
 * Whether the store really refuses what it must; asked for once in a while, right after the lease was taken.
 *
 * @param own - what was written a moment ago
 * @param before - the value before it; where there was none, `own` is written once more
 * @throws RivuletError `STORAGE_EXISTS` when somebody else has taken the lease since; what the store throws
 */
export async function isTrustworthy(
  { register, location, clock, memory }: Tried,
  own: OwnRecord,
  before: Reading | undefined,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { tried } = memory.note;
  const ageMs = tried === undefined ? Number.POSITIVE_INFINITY : Math.abs(clock.now() - tried.atMs);
  if (tried?.location === location && ageMs < TRIED_FOR_MS) return true;
  const gone = before ?? (await replacedOnce(own, signal));
  if (gone === undefined) return false;
  if (!(await register.honoursConditions(own.reading, gone, { signal }))) return false;
  memory.rememberTried({ location, atMs: clock.now() });
  return true;
}

/** @returns the value that is gone now; undefined when the store cannot replace under a condition */
async function replacedOnce(own: OwnRecord, signal: AbortSignal | undefined): Promise<Reading | undefined> {
  const gone = own.reading;
  try {
    await own.replace('held', undefined, signal);
  } catch (error) {
    if (saysUnknownCondition(error)) return undefined;
    throw error;
  }
  return gone;
}
