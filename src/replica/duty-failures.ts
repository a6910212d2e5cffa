/** What has gone wrong with each duty, and until when it waits: one that fails holds up none of the others. */
import { FailureLog, type FailureParts, type FailureSettings } from './failure-log.ts';
import type { NotedError } from './replica-status.ts';
import type { DutyKind } from './schedule.ts';

const HOUR_MS = 3_600_000;

function settingsOf(kind: DutyKind): FailureSettings {
  return {
    what: kind,
    retryFirstMs: 1_000,
    retryMaxMs: 5 * 60_000,
    remindMs: HOUR_MS,
    // Outages of a destination are over by then.
    actAfterMs: 6 * HOUR_MS,
  };
}

export class DutyFailures {
  readonly #parts: FailureParts;
  readonly #logs = new Map<DutyKind, FailureLog>();
  /** By the monotonic clock: no wait becomes longer when a clock is set. */
  readonly #untilMs = new Map<DutyKind, number>();

  constructor(parts: FailureParts) {
    this.#parts = parts;
  }

  /** Until when each of those that failed is not tried, in milliseconds since 1970. */
  get waits(): ReadonlyMap<DutyKind, number> {
    const { clock } = this.#parts;
    const aheadMs = clock.now() - clock.monotonicMs();
    return new Map([...this.#untilMs].map(([kind, untilMs]) => [kind, untilMs + aheadMs]));
  }

  /** What was thrown by the duties that have failed and not succeeded since. */
  get errors(): readonly unknown[] {
    return [...this.#logs.values()].map(({ error }) => error).filter((error) => error !== undefined);
  }

  /** What went wrong with each of them last. */
  get last(): readonly NotedError[] {
    return [...this.#logs].flatMap(([duty, { last }]) => (last === undefined ? [] : [{ ...last, duty }]));
  }

  /** @param isTold - whether anybody needs to hear of it */
  failed(kind: DutyKind, error: unknown, isTold: boolean): void {
    const log = this.#logs.get(kind) ?? new FailureLog(settingsOf(kind), this.#parts);
    this.#logs.set(kind, log);
    const waitMs = isTold ? log.failed(error) : log.postponed();
    this.#untilMs.set(kind, this.#parts.clock.monotonicMs() + waitMs);
  }

  succeeded(kind: DutyKind): void {
    this.#logs.get(kind)?.recovered();
    this.#untilMs.delete(kind);
  }
}
