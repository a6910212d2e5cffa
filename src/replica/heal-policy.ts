/** What is done about damage, and when. Pure. */

const HOUR_MS = 3_600_000;
/** After the first fresh snapshot, which comes at once, the next one waits: whatever spoils them may go on. */
const AGAIN_FIRST_MS = HOUR_MS;
const AGAIN_MAX_MS = 24 * HOUR_MS;

export interface HealFacts {
  /** The log that the damage concerns; undefined: all. */
  readonly damagedIndex: number | undefined;
  /** The newest snapshot at the destination that can be used, as far as is known. */
  readonly snapshotIndex: number;
  /** Fresh snapshots that this damage took already, and when the last one was stored (milliseconds since 1970). */
  readonly heals: number;
  readonly healedAtMs: number | undefined;
  readonly nowMs: number;
}

/**
 * - `history`: only older moments are lost. The newest snapshot stands behind the damage, so another one would bring
 *   nothing back.
 * - `snapshot`: the newest state cannot be restored, or only just; a fresh snapshot is stored now.
 * - `wait`: that was tried a short while ago.
 */
export type HealDecision = 'history' | 'snapshot' | 'wait';

export function decideHeal(facts: HealFacts): HealDecision {
  const { damagedIndex, snapshotIndex, heals, healedAtMs, nowMs } = facts;
  if (damagedIndex !== undefined && damagedIndex < snapshotIndex) return 'history';
  if (heals === 0 || healedAtMs === undefined) return 'snapshot';
  const waitMs = Math.min(AGAIN_MAX_MS, AGAIN_FIRST_MS * 2 ** (heals - 1));
  // A clock that was set back must not put it off for ever.
  return nowMs - healedAtMs >= waitMs || nowMs < healedAtMs ? 'snapshot' : 'wait';
}
