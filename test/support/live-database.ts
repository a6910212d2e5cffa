/** A database with an application's own connection, and the parts that a primary is made of. */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { silentLogger, type Logger } from '../../src/base/log.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { CheckpointSettings } from '../../src/primary/checkpoint-policy.ts';
import { noObserver, type PrimaryObserver } from '../../src/primary/primary-observer.ts';
import type { CopySizes } from '../../src/primary/copies.ts';
import { type Machine, systemMachine } from '../../src/primary/machine.ts';
import { Primary } from '../../src/primary/primary.ts';
import { Scratch } from './scratch.ts';

export const NO_CHECKPOINTS: CheckpointSettings = {
  minPages: 1_000_000,
  maxPages: 0,
  intervalMs: 0,
  walLimitBytes: Number.MAX_SAFE_INTEGER,
  // What is due is tried at each look, also while commits keep coming.
  stepBytes: 1,
};

/** Knows every destination. */
const ANY_NAME: ReadonlySet<string> = Object.assign(new Set<string>(), { has: () => true });

export interface PrimaryShape {
  readonly destinations?: ReadonlySet<string>;
  readonly metaPath?: string;
  readonly checkpoint?: Partial<CheckpointSettings>;
  readonly spoolLimitBytes?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly observer?: Partial<PrimaryObserver>;
  readonly machine?: Machine;
  readonly copySizes?: CopySizes;
}

/** A machine whose disk has no room for a copy of a database; for `NOT_IN_MEMORY`. */
export const NO_ROOM: Machine = {
  ...systemMachine,
  files: { ...systemMachine.files, freeBytes: () => 0 },
};
/** A machine on which no snapshot may begin a read transaction. */
export const NO_READER: Machine = {
  ...systemMachine,
  openConnections: (path, busyTimeoutMs) => {
    const connections = systemMachine.openConnections(path, busyTimeoutMs);
    connections.openReader = () => assert.fail('a read transaction for the snapshot');
    return connections;
  },
};
export const NOT_IN_MEMORY: CopySizes = { inMemoryBytes: 0 };

export function openPrimary(path: string, shape: PrimaryShape = {}): Primary {
  return new Primary(
    {
      path,
      metaPath: shape.metaPath ?? `${path}-meta`,
      checkpoint: { ...NO_CHECKPOINTS, ...shape.checkpoint },
      spoolLimitBytes: shape.spoolLimitBytes ?? 2 ** 30,
      busyTimeoutMs: 200,
      destinations: shape.destinations ?? ANY_NAME,
      ...(shape.copySizes === undefined ? {} : { copySizes: shape.copySizes }),
    },
    {
      clock: shape.clock ?? systemClock,
      logger: shape.logger ?? silentLogger,
      observer: { ...noObserver, ...shape.observer },
      ...(shape.machine === undefined ? {} : { machine: shape.machine }),
    },
  );
}

/** A folder with a database in it that is written to. */
export class LiveDatabase implements Disposable {
  readonly scratch: Scratch = new Scratch();
  readonly path: string = this.scratch.file('app.db');
  #app: DatabaseSync | undefined;

  constructor(pageSizeBytes: number = 4096) {
    this.open();
    this.exec(`PRAGMA page_size=${pageSizeBytes}; PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0`);
    this.exec('PRAGMA synchronous=off; CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)');
  }

  /** The application's connection. */
  get app(): DatabaseSync {
    return this.open();
  }

  open(): DatabaseSync {
    this.#app ??= new DatabaseSync(this.path, { timeout: 2000 });
    return this.#app;
  }

  exec(sql: string): void {
    this.app.exec(sql);
  }

  /** So many rows of random bytes in one transaction. */
  insert(rows: number = 1, bytes: number = 200): void {
    this.exec(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
       INSERT INTO t (body) SELECT randomblob(${bytes}) FROM n`,
    );
  }

  count(): number {
    return Number(this.app.prepare('SELECT count(*) AS n FROM t').get()?.['n']);
  }

  checkpoint(mode: 'PASSIVE' | 'FULL' | 'RESTART' | 'TRUNCATE'): { busy: number; log: number } {
    const row = this.app.prepare(`PRAGMA wal_checkpoint(${mode})`).get();
    return { busy: Number(row?.['busy']), log: Number(row?.['log']) };
  }

  close(): void {
    this.#app?.close();
    this.#app = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
    this.scratch[Symbol.dispose]();
  }
}
