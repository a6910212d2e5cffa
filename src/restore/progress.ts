import type { Clock } from '../base/clock.ts';
import type { RestorePlan } from '../generations/plan-outcome.ts';
import type { RestorePhase, RestoreProgress } from './options.ts';

/** Fast enough for the eye, slow enough to cost nothing. */
const SPACING_MS = 50;

/** Counts what is done and tells it now and then. */
export class ProgressMeter {
  readonly #tell: ((progress: RestoreProgress) => void) | undefined;
  readonly #clock: Clock;
  #phase: RestorePhase = 'plan';
  #bytesTotal = 0;
  #objectsTotal = 0;
  #bytesDone = 0;
  #objectsDone = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(tell: ((progress: RestoreProgress) => void) | undefined, clock: Clock) {
    this.#tell = tell;
    this.#clock = clock;
  }

  get bytesDone(): number {
    return this.#bytesDone;
  }

  /** Starts over for a plan. */
  begin(plan: RestorePlan): void {
    this.#bytesTotal = plan.bytes;
    this.#objectsTotal = plan.objects;
    this.#bytesDone = 0;
    this.#objectsDone = 0;
  }

  enter(phase: RestorePhase): void {
    this.#phase = phase;
    this.#report();
  }

  add(bytes: number, objects: number): void {
    this.#bytesDone += bytes;
    this.#objectsDone += objects;
    if (this.#tell !== undefined && this.#clock.monotonicMs() - this.#toldAtMs >= SPACING_MS) this.#report();
  }

  #report(): void {
    if (this.#tell === undefined) return;
    this.#toldAtMs = this.#clock.monotonicMs();
    this.#tell({
      phase: this.#phase,
      bytesDone: this.#bytesDone,
      bytesTotal: this.#bytesTotal,
      objectsDone: this.#objectsDone,
      objectsTotal: this.#objectsTotal,
    });
  }
}
