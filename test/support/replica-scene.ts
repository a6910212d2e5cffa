/** A live database, its primary and one destination that may misbehave, with everything noted that they say. */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/log.ts';
import type { Primary } from '../../src/primary/primary.ts';
import type { Lease } from '../../src/replica/lease/lease.ts';
import { Replica, type ReplicaSettings } from '../../src/replica/replica.ts';
import { restore } from '../../src/restore/restore.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { FaultyStore } from './faulty-store.ts';
import { LiveDatabase, openPrimary, type PrimaryShape } from './live-database.ts';
import { MemoryStore } from './memory-store.ts';
import { RecordingLogger } from './recording-logger.ts';
import { Scratch } from './scratch.ts';
import { until } from './until.ts';

const SUM = 'SELECT count(*) AS n, sum(length(body)) AS bytes, hex(max(body)) AS greatest FROM t';

/** A primary that begins a new log at the first occasion: later snapshots wait for one. */
export const SHORT_LOGS: PrimaryShape = { checkpoint: { minPages: 1 } };

export interface SceneOptions {
  readonly settings?: Partial<ReplicaSettings>;
  readonly primary?: PrimaryShape;
  readonly store?: ObjectStore;
  readonly clock?: Clock;
  /** Made for each replica object; none when absent. */
  readonly lease?: (parts: { store: ObjectStore; logger: Logger; metaPath: string }) => Lease;
}

export class ReplicaScene implements AsyncDisposable {
  readonly live: LiveDatabase = new LiveDatabase();
  readonly logger: RecordingLogger = new RecordingLogger();
  readonly store: FaultyStore;
  readonly facts: string[] = [];
  readonly #options: SceneOptions;
  readonly #clock: Clock;
  primary: Primary;
  replica: Replica;
  #stop: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: SceneOptions = {}) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.store = new FaultyStore(options.store ?? new MemoryStore());
    this.primary = this.#newPrimary();
    this.replica = this.newReplica();
  }

  #newPrimary(): Primary {
    return openPrimary(this.live.path, {
      logger: this.logger,
      clock: this.#clock,
      ...this.#options.primary,
    });
  }

  /** Another destination object on the same primary and store. */
  newReplica(settings: Partial<ReplicaSettings> = {}): Replica {
    return new Replica(
      {
        name: 'memory',
        syncIntervalMs: 5,
        retentionMs: 0,
        retentionCheckIntervalMs: 3_600_000,
        snapshotIntervalMs: undefined,
        validationIntervalMs: undefined,
        metaPath: `${this.live.path}-meta`,
        ...this.#options.settings,
        ...settings,
      },
      {
        primary: this.primary,
        store: this.store,
        clock: this.#clock,
        logger: this.logger,
        lease: this.#options.lease?.({
          store: this.store,
          logger: this.logger,
          metaPath: `${this.live.path}-meta`,
        }),
        observer: {
          onSegment: () => void this.facts.push('segment'),
          onSnapshot: () => void this.facts.push('snapshot'),
          onValidation: (ok) => void this.facts.push(ok ? 'valid' : 'invalid'),
          onProof: (depth, outcome) => void this.facts.push(`proof ${depth} ${outcome}`),
          onDutyFailed: (duty) => void this.facts.push(`failed ${duty}`),
          onFailure: () => void this.facts.push('failure'),
          onRecovery: () => void this.facts.push('recovery'),
        },
      },
    );
  }

  /** Ends the primary and begins anew with the same files, as a restarted process does. @param between - happens meanwhile */
  async restart(between: () => void = () => undefined): Promise<void> {
    await this.stop();
    await this.primary.close();
    between();
    this.primary = this.#newPrimary();
    this.replica = this.newReplica();
  }

  async refresh(): Promise<void> {
    await this.primary.refresh();
  }

  /** Looks at the database and ships once. */
  async sync(): Promise<void> {
    await this.primary.refresh();
    await this.replica.syncOnce();
  }

  run(): void {
    this.#stop = new AbortController();
    this.#running = this.replica.run(this.#stop.signal);
  }

  async stop(): Promise<void> {
    this.#stop?.abort();
    await this.#running;
  }

  /** Waits until `condition` holds; tells what was logged when it never does. */
  async until(what: string, condition: () => boolean): Promise<void> {
    await until(what, condition, () => JSON.stringify(this.logger.messages()));
  }

  /** The destination restores to exactly the live database. */
  async assertRestores(): Promise<void> {
    using scratch = new Scratch();
    const outputPath = scratch.file('restored');
    this.store.fault = () => undefined;
    await restore({ store: this.store, target: {}, outputPath, integrityCheck: 'full' });
    const restored = new DatabaseSync(outputPath);
    try {
      assert.deepEqual(
        restored
          .prepare(SUM)
          .all()
          .map((row) => ({ ...row })),
        this.live.app
          .prepare(SUM)
          .all()
          .map((row) => ({ ...row })),
      );
    } finally {
      restored.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.primary.close();
    this.live[Symbol.dispose]();
  }
}
