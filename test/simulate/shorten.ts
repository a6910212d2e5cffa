/** From a plan that ends in a violation to a shorter one that ends in the same. */
import type { PlannedEvent, RunPlan } from './plan.ts';

/** Numbers and names differ from plan to plan; what is wrong does not. */
export function kindOf(violation: string): string {
  return (
    violation
      .split('\n', 1)[0]
      ?.replaceAll(/[0-9a-f]{16}|\d+/g, '#')
      .slice(0, 60) ?? ''
  );
}

/**
 * @param violates - runs a plan and answers its violation
 * @param deadlineMs - by `performance.now()`; what was found until then is the answer
 */
export async function shorten(
  plan: RunPlan,
  violation: string,
  violates: (plan: RunPlan) => Promise<string | undefined>,
  deadlineMs: number,
): Promise<RunPlan> {
  let best = plan;
  const tryOne = async (candidate: RunPlan): Promise<boolean> => {
    if (performance.now() > deadlineMs) return false;
    const found = await violates(candidate);
    if (found === undefined || kindOf(found) !== kindOf(violation)) return false;
    best = candidate;
    return true;
  };
  for (let before: RunPlan | undefined; before !== best;) {
    before = best;
    await withoutEvents(() => best, tryOne);
    for (const simpler of simplerWorlds(best)) await tryOne(simpler);
  }
  return best;
}

/** Half of the events at a time, then a quarter, then single ones. */
async function withoutEvents(
  best: () => RunPlan,
  tryOne: (plan: RunPlan) => Promise<boolean>,
): Promise<void> {
  for (let size = Math.ceil(best().events.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < best().events.length;) {
      const plan = best();
      const events = plan.events.filter((_, i) => i < at || i >= at + size);
      if (!(await tryOne({ ...plan, events }))) at += size;
    }
  }
}

function* simplerWorlds(plan: RunPlan): Generator<RunPlan> {
  const { settings, durationMs } = plan;
  const last = Math.max(0, ...plan.events.map(({ atMs }: PlannedEvent) => atMs));
  const shorterMs = Math.max(last, Math.floor(durationMs / 2));
  if (shorterMs < durationMs) yield { ...plan, durationMs: shorterMs };
  if (settings.host.interleaving > 0)
    yield { ...plan, settings: { ...settings, host: { ...settings.host, interleaving: 0 } } };
  if (settings.destinations.length > 1)
    yield { ...plan, settings: { ...settings, destinations: settings.destinations.slice(0, 1) } };
  if (settings.second !== undefined) yield { ...plan, settings: { ...settings, second: undefined } };
}

/** What a person wants to see of a plan. */
export function describePlan({ settings, events, durationMs }: RunPlan): string[] {
  return [
    `world: ${JSON.stringify(settings)}`,
    ...events.map(
      ({ atMs, kind, amount, choices }) =>
        `${String(atMs).padStart(9)} ms  ${kind} (${amount} ms; ${choices.map((one) => one.toFixed(2)).join(' ')})`,
    ),
    `${String(durationMs).padStart(9)} ms  all is well again`,
  ];
}
