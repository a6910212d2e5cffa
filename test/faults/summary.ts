/** Counts over all trials; what was exercised, and how often a new generation had to begin. */
import type { TrialPlan } from './plan.ts';
import type { TrialResult } from './trial.ts';

export class Summary {
  readonly #counts = new Map<string, Map<string, number>>();

  add(plan: TrialPlan, result: TrialResult): void {
    this.#count('trials', `ending ${plan.ending}`);
    for (const { act } of plan.applicationEvents) this.#count('application', act);
    for (const { act } of plan.rivuletEvents) this.#count('rivulet', act);
    this.#count('restores', 'judged', result.restores - result.unavailableMoments);
    this.#count('restores', 'honestly unavailable', result.unavailableMoments);
    this.#addReports(result);
    this.#addLog(result);
  }

  #addReports({ reports }: TrialResult): void {
    for (const report of reports) {
      if (report.kind === 'deed') this.#count('deeds', `${report.deed}${report.busy ? ' (busy)' : ''}`);
      if (report.kind === 'checkpoint') {
        this.#count('own checkpoints', `${report.mode}${report.busy ? ' (busy)' : ''}`);
      }
    }
  }

  #addLog({ log }: TrialResult): void {
    for (const { msg, level, reason } of log) {
      if (msg === 'starting a new generation') this.#count('new generations', String(reason));
      else if (msg === 'continuing the generation') this.#count('new generations', '(continued)');
      else if (msg === 'snapshot written') this.#count('objects', 'snapshots');
      else if (msg === 'segment written') this.#count('objects', 'segments');
      else if (level === 'warn' || level === 'text') this.#count('warnings', msg);
    }
  }

  #count(group: string, name: string, by = 1): void {
    const counts = this.#counts.get(group) ?? new Map<string, number>();
    counts.set(name, (counts.get(name) ?? 0) + by);
    this.#counts.set(group, counts);
  }

  toString(): string {
    return [...this.#counts]
      .flatMap(([group, counts]) => [
        group,
        ...[...counts]
          .sort(([a], [b]) => a.localeCompare(b))
          .map(([name, n]) => `  ${String(n).padStart(7)}  ${name}`),
      ])
      .join('\n');
  }
}
