/** What happens in a trial: a pure function of its seed. Only the timing of processes differs between two runs. */
import type { ApplicationSettings } from './application-settings.ts';
import { Random } from './random.ts';

export type Act =
  /** SIGKILL, and a start after `ms`. */
  | 'kill'
  /** SIGTERM, and a start after `ms`; must end cleanly. */
  | 'end'
  /** SIGSTOP, and SIGCONT after `ms`. */
  | 'freeze';

export interface Event {
  readonly atMs: number;
  readonly act: Act;
  readonly ms: number;
}

export type Ending =
  /** The application ends, then Rivulet ends by itself: everything must be stored. */
  | 'clean'
  /** Rivulet is killed once it says that everything is stored: everything must be. */
  | 'killed-when-quiet'
  /** Rivulet is killed in the middle: what could be restored before can be restored after. */
  | 'killed-when-busy';

export interface ReplicationSettings {
  readonly replicas: readonly string[];
  readonly syncIntervalMs: number;
  readonly minCheckpointPages: number;
  readonly maxCheckpointPages: number;
  readonly checkpointIntervalMs: number;
  readonly snapshotIntervalMs: number;
  readonly retentionMs: number;
  readonly validationIntervalMs: number;
  readonly shutdownTimeoutMs?: number;
}

export interface TrialPlan {
  readonly seed: number;
  readonly durationMs: number;
  readonly application: Omit<ApplicationSettings, 'path'>;
  readonly hasReader: boolean;
  readonly replication: ReplicationSettings;
  /** Rivulet starts this much later than the application; negative: earlier. */
  readonly rivuletDelayMs: number;
  readonly applicationEvents: readonly Event[];
  readonly rivuletEvents: readonly Event[];
  /** Moments at which a copy is restored while everything runs. */
  readonly restoreAtMs: readonly number[];
  readonly ending: Ending;
  readonly withLitestream: boolean;
}

type Character = Pick<ApplicationSettings, 'weights' | 'pauseMs' | 'largestBodyBytes'>;

const CALM = {
  small: 40,
  medium: 15,
  large: 1,
  rollback: 1,
  long: 2,
  rest: 12,
  vacuum: 0.4,
  incrementalVacuum: 2,
};

const CHARACTERS: readonly Character[] = [
  {
    pauseMs: 12,
    largestBodyBytes: 3_000,
    weights: { ...CALM, checkpoint: 2, index: 0.5, reopen: 0.5, rollbackMode: 0.2 },
  },
  {
    pauseMs: 2,
    largestBodyBytes: 600,
    weights: { ...CALM, rest: 0, checkpoint: 0, index: 0.2, reopen: 0, rollbackMode: 0 },
  },
  {
    pauseMs: 8,
    largestBodyBytes: 40_000,
    weights: {
      ...CALM,
      large: 8,
      rollback: 5,
      long: 8,
      vacuum: 2,
      checkpoint: 2,
      index: 2,
      reopen: 0.5,
      rollbackMode: 0,
    },
  },
  {
    pauseMs: 5,
    largestBodyBytes: 2_000,
    weights: { ...CALM, checkpoint: 20, incrementalVacuum: 5, index: 0.5, reopen: 1, rollbackMode: 0.2 },
  },
  {
    pauseMs: 15,
    largestBodyBytes: 2_000,
    weights: { ...CALM, checkpoint: 4, vacuum: 1, index: 1, reopen: 12, rollbackMode: 4 },
  },
];

export function planTrial(seed: number): TrialPlan {
  const random = new Random(seed);
  const durationMs = random.int(2_000, 3_600);
  return {
    seed,
    durationMs,
    application: planApplication(random),
    hasReader: random.chance(0.35),
    replication: planReplication(random),
    rivuletDelayMs: random.int(-300, 500),
    applicationEvents: planEvents(random, random.int(0, 5), durationMs, [
      ['kill', 60],
      ['kill', 300],
      ['end', 300],
      ['freeze', 300],
    ]),
    rivuletEvents: planEvents(random, random.int(0, 4), durationMs, [
      ['kill', 500],
      ['end', 900],
      ['freeze', 400],
    ]),
    restoreAtMs: random.chance(0.4) ? [random.int(1_200, durationMs)] : [],
    ending: random.weighted({ clean: 6, 'killed-when-quiet': 1.5, 'killed-when-busy': 2.5 }),
    withLitestream: seed % 5 === 0,
  };
}

function planApplication(random: Random): Omit<ApplicationSettings, 'path'> {
  return {
    seed: random.int(1, 0x7fff_ffff),
    pageSizeBytes: random.pick([512, 1024, 2048, 4096, 4096, 4096, 8192, 16_384, 32_768, 65_536]),
    synchronous: random.pick(['OFF', 'NORMAL', 'FULL', 'FULL']),
    autoCheckpoint: random.pick([0, 5, 40, 1000, 1000]),
    cachePages: random.pick([5, 5, 50, 2_000]),
    autoVacuum: random.pick(['NONE', 'FULL', 'INCREMENTAL']),
    journalSizeLimit: random.pick([-1, -1, 0, 20_000]),
    ...random.pick(CHARACTERS),
  };
}

function planReplication(random: Random): ReplicationSettings {
  const minCheckpointPages = random.pick([5, 20, 100, 1000]);
  return {
    replicas: random.chance(0.3) ? ['first', 'second'] : ['only'],
    syncIntervalMs: random.int(20, 100),
    minCheckpointPages,
    maxCheckpointPages: random.pick([minCheckpointPages, minCheckpointPages * 10, 0]),
    checkpointIntervalMs: random.pick([200, 1_000, 60_000]),
    snapshotIntervalMs: random.pick([0, 0, 600, 1_000]),
    retentionMs: random.pick([86_400_000, 86_400_000, 1_200]),
    validationIntervalMs: random.pick([0, 0, 0, 900]),
  };
}

function planEvents(
  random: Random,
  count: number,
  durationMs: number,
  acts: readonly (readonly [Act, number])[],
): Event[] {
  const events = Array.from({ length: count }, (): Event => {
    const [act, longestMs] = random.pick(acts);
    return { atMs: random.int(100, durationMs), act, ms: random.int(0, longestMs) };
  });
  return events.sort((a, b) => a.atMs - b.atMs);
}
