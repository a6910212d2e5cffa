/** What happens in a soak: a pure function of its seed and length. Only the timing of processes differs between two runs. */
import { Random } from '../faults/random.ts';

/** Faults of the S3 server, of the file system with the directories, and of the one with the local state. */
export const NETWORK_WEATHERS = [
  'outage',
  'storm',
  'errors',
  'resets',
  'lost',
  'cut',
  'slow',
  'hang',
] as const;
export const DISK_WEATHERS = ['disk-full', 'disk-read-only', 'state-full', 'spool-full'] as const;
export type Weather = (typeof NETWORK_WEATHERS)[number] | (typeof DISK_WEATHERS)[number];

export type Act =
  /** SIGKILL of Rivulet, and a start after a while. */
  | { readonly kind: 'kill'; readonly downMs: number }
  /** SIGTERM, and a start after a while; must end cleanly. */
  | { readonly kind: 'end'; readonly downMs: number }
  /** SIGHUP with a changed or an unchanged configuration. */
  | { readonly kind: 'reload'; readonly syncIntervalMs: number }
  /** SIGKILL of one application, in the middle of whatever it does. */
  | { readonly kind: 'kill-application'; readonly which: number; readonly downMs: number }
  | { readonly kind: 'weather'; readonly weather: Weather; readonly forMs: number }
  /** Applications end, everything is stored, every destination is compared with the live database. */
  | { readonly kind: 'compare' };

export interface PlannedAct {
  readonly atMs: number;
  readonly act: Act;
}

export interface SoakPlan {
  readonly seed: number;
  readonly durationMs: number;
  /** In this stretch Rivulet is neither killed nor ended; all else goes on. */
  readonly stretch: { readonly fromMs: number; readonly toMs: number };
  readonly acts: readonly PlannedAct[];
}

export interface PlanOptions {
  readonly seed: number;
  readonly durationMs: number;
  readonly applications: number;
  readonly weathers: readonly Weather[];
}

/** More than a third, late enough that there is something old to carry, with room behind for the rest. */
const STRETCH_FROM = 0.5;
const STRETCH_TO = 0.9;
const FIRST_ACT_MS = 4_000;
const COMPARE_EVERY_MS = 90_000;
const SYNC_INTERVALS_MS = [200, 300, 300, 500];

const CALM_WEIGHTS = { kill: 0, end: 0, reload: 1, 'kill-application': 8, weather: 6 };
const WILD_WEIGHTS = { ...CALM_WEIGHTS, kill: 3, end: 2 };

export function planSoak({ seed, durationMs, applications, weathers }: PlanOptions): SoakPlan {
  const random = new Random(seed);
  const stretch = { fromMs: durationMs * STRETCH_FROM, toMs: durationMs * STRETCH_TO };
  const acts: PlannedAct[] = [];
  let comparedAtMs = 0;
  for (let atMs = FIRST_ACT_MS; atMs < durationMs; atMs += random.int(1_500, 6_000)) {
    const isCalm = atMs >= stretch.fromMs && atMs < stretch.toMs;
    const kind = random.weighted(isCalm ? CALM_WEIGHTS : WILD_WEIGHTS);
    const isComparison = atMs - comparedAtMs > COMPARE_EVERY_MS;
    if (isComparison) comparedAtMs = atMs;
    acts.push({
      atMs,
      act: isComparison ? { kind: 'compare' } : planAct(kind, random, applications, weathers),
    });
  }
  return { seed, durationMs, stretch, acts };
}

function planAct(
  kind: keyof typeof WILD_WEIGHTS,
  random: Random,
  applications: number,
  weathers: readonly Weather[],
): Act {
  switch (kind) {
    case 'kill':
    case 'end':
      return { kind, downMs: random.chance(0.5) ? 0 : random.int(0, 2_500) };
    case 'reload':
      return { kind, syncIntervalMs: random.pick(SYNC_INTERVALS_MS) };
    case 'kill-application':
      return { kind, which: random.int(0, applications - 1), downMs: random.int(0, 800) };
    case 'weather':
    default:
      return { kind: 'weather', weather: random.pick(weathers), forMs: random.int(1_000, 9_000) };
  }
}
