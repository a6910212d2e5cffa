/** Where everything of a soak lies, and the two configurations: Rivulet's, and that of whoever restores beside it. */
import { join } from 'node:path';
import { renameSync, writeFileSync } from 'node:fs';
import { type ApplicationSettings, NO_DEEDS } from '../faults/application-settings.ts';
import type { KeyPair } from '../support/age-keys.ts';

export const BUCKET = 'bucket';
/** By its access key the server knows whom it shall trouble: whoever restores is left alone. */
export const TROUBLED_KEY = 'soak-replicate';
const UNTROUBLED_KEY = 'soak-restore';

export const SNAPSHOT_INTERVAL_MS = 5_000;
export const RETENTION_MS = 15_000;
export const WAL_LIMIT_BYTES: number = 16 * 1024 * 1024;
export const SPOOL_LIMIT_BYTES: number = 48 * 1024 * 1024;

export const DESTINATIONS = ['directory', 's3'] as const;
export type Destination = (typeof DESTINATIONS)[number];

export interface SoakDatabase {
  readonly name: string;
  readonly application: Omit<ApplicationSettings, 'path' | 'seed'>;
  /** How many processes of it run at a time. */
  readonly applications: number;
  readonly encrypted: Destination | undefined;
  /** Whether somebody holds read transactions open. */
  readonly hasReader: boolean;
}

const USUAL = {
  pageSizeBytes: 4096,
  synchronous: 'NORMAL',
  autoCheckpoint: 1000,
  cachePages: 2000,
  autoVacuum: 'NONE',
  journalSizeLimit: -1,
} as const;

export const DATABASES: readonly SoakDatabase[] = [
  {
    name: 'steady',
    applications: 2,
    encrypted: 's3',
    hasReader: true,
    application: {
      ...USUAL,
      pauseMs: 250,
      largestBodyBytes: 600,
      weights: { ...NO_DEEDS, small: 40, medium: 2, rollback: 1, rest: 5 },
    },
  },
  {
    name: 'bursts',
    applications: 1,
    encrypted: 'directory',
    hasReader: true,
    application: {
      ...USUAL,
      pauseMs: 500,
      cachePages: 50,
      autoVacuum: 'INCREMENTAL',
      largestBodyBytes: 40_000,
      weights: {
        ...NO_DEEDS,
        small: 10,
        medium: 8,
        large: 8,
        rollback: 3,
        long: 4,
        checkpoint: 10,
        vacuum: 3,
        incrementalVacuum: 2,
        index: 1,
        reopen: 2,
        rest: 20,
      },
    },
  },
  {
    name: 'idle',
    applications: 1,
    encrypted: undefined,
    hasReader: false,
    application: {
      ...USUAL,
      pauseMs: 40_000,
      largestBodyBytes: 2_000,
      weights: { ...NO_DEEDS, small: 8, medium: 2, checkpoint: 1 },
    },
  },
];

export interface SoakPlace {
  readonly folder: string;
  /** The replicas in directories; may be a file system of its own. */
  readonly directories: string;
  /** The local state; may be a file system of its own. */
  readonly states: string;
  readonly logPath: string;
  readonly configPath: string;
  readonly restoreConfigPath: string;
  databasePath(name: string): string;
  statePath(name: string): string;
}

export function soakPlaceIn(folder: string): SoakPlace {
  const states = join(folder, 'state');
  return {
    folder,
    directories: join(folder, 'directories'),
    states,
    logPath: join(folder, 'rivulet.log'),
    configPath: join(folder, 'rivulet.yml'),
    restoreConfigPath: join(folder, 'restore.yml'),
    databasePath: (name) => join(folder, `${name}.db`),
    statePath: (name) => join(states, name),
  };
}

export interface SoakSettings {
  /** Of the way to the server that may be closed. */
  readonly endpoint: string;
  readonly restoreEndpoint: string;
  readonly syncIntervalMs: number;
  readonly keys: KeyPair;
}

export function writeConfigs(place: SoakPlace, settings: SoakSettings): void {
  write(place.configPath, configOf(place, settings, settings.endpoint, TROUBLED_KEY));
  write(place.restoreConfigPath, configOf(place, settings, settings.restoreEndpoint, UNTROUBLED_KEY));
}

/** Rivulet may be starting this moment: it finds one configuration or the other. JSON is YAML, too. */
function write(path: string, config: unknown): void {
  writeFileSync(`${path}.new`, JSON.stringify(config, undefined, 2));
  renameSync(`${path}.new`, path);
}

function configOf(place: SoakPlace, settings: SoakSettings, endpoint: string, accessKey: string): unknown {
  return {
    addr: '127.0.0.1:0',
    'shutdown-timeout': '60s',
    logging: { type: 'json', level: 'info' },
    'access-key-id': accessKey,
    'secret-access-key': 'soak',
    dbs: DATABASES.map((database) => ({
      path: place.databasePath(database.name),
      'meta-path': place.statePath(database.name),
      'monitor-interval': '500ms',
      'min-checkpoint-page-count': 200,
      'max-checkpoint-page-count': 2000,
      'checkpoint-interval': '2s',
      'wal-limit': WAL_LIMIT_BYTES,
      'spool-limit': SPOOL_LIMIT_BYTES,
      replicas: DESTINATIONS.map((name) => replicaOf(place, settings, { endpoint, database, name })),
    })),
  };
}

function replicaOf(
  place: SoakPlace,
  { syncIntervalMs, keys }: SoakSettings,
  { endpoint, database, name }: { endpoint: string; database: SoakDatabase; name: Destination },
): unknown {
  const where =
    name === 's3'
      ? {
          type: 's3',
          bucket: BUCKET,
          path: database.name,
          endpoint,
          region: 'us-east-1',
          'request-timeout': '2s',
        }
      : { type: 'file', path: join(place.directories, database.name) };
  const age = { identities: [keys.identity], recipients: [keys.recipient] };
  return {
    name,
    ...where,
    ...(database.encrypted === name ? { age } : {}),
    'sync-interval': `${syncIntervalMs}ms`,
    'snapshot-interval': `${SNAPSHOT_INTERVAL_MS}ms`,
    retention: `${RETENTION_MS}ms`,
    'retention-check-interval': '3s',
    verify: { interval: '10s', 'quick-interval': '2s' },
    lease: { mode: 'on', duration: '10s' },
  };
}
