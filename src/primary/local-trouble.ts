/**
 * The local state cannot be written, mostly because its disk is full. Nothing is lost by that: a state that is out of
 * date is compared with the log and not believed where it does not fit, and a log that could not be put aside is not
 * restarted. So the log is followed and shipped all the same, and somebody is told to make room.
 */
import type { Clock } from '../base/clock.ts';
import { systemCode } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';

export type LocalPart = 'state' | 'spool';

/** As the system names its errors: ENOSPC, EDQUOT, EROFS, EIO. */
const SYSTEM_CODE = /^E[A-Z0-9]+$/;
/** A disk with a little room takes some writes and refuses others. */
const TELL_AGAIN_MS = 60_000;

export interface TroubleParts {
  readonly logger: Logger;
  readonly clock: Clock;
  /** The directory of the local state, for the message. */
  readonly directory: string;
}

export class LocalTrouble {
  readonly #parts: TroubleParts;
  readonly #failing = new Set<LocalPart>();
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(parts: TroubleParts) {
    this.#parts = parts;
  }

  /**
   * @param write - answers false when there was nothing to write, which proves nothing
   * @returns whether it worked
   * @throws what is no refusal of the system
   */
  attempt(part: LocalPart, write: () => boolean | void): boolean {
    try {
      if (write() !== false) this.#worked(part);
      return true;
    } catch (error) {
      if (!SYSTEM_CODE.test(systemCode(error) ?? '')) throw error;
      this.#failed(part, error);
      return false;
    }
  }

  #worked(part: LocalPart): void {
    if (this.#failing.delete(part) && this.#failing.size === 0)
      this.#parts.logger.info('the local state can be written again');
  }

  #failed(part: LocalPart, error: unknown): void {
    const { clock, logger, directory } = this.#parts;
    const nowMs = clock.monotonicMs();
    const isNew = this.#failing.size === 0 && nowMs - this.#toldMs >= TELL_AGAIN_MS;
    this.#failing.add(part);
    if (!isNew) return;
    this.#toldMs = nowMs;
    logger.error('the local state cannot be written; changes are stored all the same', {
      error,
      hint:
        `Make room in ${directory}, or let this user write there. Until then the write-ahead log may grow, ` +
        'and after a restart a new snapshot may be needed.',
    });
  }
}
