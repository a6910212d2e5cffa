/** What a seed stands for: a world, and what befalls it when. Pure. */
import { Random } from '../faults/random.ts';
import type { Habits } from './world/application.ts';
import type { HostSettings } from './world/host.ts';
import type { DestinationSettings, Profile, WorldSettings } from './world/world.ts';

export type EventKind =
  | 'kill'
  | 'kill-in-call'
  | 'stop'
  | 'freeze'
  | 'pause'
  | 'kill-application'
  | 'kill-in-commit'
  | 'power-cut'
  | 'power-cut-in-call'
  | 'away'
  | 'bad-manners'
  | 'stale-listings'
  | 'disk-full'
  | 'disk-full-in-call'
  | 'io-errors'
  | 'read-errors'
  | 'damage-state'
  | 'replace-database'
  | 'clone'
  | 'clock-jump'
  | 'store-clock'
  | 'tamper'
  | 'copy'
  | 'check'
  | 'check-moment'
  | 'check-generations';

export interface PlannedEvent {
  readonly atMs: number;
  readonly kind: EventKind;
  /** How long it lasts, in milliseconds. */
  readonly amount: number;
  /** Further choices, each from 0 to 1; their meaning depends on the kind. */
  readonly choices: readonly number[];
}

export interface RunPlan {
  readonly settings: WorldSettings;
  readonly durationMs: number;
  readonly events: readonly PlannedEvent[];
}

const WEIGHTS: Readonly<Record<EventKind, number>> = {
  kill: 3,
  'kill-in-call': 6,
  stop: 3,
  freeze: 1,
  pause: 1,
  'kill-application': 3,
  'kill-in-commit': 3,
  'power-cut': 1,
  'power-cut-in-call': 2,
  away: 2,
  'bad-manners': 4,
  'stale-listings': 1,
  'disk-full': 1,
  'disk-full-in-call': 1,
  'io-errors': 1,
  'read-errors': 0,
  'damage-state': 1,
  'replace-database': 0.5,
  clone: 0,
  'clock-jump': 0.5,
  'store-clock': 0.5,
  tamper: 0,
  copy: 0,
  check: 4,
  'check-moment': 2,
  'check-generations': 1,
};

export function planRun(seed: number): RunPlan {
  const random = new Random(seed);
  const settings = withCopies(seed, withManners(seed, withProofs(seed, planWorld(seed, random))));
  const { second, profile } = settings;
  const durationMs = random.int(1_000, second === undefined ? 12_000 : 60_000);
  const weights = {
    ...WEIGHTS,
    ...(second === undefined ? {} : { freeze: 8, pause: 4, stop: 4, kill: 4 }),
    ...(second?.kind === 'copy' ? { clone: 4 } : {}),
    ...(profile === 'tampered' ? { tamper: 10 } : {}),
  };
  const planned = Array.from({ length: random.int(1, 10) }, (): PlannedEvent => ({
    atMs: random.int(0, durationMs),
    kind: random.weighted(weights),
    amount: random.int(1, second === undefined ? 3_000 : 20_000),
    choices: Array.from({ length: 6 }, () => random.next()),
  }));
  const events = [...planned, ...planReadErrors(seed, durationMs), ...planCopies(seed, durationMs)];
  return { settings, durationMs, events: events.sort((a, b) => a.atMs - b.atMs) };
}

/** Somebody wants a copy of the database, as a destination or a proof does. Drawn apart too. */
function planCopies(seed: number, durationMs: number): PlannedEvent[] {
  const random = new Random(seed * 41 + 3);
  return Array.from({ length: random.pick([0, 1, 2, 4, 8]) }, (): PlannedEvent => ({
    atMs: random.int(0, durationMs),
    kind: 'copy',
    amount: 1,
    choices: Array.from({ length: 6 }, () => random.next()),
  }));
}

/** How copies are made, and how long others run between two pieces of whatever takes long. Drawn apart too. */
function withCopies(seed: number, settings: WorldSettings): WorldSettings {
  const random = new Random(seed * 43 + 17);
  const { host } = settings;
  const { habits } = host;
  const copySizes = {
    inMemoryBytes: random.pick([0, 0, 2_000, 1_000_000]),
    pieceBytes: random.pick([512, 512, 1_024, 2_048, 1_000_000]),
  };
  const pauseMsMax = random.pick([0, 0, 50, 300, 1_000]);
  const primary = { ...host.primary, copySizes };
  if (settings.second !== undefined || !random.chance(0.15))
    return { ...settings, host: { ...host, primary, pauseMsMax } };
  // A busy application and short logs: a copy outlives many of them.
  const checkpoint = { ...primary.checkpoint, minPages: 4, maxPages: 40 };
  const busy = { ...habits, pauseMs: 50, weights: { ...habits.weights, large: 6, shrink: 3 } };
  const slow = { ...primary, checkpoint, copySizes: { inMemoryBytes: 0, pieceBytes: 512 } };
  return { ...settings, host: { ...host, habits: busy, primary: slow, pauseMsMax: 300, pollMs: 100 } };
}

/** In some of the worlds reads fail now and then. Drawn apart, so that all else stays as it was. */
function planReadErrors(seed: number, durationMs: number): PlannedEvent[] {
  const random = new Random(seed * 37 + 11);
  if (!random.chance(0.3)) return [];
  return Array.from({ length: random.int(1, 4) }, (): PlannedEvent[] => {
    const choices = Array.from({ length: 6 }, () => random.next());
    const atMs = random.int(0, durationMs);
    const failing: PlannedEvent = { atMs, kind: 'read-errors', amount: random.int(1, 3_000), choices };
    // A start reads most, and concludes most from it.
    const amount = random.int(1, failing.amount);
    return random.chance(0.5) ? [failing] : [{ atMs, kind: 'kill', amount, choices }, failing];
  }).flat();
}

/** In some of the worlds what is stored is proven while it goes on. Drawn apart, so that all else stays as it was. */
function withProofs(seed: number, settings: WorldSettings): WorldSettings {
  const random = new Random(seed * 31 + 7);
  if (settings.profile === 'late' || !random.chance(0.25)) return settings;
  const destinations = settings.destinations.map((one): DestinationSettings => {
    const quickIntervalMs = random.pick([300, 1_000, 4_000]);
    const verify = { quickIntervalMs, intervalMs: 0, maxSizeBytes: random.pick([0, 2_000]) };
    return { ...one, replica: { ...one.replica, verify } };
  });
  return { ...settings, destinations };
}

/** How the application treats SQLite, and how late Rivulet wakes up. Drawn apart, too. */
function withManners(seed: number, settings: WorldSettings): WorldSettings {
  const random = new Random(seed * 37 + 11);
  const { host } = settings;
  const { habits } = host;
  const isBursting = random.chance(0.3);
  const stalls = random.chance(0.3)
    ? { everyMs: random.pick([200, 1_000]), maxMs: random.pick([50, 300, 1_500]) }
    : undefined;
  const own: Habits = {
    ...habits,
    isPadded: random.chance(0.15),
    // A young index, one that is trusted, and one whose count is about to begin again at 0.
    commitsBefore: random.pick([0, 10_000, 10_000, 2 ** 32 - 20]),
    busyTimeoutMs: random.pick([0, 0, 250, 3_000]),
    autoCheckpointFrames: random.chance(0.15) ? 1 : habits.autoCheckpointFrames,
    weights: {
      ...habits.weights,
      burst: isBursting ? random.int(1, 12) : 0,
      guest: random.pick([0, 0, 1, 5]),
      thousands: random.pick([0, 0, 1]),
      vacuum: random.pick([0, 0, 1]),
      'read-then-write': random.pick([0, 2, 20]),
    },
  };
  const watches = random.chance(0.6);
  return {
    ...settings,
    host: { ...host, habits: own, watches, ...(stalls === undefined ? {} : { stalls }) },
  };
}

function planWorld(seed: number, random: Random): WorldSettings {
  const profile = random.weighted<Profile>({ whole: 85, tampered: 10, late: 5 });
  const hasSecond = profile === 'whole' && random.chance(0.25);
  const host = planHost(random, hasSecond);
  const destinations = Array.from({ length: random.chance(0.25) ? 2 : 1 }, () =>
    planDestination(random, profile, hasSecond),
  );
  const skewMs = random.pick([0, 0, 1_500, -4_000, 40_000, -400_000]);
  const second = hasSecond ? { kind: random.pick(['own', 'copy'] as const), skewMs } : undefined;
  return { seed, profile, host, second, destinations };
}

function planHost(random: Random, hasSecond: boolean): HostSettings {
  const habits: Habits = {
    pauseMs: random.pick(hasSecond ? [300, 1_000, 3_000] : [50, 150, 600, 3_000]),
    pagesMax: random.int(4, 20),
    synchronousFull: random.chance(0.5),
    autoCheckpointFrames: random.pick([0, 0, 5, 20, 60]),
    isPadded: false,
    commitsBefore: 0,
    busyTimeoutMs: 0,
    weights: {
      commit: 20,
      vacuum: 0,
      'read-then-write': 0,
      burst: 0,
      guest: 0,
      thousands: 0,
      large: random.int(0, 6),
      rollback: random.int(0, 3),
      checkpoint: random.int(0, 3),
      read: random.int(0, 2),
      reopen: random.int(0, 1),
      shrink: random.int(0, 2),
      rest: 1,
    },
  };
  const minPages = random.pick([4, 10, 30, 1_000]);
  return {
    habits,
    pages: random.int(2, 8),
    primary: {
      checkpoint: {
        minPages,
        maxPages: minPages * 10,
        intervalMs: random.pick([0, 1_000, 60_000]),
        walLimitBytes: random.pick([20_000, 200_000, 10_000_000]),
        ...(random.chance(0.5) ? { smallRestBytes: random.pick([0, 2_000, 20_000]) } : {}),
      },
      spoolLimitBytes: random.pick([4_000, 40_000, 1024 * 1024]),
      busyTimeoutMs: 100,
    },
    pollMs: random.pick([100, 500, 1_000]),
    pauseMsMax: 0,
    interleaving: random.pick([0, 0.05, 0.3, 0.6]),
    skewMs: 0,
  };
}

function planDestination(random: Random, profile: Profile, hasSecond: boolean): DestinationSettings {
  const hasLease = hasSecond || (profile !== 'late' && random.chance(0.3));
  const conditions =
    profile === 'late'
      ? random.pick(['none', 'create-only'] as const)
      : hasLease
        ? random.pick(['compare-and-swap', 'create-only'] as const)
        : random.pick(['compare-and-swap', 'create-only', 'create-only', 'none'] as const);
  const latencyMs = random.pick([1, 20, 200]);
  // A slow destination that gets one frame at a time never catches up.
  const segmentBytesMax = random.pick(latencyMs > 20 ? [8_000, 20_000] : [600, 2_000, 8_000]);
  const isOverwriting = conditions === 'none' || (conditions === 'compare-and-swap' && !hasLease);
  return {
    conditions,
    manners: { latencyMs },
    lease:
      hasLease && conditions !== 'none'
        ? {
            mode: 'auto',
            durationMs: random.pick([5_000, 15_000]),
            whenHeld: 'wait',
            renew: random.pick(['active', 'active', 'always'] as const),
          }
        : undefined,
    replica: {
      syncIntervalMs: random.pick([10, 100, 1_000]),
      retentionMs: random.pick([0, 5_000, 20_000, 86_400_000]),
      retentionCheckIntervalMs: random.pick([500, 5_000]),
      snapshotIntervalMs: random.pick([0, 1_000, 5_000, 20_000]),
      validationIntervalMs: undefined,
      // A store that overwrites needs it: a request that was given up may arrive after its repetition.
      recordsUploads: isOverwriting || random.chance(0.3),
      ...(random.chance(0.3) ? { segmentBytesMax } : {}),
      isFast: random.chance(0.5),
    },
  };
}
