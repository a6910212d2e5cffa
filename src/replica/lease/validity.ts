/** Until when a lease that was renewed is surely ours. Pure. */

/** Of the duration, so much is left unused, for clocks that do not run at the same speed. */
const MARGIN_SHARE = 6;
/** Stores tell times in whole seconds, and with the clocks of several machines. */
const STORE_TIME_TOLERANCE_MS = 2_000;

/** Taken right before the request that renewed the lease was sent. */
export interface Moment {
  /** Stands still while the machine sleeps. */
  readonly monotonicMs: number;
  /** Can be set. */
  readonly wallMs: number;
}

export interface Renewal {
  readonly sent: Moment;
  /** When the value got there, by the store's clock. */
  readonly storedAtMs: number;
  readonly durationMs: number;
}

export function marginOf(durationMs: number): number {
  return Math.ceil(durationMs / MARGIN_SHARE);
}

/**
 * Whether nobody else can hold the lease yet. A suspended machine stops one of its clocks, and whoever sets the
 * other one back or forward must not make a lease longer: both must say so.
 */
export function isValid({ sent, durationMs }: Renewal, now: Moment): boolean {
  const usableMs = durationMs - marginOf(durationMs);
  const elapsedMs = now.monotonicMs - sent.monotonicMs;
  const wallMs = now.wallMs - sent.wallMs;
  return elapsedMs < usableMs && wallMs < usableMs && wallMs > -usableMs;
}

/** Whether an object that the store has dated so was stored in time: a paused machine may stop both of our clocks. */
export function isInTime({ storedAtMs, durationMs }: Renewal, objectStoredAtMs: number): boolean {
  return objectStoredAtMs < storedAtMs + durationMs + STORE_TIME_TOLERANCE_MS;
}

/** How long another's lease must be seen unchanged before it may be taken. */
export function observationMs(durationMs: number): number {
  return durationMs + marginOf(durationMs);
}
