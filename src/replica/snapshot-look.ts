/**
 * Whether the snapshot that a session stands on is still there. A destination that somebody has emptied would collect segments
 * of which nothing can be restored. What cannot be found out stops no upload: the next upload shows whether the place works.
 */
import { abortAfter } from '../base/abort-after.ts';
import { type Backoff, exponentialBackoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { isRivuletError, RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { parseSnapshotName, snapshotKey, snapshotPrefix } from '../generations/names.ts';
import { isThere } from '../storage/is-there.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { FailureLog, type FailureSettings } from './failure-log.ts';
import type { Session } from './session.ts';

/** When a new log begins, and this long after the last look. */
const LOOK_MS = 5_000;
/** Segments wait for a look for so long at most. */
const LOOK_MS_MAX = 5_000;
/** After looks that told nothing: a service may refuse them for the rest of a day. */
const PAUSE_FIRST_MS = 10_000;
const PAUSE_MS_MAX = 15 * 60_000;

const LOOKING: FailureSettings = {
  what: 'looking whether the snapshot is still at the destination',
  retryFirstMs: PAUSE_FIRST_MS,
  retryMaxMs: PAUSE_MS_MAX,
  remindMs: 24 * 3_600_000,
  actAfterMs: 24 * 3_600_000,
};

export interface SnapshotLookParts {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class SnapshotLook {
  readonly #parts: SnapshotLookParts;
  readonly #log: FailureLog;
  readonly #pauses: Backoff = exponentialBackoff(PAUSE_FIRST_MS, PAUSE_MS_MAX);
  /** By the monotonic clock. */
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  /** Of a look after which nothing was uploaded yet. */
  #untold: unknown;

  constructor(parts: SnapshotLookParts) {
    this.#parts = parts;
    const observer = { onFailure: () => undefined, onRecovery: () => undefined };
    this.#log = new FailureLog(LOOKING, { ...parts, observer });
  }

  /** @throws RivuletError `CHAIN_BROKEN` when no snapshot of the generation is left; the signal's reason */
  async look(session: Session, signal: AbortSignal | undefined): Promise<void> {
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs - session.snapshotSeenMs < LOOK_MS || nowMs < this.#notBeforeMs) return;
    try {
      if (!(await this.#within(session, signal))) throw snapshotsRemoved();
      session.snapshotSeenMs = nowMs;
      this.#pauses.reset();
      this.#untold = undefined;
      this.#log.recovered();
    } catch (error) {
      signal?.throwIfAborted();
      if (!isRivuletError(error) || error.code === 'CHAIN_BROKEN') throw error;
      this.#notBeforeMs = nowMs + this.#pauses.next();
      this.#untold = error;
    }
  }

  /** Something was uploaded: so it is the look alone that fails, and nobody else tells of it. */
  uploaded(): void {
    if (this.#untold === undefined) return;
    this.#log.failed(this.#untold);
    this.#untold = undefined;
  }

  async #within(session: Session, signal: AbortSignal | undefined): Promise<boolean> {
    const tooLate = new RivuletError('CANCELLED', 'the destination did not say in time');
    return abortAfter(
      this.#parts.clock,
      LOOK_MS_MAX,
      async (late) =>
        hasSnapshot(
          this.#parts.store,
          session,
          signal === undefined ? late : AbortSignal.any([signal, late]),
        ),
      tooLate,
    );
  }
}

export function snapshotsRemoved(): RivuletError {
  return new RivuletError('CHAIN_BROKEN', 'its snapshots have been removed');
}

/**
 * Whether the snapshot that a session stands on is there: by its name first, since a listing may be refused, capped or behind. Any other one of the
 * generation serves as well.
 */
export async function hasSnapshot(
  store: Pick<ObjectStore, 'read' | 'list'>,
  { generation, snapshotIndex }: Session,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (await isThere(store, snapshotKey(generation, snapshotIndex), { signal })) return true;
  const prefix = snapshotPrefix(generation);
  for await (const { key } of store.list(prefix, { signal }))
    if (parseSnapshotName(key.slice(prefix.length)) !== undefined) return true;
  return false;
}
