/** Watching the lease of somebody else: what was seen of it, what follows, when to look again, what the operator is told. */
import type { Reading } from '../../storage/register.ts';
import type { LeaseRecord } from '../../generations/lease-record.ts';
import { judge, pollMs, slowPollMs, type Verdict } from './decide.ts';
import { holderOf } from './lease-errors.ts';
import type { LeaseParts } from './lease-parts.ts';
import { observationMs } from './validity.ts';

export type WhyWait = Extract<Verdict, { kind: 'wait' }>['why'];
type WhyTake = Extract<Verdict, { kind: 'take' }>['why'];

/** What a process sent before it was killed may still arrive: such a change is no sign of life. */
const LAST_WORDS_MS = 5_000;

/** A value of another process that is being watched. Times are by the monotonic clock. */
interface Watch {
  readonly sinceMs: number;
  readonly version: string;
  readonly lookedAtMs: number;
  /** How long this very value was watched. */
  readonly unchangedMs: number;
  readonly sawAlive: boolean;
}

export class Standby {
  readonly #parts: Pick<LeaseParts, 'clock' | 'logger' | 'location' | 'me'>;
  readonly #wasSuperseded: boolean;
  #watch: Watch | undefined;
  /** What was said about it last. */
  #told: string | undefined;
  #holder: LeaseRecord | undefined;

  /** @param wasSuperseded - whether this process has held the lease before, and it was taken away */
  constructor(parts: Pick<LeaseParts, 'clock' | 'logger' | 'location' | 'me'>, wasSuperseded: boolean) {
    this.#parts = parts;
    this.#wasSuperseded = wasSuperseded;
  }

  /** Who is waited for; undefined before the first wait. */
  get holder(): LeaseRecord | undefined {
    return this.#holder;
  }

  /** Whether the value has changed a while after it was seen first: there is somebody alive. */
  get sawAlive(): boolean {
    return this.#watch?.sawAlive === true;
  }

  /** Whether what was read may be taken over now, with what was seen before. */
  judge(reading: Reading, record: LeaseRecord): Verdict {
    const { clock, me } = this.#parts;
    const { unchangedMs, sawAlive } = this.#see(reading, record);
    return judge({
      me,
      record,
      storedAtMs: reading.storedAtMs,
      nowMs: clock.now(),
      unchangedMs,
      sawAlive,
      wasSuperseded: this.#wasSuperseded,
    });
  }

  #see({ version }: Reading, record: LeaseRecord): Watch {
    const before = this.#watch;
    const nowMs = this.#parts.clock.monotonicMs();
    const sinceMs = before?.sinceMs ?? nowMs;
    const isSame = before?.version === version;
    const watch = {
      sinceMs,
      version,
      lookedAtMs: nowMs,
      unchangedMs: isSame ? before.unchangedMs + watchedMs(nowMs - before.lookedAtMs, record) : 0,
      sawAlive: before?.sawAlive === true || (!isSame && nowMs - sinceMs >= LAST_WORDS_MS),
    };
    this.#watch = watch;
    return watch;
  }

  /** Sleeps until the next look, after `judge` said so. Throws what `signal` says. */
  async wait(why: WhyWait, record: LeaseRecord, signal: AbortSignal | undefined): Promise<void> {
    const { clock } = this.#parts;
    this.#holder = record;
    const what = `${why} ${record.session}`;
    if (this.#told !== what) this.#tellWaiting(why, record);
    this.#told = what;
    const watch = this.#watch as Watch;
    const waitMs = pollMs(record.durationMs, clock.monotonicMs() - watch.sinceMs);
    const leftMs = observationMs(record.durationMs) - watch.unchangedMs;
    await clock.sleep(leftMs > 0 ? Math.min(waitMs, leftMs) : waitMs, signal);
  }

  #tellWaiting(why: WhyWait, record: LeaseRecord): void {
    const { logger, location } = this.#parts;
    const fields = { destination: location, ...holderOf(record) };
    if (why === 'held') {
      logger.info('another process writes to this replica; waiting as a standby', fields);
    } else if (why === 'silent') {
      logger.info('the lease of another process looks expired; watching as a standby whether it is alive', {
        ...fields,
        forMs: observationMs(record.durationMs),
      });
    } else if (why === 'superseded') {
      logger.info('this process writes again when the other one has let go of the replica', fields);
    } else if (this.sawAlive) {
      logger.info('the other writer is idle; waiting until it lets go of the replica', {
        ...fields,
        help: 'If it does not run any more, restart this process to take over.',
      });
    } else {
      logger.info('an idle process holds this replica; looking whether it is alive', {
        ...fields,
        forMs: observationMs(record.durationMs),
      });
    }
  }

  /** Warns when what is taken over was not let go of. */
  tellTaking(why: WhyTake, record: LeaseRecord): void {
    const { logger, location } = this.#parts;
    const fields = { destination: location, ...holderOf(record) };
    if (why === 'expired') logger.warn('the lease of another process has expired; taking over', fields);
    if (why === 'idle') {
      logger.warn('an idle process gave no sign of life; taking over from it', {
        ...fields,
        idleSince: new Date(record.renewedAtMs).toISOString(),
        help: 'If it runs, stop it: what it writes from now on is not stored.',
      });
    }
  }
}

/**
 * What the time between two looks counts for. A monotonic clock that jumps, as after a migration of the machine, is one such
 * gap: what is left of the observation is still as long as a holder trusts its lease.
 */
function watchedMs(elapsedMs: number, { durationMs }: LeaseRecord): number {
  return Math.min(elapsedMs, slowPollMs(durationMs));
}
