/**
 * How many databases can be open at a time. Whoever opens databases until no descriptor is left has none for what all of them need
 * then: a connection, a file to store, the note of a position. Nothing is replicated at all then. So a database is opened only while enough
 * is left for those that are open already; the others are told, and tried again.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { RivuletError } from '../base/errors.ts';
import { systemHint } from '../base/system-hint.ts';

/** The live files, SQLite's connections with their journals, and the state directory with its lock, and the lock of the file: 16 were counted. */
const DATABASE_DESCRIPTORS = 16;
/** What one destination has open while it stores something: a file with its directories, or connections. */
const TRANSFER_DESCRIPTORS = 4;
/** Not all destinations store something at the same time; where they do, some try again a moment later. */
const TRANSFERS_SHARE_MAX = 1 / 4;
/** For the process: addresses that are listened on, threads, files that are read again. */
const RESERVE_SHARE = 1 / 8;
const RESERVE_MIN = 12;
const RESERVE_MAX = 64;
/** What a process has open before any database: counted, and rounded up. */
const PROCESS_DESCRIPTORS = 32;
/** Below this share of the limit nobody needs to count. */
const AMPLE_SHARE = 1 / 2;
/** Counting takes milliseconds where there are thousands. */
const RECOUNT_MS = 1_000;

/** What the system says. Infinity where it says nothing. */
export interface DescriptorFacts {
  /** How many this process may have. */
  limit(): number;
  /** How many it has. */
  used(): number;
  /** How many more all processes of this machine together may have. */
  machineFree(): number;
  monotonicMs(): number;
}

export class DescriptorBudget {
  readonly #facts: DescriptorFacts;
  #databases = 0;
  #replicas = 0;
  #counted: { readonly used: number; readonly databases: number; readonly atMs: number } | undefined;

  constructor(facts: DescriptorFacts = systemFacts) {
    this.#facts = facts;
  }

  /**
   * Counts a database with so many destinations as open.
   *
   * @returns what to call when it is closed
   * @throws RivuletError `TOO_MANY_FILES` when it does not fit. The first one is always tried
   */
  take(path: string, replicas: number): () => void {
    this.#assertFits(path, replicas);
    this.#databases++;
    this.#replicas += replicas;
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      this.#databases--;
      this.#replicas -= replicas;
      this.#counted = undefined;
    };
  }

  #assertFits(path: string, replicas: number): void {
    const limit = this.#facts.limit();
    if (this.#databases === 0) return;
    const reserve = Math.min(RESERVE_MAX, Math.max(RESERVE_MIN, limit * RESERVE_SHARE));
    const transfers = Math.min(
      limit * TRANSFERS_SHARE_MAX,
      TRANSFER_DESCRIPTORS * (this.#replicas + replicas),
    );
    const needed = DATABASE_DESCRIPTORS + transfers + reserve;
    const estimated = PROCESS_DESCRIPTORS + DATABASE_DESCRIPTORS * this.#databases;
    const isAmple = estimated + needed < limit * AMPLE_SHARE;
    if (!isAmple && this.#used() + needed > limit) {
      throw tooMany(
        path,
        `this process may have ${limit} open files, and its other databases need them`,
        'EMFILE',
      );
    }
    if (this.#facts.machineFree() < needed)
      throw tooMany(
        path,
        'the processes of this machine have nearly as many open files as it allows',
        'ENFILE',
      );
  }

  #used(): number {
    const nowMs = this.#facts.monotonicMs();
    if (this.#counted === undefined || nowMs - this.#counted.atMs > RECOUNT_MS)
      this.#counted = { used: this.#facts.used(), databases: this.#databases, atMs: nowMs };
    // Those that were begun since may have opened nothing yet.
    return this.#counted.used + DATABASE_DESCRIPTORS * (this.#databases - this.#counted.databases);
  }
}

function tooMany(path: string, why: string, systemCode: 'EMFILE' | 'ENFILE'): RivuletError {
  const error = Object.assign(new Error(`${systemCode}: too many open files`), { code: systemCode });
  const hint = systemHint(error) ?? '';
  return new RivuletError('TOO_MANY_FILES', `${path} cannot be opened: ${why}`, {
    hint,
    details: { path, systemCode },
  });
}

/** Only Linux tells the limit; Node.js has raised it as far as it may go. */
const systemFacts: DescriptorFacts = {
  limit: () => number(textOf('/proc/self/limits'), /^Max open files +(\d+)/m) ?? Number.POSITIVE_INFINITY,
  used: () => {
    try {
      return readdirSync('/proc/self/fd').length;
    } catch {
      // Not even this one can be opened.
      return Number.POSITIVE_INFINITY;
    }
  },
  machineFree: () => {
    const [, allocated, , max] = /^(\d+)\s+(\d+)\s+(\d+)/.exec(textOf('/proc/sys/fs/file-nr')) ?? [];
    return allocated === undefined ? Number.POSITIVE_INFINITY : Number(max) - Number(allocated);
  },
  monotonicMs: () => performance.now(),
};

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function number(text: string, pattern: RegExp): number | undefined {
  const found = pattern.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}
