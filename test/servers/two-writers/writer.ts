/**
 * One writer as a process of its own, which may be frozen and killed: an application that inserts rows, and the engine
 * that stores them. Takes its settings as JSON from the command line and commands from stdin, tells what happens on stdout.
 */
import { mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../../src/base/clock.ts';
import type { LogFields, Logger } from '../../../src/base/log.ts';
import type { Destination } from '../../../src/config/settings.ts';
import { openStore } from '../../../src/daemon/stores.ts';
import { comparePositions, type Position } from '../../../src/generations/names.ts';
import { noObserver } from '../../../src/primary/primary-observer.ts';
import { Primary } from '../../../src/primary/primary.ts';
import { openLease } from '../../../src/replica/lease/open-lease.ts';
import { noReplicaObserver } from '../../../src/replica/replica-observer.ts';
import { Replica } from '../../../src/replica/replica.ts';
import { forwardingStore } from '../../../src/storage/forwarding.ts';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import { Random } from '../../faults/random.ts';

export interface WriterSettings {
  readonly name: string;
  readonly databasePath: string;
  readonly metaPath: string;
  readonly destination: Destination;
  readonly durationMs: number;
  readonly renew: 'active' | 'always';
  /** A request takes up to so long until it arrives: freezing falls into it. */
  readonly slowMs: number;
  readonly seed: number;
}

/** A line of stdout. */
export type Told =
  | { readonly kind: 'ready' }
  /** Everything up to row `n` is stored, in this generation, under this epoch of the lease. */
  | { readonly kind: 'stored'; readonly n: number; readonly generation: string; readonly epoch: number }
  | { readonly kind: 'state'; readonly state: string; readonly epoch: number | undefined }
  | { readonly kind: 'lost' }
  | {
      readonly kind: 'log';
      readonly level: string;
      readonly message: string;
      readonly error: string | undefined;
    }
  | { readonly kind: 'finished'; readonly error: string | undefined };

const CHECKPOINT_PAGES = 40;
const SNAPSHOT_INTERVAL_MS = 900;
const FINISH_MS = 3_000;

const settings = JSON.parse(process.argv[2] ?? '{}') as WriterSettings;
const random = new Random(settings.seed);

function tell(line: Told): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function loggerOf(fields: LogFields): Logger {
  const log =
    (level: string) =>
    (message: string, more: LogFields = {}) => {
      const error = more['error'];
      tell({ kind: 'log', level, message, error: error instanceof Error ? error.message : undefined });
      if (message.startsWith('the lease is lost')) tell({ kind: 'lost' });
    };
  return {
    debug: () => undefined,
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
    child: (more) => loggerOf({ ...fields, ...more }),
  };
}

/** Requests that take a while to arrive. */
function slowStore(store: ObjectStore): ObjectStore {
  const onTheWay = async (): Promise<void> => {
    if (settings.slowMs > 0 && random.chance(0.5)) await delay(random.int(0, settings.slowMs));
  };
  return forwardingStore(store, {
    // What is on its way cannot be called back: the signal does not reach it.
    write: async (key, body, { onlyIf } = {}) => {
      await onTheWay();
      return store.write(key, body, onlyIf === undefined ? {} : { onlyIf });
    },
  });
}

const logger = loggerOf({});
mkdirSync(settings.metaPath, { recursive: true });
const app = new DatabaseSync(settings.databasePath, { timeout: 5_000 });
app.exec('PRAGMA journal_mode = wal; PRAGMA synchronous = off; PRAGMA wal_autocheckpoint = 0');
app.exec('CREATE TABLE IF NOT EXISTS t (writer TEXT, n INTEGER, body BLOB, PRIMARY KEY (writer, n))');
const insert = app.prepare('INSERT INTO t VALUES (?, ?, randomblob(?))');
let rows = Number(app.prepare('SELECT max(n) AS n FROM t WHERE writer = ?').get(settings.name)?.['n'] ?? 0);

const primary = new Primary(
  {
    path: settings.databasePath,
    metaPath: settings.metaPath,
    checkpoint: { minPages: CHECKPOINT_PAGES, maxPages: 0, intervalMs: 0, walLimitBytes: 64 * 1024 * 1024 },
    spoolLimitBytes: 64 * 1024 * 1024,
    busyTimeoutMs: 2_000,
    destinations: new Set(['r']),
  },
  { clock: systemClock, logger, observer: noObserver },
);
await primary.refresh();
const opened = await openStore({ destination: settings.destination, age: undefined }, { logger });
const store = slowStore(opened);
const lease = openLease(
  { mode: 'on', durationMs: settings.durationMs, whenHeld: 'wait', renew: settings.renew },
  {
    store,
    clock: systemClock,
    logger,
    metaPath: settings.metaPath,
    name: 'r',
    database: settings.databasePath,
    program: 'two-writers',
    host: settings.name,
  },
);
const replica = new Replica(
  {
    name: 'r',
    metaPath: settings.metaPath,
    syncIntervalMs: 10,
    retentionMs: 0,
    retentionCheckIntervalMs: 3_600_000,
    snapshotIntervalMs: SNAPSHOT_INTERVAL_MS,
    validationIntervalMs: undefined,
  },
  {
    primary,
    store,
    clock: systemClock,
    logger,
    observer: { ...noReplicaObserver, onSegment: () => tellStored() },
    lease,
  },
);

/** Where the log stood when a row was in it. */
const waiting: { n: number; generation: string; position: Position }[] = [];

/** Tells what is stored, as the replica's status does: only that is a promise. */
function tellStored(): void {
  // The status is complete when the call that tells of a segment has returned.
  queueMicrotask(() => {
    const { generation, confirmed, lease: status } = replica.status;
    if (generation === undefined || confirmed === undefined || status?.epoch === undefined) return;
    let told: number | undefined;
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      if (first.generation === generation && comparePositions(first.position, confirmed) > 0) break;
      if (first.generation === generation) told = first.n;
      else if (first.generation === primary.generation) break;
      waiting.shift();
    }
    if (told !== undefined) tell({ kind: 'stored', n: told, generation, epoch: status.epoch });
  });
}

let paceMs = 20;
const over = new AbortController();
const stop = new AbortController();

createInterface({ input: process.stdin }).on('line', (line) => {
  const [command, value] = line.split(' ');
  if (command === 'pace') paceMs = Number(value);
  if (command === 'finish') over.abort();
});
process.stdin.on('end', () => process.exit(2));

const running = replica.run(stop.signal);
tell({ kind: 'ready' });
let state = '';
while (!over.signal.aborted) {
  if (paceMs > 0) {
    insert.run(settings.name, ++rows, random.chance(0.05) ? 60_000 : random.int(20, 1_500));
    await primary.refresh().catch(() => undefined);
    const { generation, position } = primary;
    if (generation !== undefined && position !== undefined) waiting.push({ n: rows, generation, position });
  }
  const { state: now, lease: status } = replica.status;
  if (`${now} ${status?.epoch}` !== state) {
    state = `${now} ${status?.epoch}`;
    tell({ kind: 'state', state: now, epoch: status?.epoch });
  }
  await delay(paceMs > 0 ? random.int(1, paceMs * 2) : 20);
}
stop.abort();
await running;
let failure: string | undefined;
try {
  await replica.finish(systemClock.monotonicMs() + FINISH_MS);
  tellStored();
} catch (error) {
  failure = error instanceof Error ? error.message : String(error);
}
await delay(0);
tell({ kind: 'finished', error: failure });
await primary.close();
await opened.close();
app.close();
process.exit(0);
