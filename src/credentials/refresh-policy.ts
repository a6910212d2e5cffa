/** When keys are refreshed: decided purely from times. */
import type { AwsKeys } from '../storage/aws-keys.ts';

/** Keys with the time they came, by the wall clock. */
export interface HeldKeys {
  readonly keys: AwsKeys;
  readonly fetchedAtMs: number;
}

/** AWS renews what it hands out itself 5 minutes before the end, so nothing newer can be expected much earlier. */
const AHEAD_MS = 5 * 60_000;
const AHEAD_SHARE = 0.2;
/** Keys that live for seconds are used for half of their life before anybody asks for others. */
const AHEAD_SHARE_MAX = 0.5;
/** A request takes a moment: keys this near their end are not worth signing with while others can be had. */
const LAST_MOMENT_MS = 1_000;
const LAST_MOMENT_SHARE = 0.1;

/** `fresh`: use them. `due`: use them, and ask for others meanwhile. `ending`: ask first; they still hold for now. */
export type KeyAge = 'fresh' | 'due' | 'ending' | 'expired';

export function ageOf(held: HeldKeys, nowMs: number): KeyAge {
  const { expiresAtMs } = held.keys;
  if (expiresAtMs === undefined) return 'fresh';
  const leftMs = expiresAtMs - nowMs;
  if (leftMs <= 0) return 'expired';
  const lifeMs = Math.max(0, expiresAtMs - held.fetchedAtMs);
  if (leftMs <= Math.min(LAST_MOMENT_MS, lifeMs * LAST_MOMENT_SHARE)) return 'ending';
  return leftMs <= aheadMs(lifeMs) ? 'due' : 'fresh';
}

/** How long before their end keys that lived `lifeMs` when they came are refreshed. */
export function aheadMs(lifeMs: number): number {
  return Math.min(Math.max(AHEAD_MS, lifeMs * AHEAD_SHARE), lifeMs * AHEAD_SHARE_MAX);
}

/** Without keys, a source that came back is to be noticed soon. */
const WITHOUT_KEYS_MS_MAX = 2_000;
const WITH_KEYS_MS_MAX = 60_000;
const WITH_KEYS_MS_MIN = 500;

/** The longest wait between two attempts: a quarter of the time that is left, so that there are several before the end. */
export function attemptSpacingMaxMs(held: HeldKeys | undefined, nowMs: number): number {
  if (held === undefined) return WITHOUT_KEYS_MS_MAX;
  const { expiresAtMs } = held.keys;
  if (expiresAtMs === undefined) return WITH_KEYS_MS_MAX;
  const leftMs = expiresAtMs - nowMs;
  if (leftMs <= 0) return WITHOUT_KEYS_MS_MAX;
  return Math.min(WITH_KEYS_MS_MAX, Math.max(WITH_KEYS_MS_MIN, leftMs / 4));
}
