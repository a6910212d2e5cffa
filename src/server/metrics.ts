/**
 * What Prometheus reads. Names, types and labels that begin with `litestream_` are those of Litestream v0.3.13, so
 * that dashboards and alerts keep working; `rivulet_` ones are new. `db` is the database's path, `name` the replica's.
 */
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';

import type { Position } from '../generations/names.ts';

export type OperationName = 'PUT' | 'GET' | 'HEAD' | 'DELETE' | 'LIST';
/** As the replica's lease says; `held` and `parked` are the writer. */
export type LeasePhase = 'none' | 'held' | 'parked' | 'standby' | 'lost' | 'released' | 'unprotected';

/** What is done beside the shipping. */
export type TaskName = 'snapshot' | 'retention' | 'validation' | 'proof';
export type ProofDepth = 'quick' | 'full';
export type ProofOutcome = 'proven' | 'broken' | 'inconclusive';

export type CheckpointMode = 'PASSIVE' | 'FULL' | 'RESTART' | 'TRUNCATE';

/** What happens to one database. */
export interface DatabaseMetrics {
  setSizes(sizes: { readonly databaseBytes: number; readonly walBytes: number }): void;
  setSpool(bytes: number): void;
  /** Whether the database is not followed although it should be. */
  setStalled(isStalled: boolean): void;
  /** Bytes of WAL that were read for replication. */
  addWalBytes(bytes: number): void;
  /** Where reading stands; Litestream's shadow WAL has its counterpart in the cursor. */
  setPosition(position: Position): void;
  addLostRace(): void;
  /** The write lock was held for a checkpoint, and writers had to wait for so long. */
  addWriteLock(heldMs: number): void;
  addSync(outcome: { readonly elapsedMs: number; readonly failed: boolean }): void;
  addCheckpoint(outcome: {
    readonly mode: CheckpointMode;
    readonly elapsedMs: number;
    readonly failed: boolean;
  }): void;
}

/** What happens to one replica of one database. */
export interface ReplicaMetrics {
  /** Bytes of WAL, before compression, that the destination stored. */
  addWalBytes(bytes: number): void;
  /** The position up to which the destination has confirmed everything. */
  setConfirmed(position: Position): void;
  /** How far the destination is behind: age of the oldest change it lacks, and bytes of WAL it lacks; 0 when level. */
  setLag(lag: { readonly lagMs: number; readonly lagBytes: number; readonly lagCommits: number }): void;
  /** Whether nothing is stored although there is something to store. */
  setStalled(isStalled: boolean): void;
  /** One of the things that are done beside the shipping has failed. */
  addTaskError(task: TaskName): void;
  /** For how long retention should have removed what is old; 0 when on time. */
  setRetentionOverdue(ms: number): void;
  /** When the destination last stored something, in milliseconds since 1970. */
  setSynced(atMs: number): void;
  addValidation(status: 'ok' | 'error'): void;
  addProof(depth: ProofDepth, outcome: ProofOutcome): void;
  /** How the last proof ended, and what is proven. */
  setProof(proof: {
    readonly outcome: ProofOutcome;
    readonly atMs: number;
    readonly provenUntilMs: number | undefined;
    readonly restoreMs: number | undefined;
  }): void;
  /** Whether this process may write there; told only where a lease is configured. */
  setLease(phase: LeasePhase): void;
}

export interface Metrics {
  database(path: string): DatabaseMetrics;
  replica(path: string, name: string): ReplicaMetrics;
  /** One request to a destination; `bytes` are those of a PUT's or GET's body. */
  addOperation(replicaType: string, operation: OperationName, bytes?: number): void;
  /** Bytes of a body that come in pieces, beside its `addOperation`. */
  addOperationBytes(replicaType: string, operation: 'PUT' | 'GET', bytes: number): void;
  /** Forgets a database and its replicas, so that one that was removed does not look alive. */
  removeDatabase(path: string, replicaNames: readonly string[]): void;
  /** Forgets one replica of a database that goes on. */
  removeReplica(path: string, name: string): void;
  /** The configuration was asked to be loaded anew. */
  addReload(result: 'ok' | 'error'): void;
  /** Everything in Prometheus' text format. */
  render(): Promise<string>;
  readonly contentType: string;
}

/** One wake-up a second for the lag of the event loop: with the usual hundred an idle process would do little else. */
const EVENT_LOOP_SAMPLE_MS = 1_000;

/** A registry of its own for each call; includes the process and Node.js metrics. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_SAMPLE_MS });
  const databases = createDatabaseInstruments(registry);
  const replicas = createReplicaInstruments(registry);
  const reloads = createReloadCounter(registry);
  return {
    database: (path) => databaseMetrics(databases, path),
    replica: (path, name) => replicaMetrics(replicas, path, name),
    addOperation: (replicaType, operation, bytes = 0) => {
      const labels = { replica_type: replicaType, operation };
      replicas.operations.inc(labels);
      if (operation === 'PUT' || operation === 'GET') replicas.operationBytes.inc(labels, bytes);
    },
    addOperationBytes: (replicaType, operation, bytes) =>
      replicas.operationBytes.inc({ replica_type: replicaType, operation }, bytes),
    removeDatabase: (path, replicaNames) => {
      removeDatabase(databases, path);
      for (const name of replicaNames) removeReplica(replicas, path, name);
    },
    removeReplica: (path, name) => removeReplica(replicas, path, name),
    addReload: (result) => reloads.inc({ result }),
    render: async () => registry.metrics(),
    contentType: registry.contentType,
  };
}

function createReloadCounter(registry: Registry): Counter<'result'> {
  const counter = new Counter({
    name: 'rivulet_config_reload_total',
    help: 'Times that the configuration was asked to be loaded anew',
    labelNames: ['result'],
    registers: [registry],
  });
  for (const result of ['ok', 'error']) counter.inc({ result }, 0);
  return counter;
}

const CHECKPOINT_MODES: readonly CheckpointMode[] = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'];
const VALIDATION_STATUSES = ['ok', 'error'] as const;
const TASKS: readonly TaskName[] = ['snapshot', 'retention', 'validation', 'proof'];
const PROOFS = (['quick', 'full'] as const).flatMap((depth) =>
  (['proven', 'broken', 'inconclusive'] as const).map((outcome) => ({ depth, outcome })),
);

type DatabaseInstruments = ReturnType<typeof createDatabaseInstruments>;
type ReplicaInstruments = ReturnType<typeof createReplicaInstruments>;

function createDatabaseInstruments(registry: Registry) {
  const gauge = (name: string, help: string) =>
    new Gauge({ name, help, labelNames: ['db'], registers: [registry] });
  const counter = (name: string, help: string) =>
    new Counter({ name, help, labelNames: ['db'], registers: [registry] });
  const byMode = (name: string, help: string) =>
    new Counter({ name, help, labelNames: ['db', 'mode'], registers: [registry] });
  return {
    databaseBytes: gauge('litestream_db_size', 'Size of the database file in bytes'),
    walBytes: gauge('litestream_wal_size', 'Size of the write-ahead log file in bytes'),
    readBytes: counter('litestream_total_wal_bytes', 'Bytes of write-ahead log read for replication'),
    index: gauge('litestream_shadow_wal_index', 'Index of the write-ahead log that is being read'),
    offset: gauge('litestream_shadow_wal_size', 'Bytes read of the present write-ahead log'),
    syncs: counter('litestream_sync_count', 'Times that changes were looked for'),
    syncErrors: counter('litestream_sync_error_count', 'Times that looking for changes failed'),
    syncSeconds: counter('litestream_sync_seconds', 'Seconds spent on reading changes'),
    spoolBytes: gauge('rivulet_spool_size', 'Bytes kept on disk for destinations that lack them'),
    stalled: gauge('rivulet_db_stalled', 'Whether the database is not followed although it should be'),
    lostRaces: counter(
      'rivulet_lost_races_total',
      'Transactions that were checkpointed and overwritten before they were read; each cost a fresh snapshot',
    ),
    writeLocks: counter('rivulet_write_locks_total', 'Times that the write lock was taken for a checkpoint'),
    writeLockSeconds: gauge('rivulet_write_lock_seconds_max', 'Longest time that the write lock was held'),
    checkpoints: byMode('litestream_checkpoint_count', 'Checkpoints that were run'),
    checkpointErrors: byMode('litestream_checkpoint_error_count', 'Checkpoints that failed'),
    checkpointSeconds: byMode('litestream_checkpoint_seconds', 'Seconds spent on checkpoints'),
  };
}

function createReplicaInstruments(registry: Registry) {
  const labelNames = ['db', 'name'];
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames, registers: [registry] });
  const counter = (name: string, help: string, labels: string[]) =>
    new Counter({ name, help, labelNames: labels, registers: [registry] });
  const ofRequest = ['replica_type', 'operation'];
  return {
    walBytes: counter('litestream_replica_wal_bytes', 'Bytes of write-ahead log stored', labelNames),
    walIndex: gauge('litestream_replica_wal_index', 'Index of the write-ahead log stored last'),
    walOffset: gauge('litestream_replica_wal_offset', 'Offset in it up to which it is stored'),
    validations: counter('litestream_replica_validation_total', 'Validations by result', [
      ...labelNames,
      'status',
    ]),
    operations: counter('litestream_replica_operation_total', 'Requests to destinations', ofRequest),
    operationBytes: counter(
      'litestream_replica_operation_bytes',
      'Bytes sent to or read from destinations',
      ofRequest,
    ),
    taskErrors: counter(
      'rivulet_replica_task_errors_total',
      'Failures of what is done beside the shipping: snapshots, retention, proofs',
      [...labelNames, 'task'],
    ),
    retentionOverdue: gauge(
      'rivulet_retention_overdue_seconds',
      'For how long what is older than the retention should have been removed, and was not; 0 when on time',
    ),
    lagSeconds: gauge(
      'rivulet_replica_lag_seconds',
      'Age of the oldest change that is not stored yet; 0 when level',
    ),
    lagBytes: gauge('rivulet_replica_lag_bytes', 'Bytes of write-ahead log that are not stored yet'),
    lagCommits: gauge('rivulet_replica_lag_commits', 'Committed transactions that are not stored yet'),
    stalled: gauge(
      'rivulet_replica_stalled',
      'Whether nothing has been stored for `stall-after` although there is something to store',
    ),
    synced: gauge(
      'rivulet_replica_synced_timestamp_seconds',
      'When the destination last stored something, in seconds since 1970',
    ),
    leaseHeld: gauge(
      'rivulet_lease_held',
      'Whether this process holds the lease: is the writer of the replica',
    ),
    leaseLost: gauge(
      'rivulet_lease_lost',
      'Whether another process has taken the replica over from this one',
    ),
    proofs: counter('rivulet_replica_proof_total', 'Proofs that the destination restores, by outcome', [
      ...labelNames,
      'depth',
      'outcome',
    ]),
    broken: gauge('rivulet_replica_broken', 'Whether the last proof found the destination damaged'),
    restorableUntil: gauge(
      'rivulet_replica_restorable_until_seconds',
      'Up to which moment the destination is proven to restore, as a Unix time; 0 when it is broken and nothing is known to restore',
    ),
    provenAt: gauge(
      'rivulet_replica_proven_timestamp_seconds',
      'When the last proof succeeded, as a Unix time',
    ),
    restoreSeconds: gauge('rivulet_replica_restore_seconds', 'How long the last full restore took'),
    confirmedIndex: gauge('rivulet_replica_confirmed_index', 'Index up to which everything is stored'),
    confirmedOffset: gauge(
      'rivulet_replica_confirmed_offset',
      'Offset in it up to which everything is stored',
    ),
  };
}

/** Series appear at once with zero, because a rate over a series that begins at its first event misses that event. */
function databaseMetrics(to: DatabaseInstruments, db: string): DatabaseMetrics {
  const counters = [to.readBytes, to.syncs, to.syncErrors, to.syncSeconds, to.lostRaces, to.writeLocks];
  for (const counter of counters) counter.inc({ db }, 0);
  to.writeLockSeconds.set({ db }, 0);
  let longestMs = 0;
  for (const mode of CHECKPOINT_MODES) {
    for (const counter of [to.checkpoints, to.checkpointErrors, to.checkpointSeconds])
      counter.inc({ db, mode }, 0);
  }
  return {
    setSizes: ({ databaseBytes, walBytes }) => {
      to.databaseBytes.set({ db }, databaseBytes);
      to.walBytes.set({ db }, walBytes);
    },
    setSpool: (bytes) => to.spoolBytes.set({ db }, bytes),
    setStalled: (isStalled) => to.stalled.set({ db }, Number(isStalled)),
    addWalBytes: (bytes) => to.readBytes.inc({ db }, bytes),
    setPosition: ({ index, offsetBytes }) => {
      to.index.set({ db }, index);
      to.offset.set({ db }, offsetBytes);
    },
    addSync: ({ elapsedMs, failed }) => {
      to.syncs.inc({ db });
      to.syncSeconds.inc({ db }, elapsedMs / 1000);
      if (failed) to.syncErrors.inc({ db });
    },
    addLostRace: () => to.lostRaces.inc({ db }),
    addWriteLock: (heldMs) => {
      to.writeLocks.inc({ db });
      longestMs = Math.max(longestMs, heldMs);
      to.writeLockSeconds.set({ db }, longestMs / 1000);
    },
    addCheckpoint: ({ mode, elapsedMs, failed }) => {
      to.checkpoints.inc({ db, mode });
      to.checkpointSeconds.inc({ db, mode }, elapsedMs / 1000);
      if (failed) to.checkpointErrors.inc({ db, mode });
    },
  };
}

function replicaMetrics(to: ReplicaInstruments, db: string, name: string): ReplicaMetrics {
  const labels = { db, name };
  to.walBytes.inc(labels, 0);
  for (const status of VALIDATION_STATUSES) to.validations.inc({ ...labels, status }, 0);
  for (const proof of PROOFS) to.proofs.inc({ ...labels, ...proof }, 0);
  for (const task of TASKS) to.taskErrors.inc({ ...labels, task }, 0);
  to.retentionOverdue.set(labels, 0);
  return {
    addWalBytes: (bytes) => to.walBytes.inc(labels, bytes),
    setConfirmed: ({ index, offsetBytes }) => {
      for (const gauge of [to.walIndex, to.confirmedIndex]) gauge.set(labels, index);
      for (const gauge of [to.walOffset, to.confirmedOffset]) gauge.set(labels, offsetBytes);
    },
    setLag: ({ lagMs, lagBytes, lagCommits }) => {
      to.lagSeconds.set(labels, lagMs / 1000);
      to.lagBytes.set(labels, lagBytes);
      to.lagCommits.set(labels, lagCommits);
    },
    setStalled: (isStalled) => to.stalled.set(labels, Number(isStalled)),
    addTaskError: (task) => to.taskErrors.inc({ ...labels, task }),
    setRetentionOverdue: (ms) => to.retentionOverdue.set(labels, ms / 1000),
    setSynced: (atMs) => to.synced.set(labels, atMs / 1000),
    addValidation: (status) => to.validations.inc({ ...labels, status }),
    addProof: (depth, outcome) => to.proofs.inc({ ...labels, depth, outcome }),
    setProof: ({ outcome, atMs, provenUntilMs, restoreMs }) => {
      to.broken.set(labels, outcome === 'broken' ? 1 : 0);
      if (outcome === 'proven') to.provenAt.set(labels, atMs / 1000);
      // What was restorable is not any more when damage is found.
      if (provenUntilMs !== undefined || outcome === 'broken')
        to.restorableUntil.set(labels, (provenUntilMs ?? 0) / 1000);
      if (restoreMs !== undefined) to.restoreSeconds.set(labels, restoreMs / 1000);
    },
    setLease: (phase) => {
      to.leaseHeld.set(labels, phase === 'held' || phase === 'parked' ? 1 : 0);
      to.leaseLost.set(labels, phase === 'lost' ? 1 : 0);
    },
  };
}

function removeDatabase(from: DatabaseInstruments, db: string): void {
  const { checkpoints, checkpointErrors, checkpointSeconds, ...plain } = from;
  for (const instrument of Object.values(plain)) instrument.remove({ db });
  for (const counter of [checkpoints, checkpointErrors, checkpointSeconds]) {
    for (const mode of CHECKPOINT_MODES) counter.remove({ db, mode });
  }
}

function removeReplica(from: ReplicaInstruments, db: string, name: string): void {
  const { operations: _operations, operationBytes: _bytes, validations, proofs, taskErrors, ...plain } = from;
  for (const instrument of Object.values(plain)) instrument.remove({ db, name });
  for (const status of VALIDATION_STATUSES) validations.remove({ db, name, status });
  for (const proof of PROOFS) proofs.remove({ db, name, ...proof });
  for (const task of TASKS) taskErrors.remove({ db, name, task });
}
