/** One database and its destinations: made from the configuration, run side by side, ended together. */
import { statSync } from 'node:fs';
import { type Backoff, exponentialBackoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { isRivuletError, messageOf, RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { settleAll } from '../base/settle-all.ts';
import type { DatabaseSettings } from '../config/settings.ts';
import { assertUsable } from '../primary/database-file.ts';
import { follow } from '../primary/follow.ts';
import { Primary } from '../primary/primary.ts';
import { Replica, type ReplicaStatus } from '../replica/replica.ts';
import type { DatabaseMetrics, Metrics, ReplicaMetrics } from '../server/metrics.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { openStore } from './stores.ts';

const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 15_000;

export interface RunnerTools {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface DatabaseStatus {
  readonly path: string;
  readonly state: 'waiting' | 'following' | 'failing';
  readonly lastError: string | undefined;
  readonly replicas: readonly (ReplicaStatus & { readonly lagBytes: number; readonly lagMs: number })[];
}

interface RunningReplica {
  readonly replica: Replica;
  readonly store: ObjectStore;
  readonly metrics: ReplicaMetrics;
}

/** What stored files inherit from the database file; nothing when it is not there yet. */
function ownershipOf(path: string): { fileMode?: number; dirMode?: number; uid?: number; gid?: number } {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined || !stats.isFile()) return {};
  const fileMode = stats.mode & 0o666;
  // Whoever may read a file may enter its directory.
  return { fileMode, dirMode: fileMode | 0o700 | ((fileMode & 0o444) >> 2), uid: stats.uid, gid: stats.gid };
}

export class DatabaseRunner {
  readonly settings: DatabaseSettings;
  readonly #tools: RunnerTools;
  readonly #metrics: DatabaseMetrics;
  readonly #backoff: Backoff = exponentialBackoff(RETRY_FIRST_MS, RETRY_MAX_MS);
  #primary: Primary | undefined;
  #replicas: RunningReplica[] = [];
  #failure: string | undefined;

  constructor(settings: DatabaseSettings, tools: RunnerTools) {
    this.settings = settings;
    this.#tools = { ...tools, logger: tools.logger.child({ db: settings.path }) };
    this.#metrics = tools.metrics.database(settings.path);
  }

  /**
   * Opens the database, if it is there, and its destinations.
   *
   * @throws RivuletError `DB_INVALID`, `DB_UNREADABLE`, `DB_IN_USE`, `STATE_INVALID`: nothing stays open
   */
  async open(): Promise<void> {
    const { clock, logger } = this.#tools;
    const { settings } = this;
    assertUsable(settings.path);
    const primary = new Primary(
      {
        path: settings.path,
        metaPath: settings.metaPath,
        checkpoint: {
          minPages: settings.minCheckpointPageCount,
          maxPages: settings.maxCheckpointPageCount,
          intervalMs: settings.checkpointIntervalMs,
          walLimitBytes: settings.walLimitBytes,
        },
        spoolLimitBytes: settings.spoolLimitBytes,
        busyTimeoutMs: settings.busyTimeoutMs,
        destinations: new Set(settings.replicas.map(({ name }) => name)),
      },
      { clock, logger, observer: this.#primaryObserver() },
    );
    try {
      await primary.refresh();
      for (const replica of settings.replicas) this.#replicas.push(await this.#openReplica(primary, replica));
    } catch (error) {
      await primary.close();
      throw error;
    }
    this.#primary = primary;
  }

  #primaryObserver() {
    const metrics = this.#metrics;
    return {
      onSync: (elapsedMs: number) => metrics.addSync({ elapsedMs, failed: false }),
      onWalBytes: (bytes: number) => metrics.addWalBytes(bytes),
      onCheckpoint: (elapsedMs: number, error?: unknown) =>
        metrics.addCheckpoint({ mode: 'PASSIVE', elapsedMs, failed: error !== undefined }),
      onGeneration: () => undefined,
    };
  }

  async #openReplica(
    primary: Primary,
    settings: DatabaseSettings['replicas'][number],
  ): Promise<RunningReplica> {
    const { clock, metrics, logger } = this.#tools;
    const own = metrics.replica(this.settings.path, settings.name);
    const { type } = settings.destination;
    const store = await openStore(settings, {
      clock,
      logger: logger.child({ replica: settings.name }),
      file: ownershipOf(this.settings.path),
      meter: {
        operation: (kind, count) => {
          for (let n = 0; n < count; n++) metrics.addOperation(type, kind);
        },
        bytes: (kind, count) => metrics.addOperationBytes(type, kind, count),
      },
    });
    const replica = new Replica(
      {
        name: settings.name,
        metaPath: this.settings.metaPath,
        syncIntervalMs: settings.syncIntervalMs,
        retentionMs: settings.retentionMs,
        retentionCheckIntervalMs: settings.retentionCheckIntervalMs,
        snapshotIntervalMs: settings.snapshotIntervalMs,
        validationIntervalMs: settings.validationIntervalMs,
        recordsUploads: settings.age !== undefined,
      },
      {
        primary,
        store,
        clock,
        logger,
        observer: {
          onSegment: (bytes, position) => {
            own.addWalBytes(bytes);
            own.setConfirmed(position);
          },
          onSnapshot: () => undefined,
          onValidation: (ok) => own.addValidation(ok ? 'ok' : 'error'),
          onFailure: () => undefined,
          onRecovery: () => undefined,
        },
      },
    );
    return { replica, store, metrics: own };
  }

  /** Runs until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const primary = await this.#openAtLast(signal);
    if (primary === undefined) return;
    await Promise.all([
      follow({
        primary,
        clock: this.#tools.clock,
        pollIntervalMs: this.settings.monitorIntervalMs,
        onFailure: (error) => this.#failed(error),
        onSuccess: () => this.#succeeded(),
        signal,
      }),
      ...this.#replicas.map(({ replica }) => replica.run(signal)),
    ]);
  }

  /** A database that could not be opened at the start is tried again for ever. */
  async #openAtLast(signal: AbortSignal): Promise<Primary | undefined> {
    while (!signal.aborted && this.#primary === undefined) {
      try {
        await this.open();
        this.#succeeded();
      } catch (error) {
        await this.#tools.clock.sleep(this.#failed(error), signal).catch(() => undefined);
      }
    }
    return this.#primary;
  }

  /** Ships once what is there, with the snapshot and the clean-up that are due. */
  async once(signal: AbortSignal): Promise<void> {
    if (this.#primary === undefined) await this.open();
    if (this.#primary?.status === 'waiting') {
      throw new RivuletError('DB_NOT_FOUND', `the database ${this.settings.path} does not exist`);
    }
    await settleAll(this.#replicas.map(async ({ replica }) => replica.once(signal)));
  }

  /**
   * Sends what is left until `deadlineMs` (monotonic), then lets go of everything.
   *
   * @returns the destinations that did not get everything, with the reason
   */
  async finish(deadlineMs: number): Promise<readonly { readonly name: string; readonly error: unknown }[]> {
    const failed: { name: string; error: unknown }[] = [];
    await Promise.all(
      this.#replicas.map(async ({ replica }) => {
        try {
          await replica.finish(deadlineMs);
        } catch (error) {
          failed.push({ name: replica.settings.name, error });
          this.#tools.logger.error(messageOf(error), { replica: replica.settings.name, error });
        }
      }),
    );
    await this.close();
    return failed;
  }

  async close(): Promise<void> {
    await this.#primary?.close();
    for (const { store } of this.#replicas) await store.close();
    this.#primary = undefined;
    this.#replicas = [];
  }

  status(): DatabaseStatus {
    const primary = this.#primary;
    const state = this.#failure === undefined ? (primary?.status ?? 'waiting') : 'failing';
    return {
      path: this.settings.path,
      state,
      lastError: this.#failure,
      replicas: this.#replicas.map(({ replica }) => ({ ...replica.status, ...this.#lagOf(replica) })),
    };
  }

  #lagOf(replica: Replica): { lagBytes: number; lagMs: number } {
    const primary = this.#primary;
    const { confirmed, caughtUpAtMs } = replica.status;
    if (primary?.position === undefined || replica.isCaughtUp) return { lagBytes: 0, lagMs: 0 };
    const from = confirmed ?? { index: primary.position.index, offsetBytes: 0 };
    const sinceMs = caughtUpAtMs ?? replica.startedAtMs;
    return {
      lagBytes: primary.bytesBetween(from, primary.position),
      lagMs: this.#tools.clock.now() - sinceMs,
    };
  }

  /** Brings the gauges up to date; called before they are read. */
  measure(): void {
    const primary = this.#primary;
    const sizes = primary?.sizes();
    if (sizes !== undefined) this.#metrics.setSizes(sizes);
    if (primary?.position !== undefined) this.#metrics.setPosition(primary.position);
    for (const { replica, metrics } of this.#replicas) {
      metrics.setLag(this.#lagOf(replica));
      const { confirmed } = replica.status;
      if (confirmed !== undefined) metrics.setConfirmed(confirmed);
    }
  }

  #failed(error: unknown): number {
    const waitMs = this.#backoff.next();
    this.#metrics.addSync({ elapsedMs: 0, failed: true });
    const message = messageOf(error);
    if (this.#failure !== message) {
      const mustAct = !isRivuletError(error, 'DB_BUSY');
      const fields = { error, retryInMs: Math.round(waitMs) };
      if (mustAct) this.#tools.logger.error('the database cannot be replicated at the moment', fields);
      else this.#tools.logger.warn('the database is busy; trying again', fields);
    }
    this.#failure = message;
    return waitMs;
  }

  #succeeded(): void {
    this.#backoff.reset();
    if (this.#failure !== undefined) this.#tools.logger.info('the database is replicated again');
    this.#failure = undefined;
  }
}
