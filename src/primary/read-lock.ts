/**
 * When a read transaction is held, and for how long. While nothing happens none is: an application may checkpoint, restart and
 * truncate its WAL, and the index's count of commits proves afterwards that nothing was missed. While commits come, one is held
 * and moved forward without ever being absent. It lasts where the count proves nothing yet, and for a growing time after a
 * race was lost: a transaction that was committed, checkpointed and overwritten between a wake-up and the first read.
 *
 * A lasting one steps aside all the same: once all of the WAL is in the database file, a transaction that begins then reads
 * from the file alone, and lets writers restart the WAL and applications truncate it.
 */
import type { Clock } from '../base/clock.ts';
import type { WalIndex } from '../wal/wal-index.ts';
import { CommitCount } from './commit-count.ts';
import type { Connections } from './connections.ts';
import type { LogTail } from './log-tail.ts';

/** Without a commit for this long, nothing happens: the transaction ends. */
const QUIET_MS = 90;
/** Without one for this long it is moved to the newest commit, so that a checkpoint which waits for it can go on. */
const PAUSE_MS = 15;
/** After a lost race the transaction lasts for so long; doubled by each further one, up to the second. */
const LASTING_MS = 60_000;
const LASTING_MAX_MS = 3_600_000;

/** An application that has truncated its WAL, as before a backup, does so again: what nobody has stored yet is kept at once then. */
const EAGER_MS = 24 * 3_600_000;

/** Why a read transaction is held although nothing happens. */
export type LastingReason =
  /** Too few commits have been counted since the index was begun or recovered, or they cannot be counted. */
  | 'uncounted'
  /** A race was lost a while ago. */
  | 'lost-race';

/** What is known of the application's ways; kept from one generation to the next, as long as the process lives. */
export class ApplicationWays {
  readonly #clock: Clock;
  #lastingMs = 0;
  #untilMs = Number.NEGATIVE_INFINITY;
  #count = 0;
  #eagerUntilMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#count;
  }

  get isLasting(): boolean {
    return this.#clock.monotonicMs() < this.#untilMs;
  }

  /** Whether applications are known to empty the WAL by themselves. */
  get isEager(): boolean {
    return this.#clock.monotonicMs() < this.#eagerUntilMs;
  }

  /** An application has emptied its WAL. */
  emptied(): void {
    this.#eagerUntilMs = this.#clock.monotonicMs() + EAGER_MS;
  }

  lost(): void {
    this.#count++;
    this.#lastingMs = Math.min(LASTING_MAX_MS, Math.max(LASTING_MS, this.#lastingMs * 2));
    this.#untilMs = this.#clock.monotonicMs() + this.#lastingMs;
  }
}

export interface ReadLockDeps {
  readonly connections: Connections;
  readonly clock: Clock;
  readonly ways: ApplicationWays;
}

export class ReadLock {
  readonly #deps: ReadLockDeps;
  readonly #count = new CommitCount();
  #covers = false;
  /** The count of commits that was seen last, and since when it has been that. */
  #seen: { readonly change: number; readonly sinceMs: number };
  /** The index when the transaction was begun or moved last. */
  #begunAt: WalIndex | undefined;

  /** The transaction is open, and everything that was published then has been read. */
  constructor(deps: ReadLockDeps, tail: LogTail, index: WalIndex) {
    this.#deps = deps;
    this.#seen = { change: index.change, sinceMs: deps.clock.monotonicMs() };
    this.looked(tail, index);
  }

  /** Whether the transaction has been open, without a break, since the tail had everything that was committed at its begin. */
  get covers(): boolean {
    return this.#covers && this.isHeld;
  }

  get isHeld(): boolean {
    return this.#deps.connections.holding;
  }

  /** Notes whether there was a commit. */
  glance({ change }: WalIndex): void {
    if (change !== this.#seen.change) this.#seen = { change, sinceMs: this.#deps.clock.monotonicMs() };
  }

  /** For how long there was no commit, in milliseconds. */
  get stillMs(): number {
    return this.#deps.clock.monotonicMs() - this.#seen.sinceMs;
  }

  /** Whether there was no commit for a moment. */
  get isPausing(): boolean {
    return this.stillMs >= PAUSE_MS;
  }

  /** Whether there was no commit for a while. */
  get isQuiet(): boolean {
    return this.stillMs >= QUIET_MS;
  }

  /** Whether what nobody has stored yet is worth keeping aside, so that an application which checkpoints need not wait for it. */
  get isWorthKeeping(): boolean {
    return this.isQuiet || this.#deps.ways.isEager;
  }

  /** Why it is held although nothing happens; undefined when it is let go then. */
  lastingReason(tail: LogTail): LastingReason | undefined {
    if (this.#deps.ways.isLasting) return 'lost-race';
    return this.isCountTrusted(tail) ? undefined : 'uncounted';
  }

  isCountTrusted(tail: LogTail): boolean {
    return this.#count.isTrusted(tail);
  }

  /** Before anything new is read. */
  begin(index: WalIndex): void {
    this.glance(index);
    if (this.isHeld) return;
    this.#covers = false;
    this.#deps.connections.hold();
    this.#begunAt = index;
  }

  /** Everything that the index had published after the transaction began has been read. */
  looked(tail: LogTail, index: WalIndex): void {
    this.#count.note(tail);
    this.#begunAt ??= index;
    this.#covers = this.isHeld;
  }

  /**
   * Moves the transaction to the newest commit.
   *
   * @param capture - reads to the end of the WAL, and makes safe what nobody has stored; the WAL may be restarted as soon as the
   *   transaction stands on the database file alone
   * @param index - as it was before
   * @returns whether it moved
   */
  advance(index: WalIndex, capture: () => boolean): boolean {
    const moved = this.#deps.connections.moveHold(capture);
    if (!moved) return false;
    this.#begunAt = index;
    this.#covers = true;
    return true;
  }

  /** Whether moving it would let others do something that they cannot do now. */
  isInTheWay(index: WalIndex): boolean {
    if (!this.isHeld || this.#begunAt === undefined) return false;
    const { frames, salt1, salt2, backfilledFrames } = this.#begunAt;
    const isSame = frames === index.frames && salt1 === index.salt1 && salt2 === index.salt2;
    if (!isSame) return true;
    return backfilledFrames < frames && index.backfilledFrames >= index.frames;
  }

  /** Ends the transaction: what was read must be stored or kept elsewhere. */
  release(): void {
    this.#deps.connections.release();
    this.#covers = false;
    this.#begunAt = undefined;
  }
}
