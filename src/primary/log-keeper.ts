/**
 * Keeps what destinations still need of the log when the log itself will not: knows who has confirmed what, where
 * finished logs ended, and puts into the spool whatever somebody lacks before the log may be restarted.
 */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { comparePositions, type Position } from '../generations/names.ts';
import { WAL_HEADER_BYTES } from '../wal/wal-header.ts';
import { type ConsumerName, Consumers } from './consumers.ts';
import { type Cursor, type LogBytes, positionOf } from './cursor.ts';
import type { LocalTrouble } from './local-trouble.ts';
import type { LogTail } from './log-tail.ts';
import type { OpenDatabase } from './open-database.ts';
import { ReadPatience } from './read-patience.ts';
import type { LogEnd } from './resume-point.ts';
import type { Spool } from './spool.ts';

/** Pieces in which the rest of a log goes into the spool. */
const PIECE_BYTES = 1024 * 1024;
/** Where writers wait for the end of it: a slow disk has the time to write little between two looks at the clock. */
const SMALL_PIECE_BYTES = 64 * 1024;
/** Rounds of reading to the end of a log that a writer keeps extending, before leaving it for later. */
const CATCH_UP_ROUNDS = 8;

let piece: Uint8Array | undefined;

/** A piece is read and written in one go, so one buffer serves all databases. */
function pieceBuffer(): Uint8Array {
  piece ??= new Uint8Array(PIECE_BYTES);
  return piece;
}

export interface KeeperParts {
  readonly spool: Spool;
  readonly spoolLimitBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly trouble: LocalTrouble;
}

export class LogKeeper {
  readonly #parts: KeeperParts;
  readonly #consumers = new Consumers();
  readonly #patience: ReadPatience;
  #ends = new Map<number, LogEnd>();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#patience = new ReadPatience(parts.clock);
  }

  /** Where earlier logs ended that may still be needed. */
  get ends(): ReadonlyMap<number, LogEnd> {
    return this.#ends;
  }

  get confirmed(): ReadonlyMap<string, Position> {
    return this.#consumers.positions;
  }

  get spoolBytes(): number {
    return this.#parts.spool.sizeBytes;
  }

  /** Nothing of what was is needed any more: a new generation begins. @throws as `forgetSpooled` */
  reset(): void {
    this.forgetSpooled();
    this.#consumers.clear();
    this.#ends = new Map();
  }

  /**
   * What an earlier run has spooled is not of the log as it is now, or cannot be told to be.
   *
   * @throws what the file system does: what stays would be taken for this log's at the next start
   */
  forgetSpooled(): void {
    this.#parts.spool.clear();
  }

  /** That something of it stays on a disk that refuses is no reason to stop. */
  #prune(position: Position | undefined): void {
    const { spool, trouble } = this.#parts;
    trouble.attempt('spool', () => spool.prune(position));
  }

  /** Takes up what an earlier run has written down. */
  resume(ends: ReadonlyMap<number, LogEnd>, confirmed: ReadonlyMap<string, Position>): void {
    this.#ends = new Map(ends);
    this.#consumers.clear();
    const nowMs = this.#parts.clock.monotonicMs();
    for (const [name, position] of confirmed) this.#consumers.resume(name, position, nowMs);
    this.#release();
  }

  /** Log `index` is finished. */
  finish(index: number, end: LogEnd): void {
    this.#ends.set(index, end);
  }

  // ---- destinations --------------------------------------------------------------------------------------------

  confirm(name: ConsumerName, position: Position): void {
    this.#consumers.confirm(name, position, this.#parts.clock.monotonicMs());
    this.#release();
  }

  failed(name: string): void {
    this.#consumers.failed(name);
  }

  drop(name: ConsumerName): void {
    this.#consumers.drop(name);
    this.#release();
  }

  /** Whether a copy of the database that is being made needs more of the log than every destination. */
  get isCopySlowest(): boolean {
    return this.#consumers.slowestNames().some((name) => typeof name === 'symbol');
  }

  #release(): void {
    const slowest = this.#consumers.slowest();
    this.#prune(slowest);
    const oldest = slowest?.index ?? Number.POSITIVE_INFINITY;
    for (const index of this.#ends.keys()) {
      if (index < oldest - 1) this.#ends.delete(index);
    }
  }

  /** Whether every destination has confirmed something lately. */
  isShipping(nowMs: number): boolean {
    return this.#consumers.isMoving(nowMs);
  }

  // ---- capturing -----------------------------------------------------------------------------------------------

  /** Bytes of the present log that somebody lacks and the spool does not have. */
  uncapturedBytes(tail: LogTail): number {
    const from = this.#uncaptured(tail);
    return from === undefined ? 0 : tail.position.offsetBytes - from.offsetBytes;
  }

  #uncaptured(tail: LogTail): Position | undefined {
    const slowest = this.#consumers.slowest();
    if (slowest === undefined || comparePositions(slowest, tail.position) >= 0) return undefined;
    const needed: Position = slowest.index < tail.index ? { index: tail.index, offsetBytes: 0 } : slowest;
    const offsetBytes = this.#parts.spool.coveredUntil(needed) ?? needed.offsetBytes;
    return offsetBytes < tail.position.offsetBytes ? { index: tail.index, offsetBytes } : undefined;
  }

  /** Keeps bytes of a log that its file will not keep. A destination that lacks them gets a fresh snapshot where that fails. */
  keep(from: Position, bytes: Uint8Array): void {
    const { spool, clock, trouble } = this.#parts;
    if (this.#consumers.slowest() === undefined) return;
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const place = { index: from.index, offsetBytes: from.offsetBytes + at };
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      if (!trouble.attempt('spool', () => spool.append(place, piece, clock.now()))) return;
    }
  }

  /** Captures everything up to the tail, letting others run in between. */
  async capture(database: OpenDatabase, tail: LogTail): Promise<void> {
    while (this.#capturePiece(database, tail, PIECE_BYTES)) await database.machine.pause();
  }

  /** Captures and follows, without a lock. Answers whether only a little is left: a fast writer may outrun this. */
  async captureMost(database: OpenDatabase, tail: LogTail): Promise<boolean> {
    let gapBytes = Number.POSITIVE_INFINITY;
    for (let round = 0; round < CATCH_UP_ROUNDS; round++) {
      await this.capture(database, tail);
      const before = tail.position.offsetBytes;
      await tail.advanceIfTold(database.machine.pause);
      const aheadBytes = tail.position.offsetBytes - before;
      if (aheadBytes <= PIECE_BYTES) return true;
      if (aheadBytes > gapBytes / 2) return false;
      gapBytes = aheadBytes;
    }
    return false;
  }

  /** The same in one go, or until `isLate` says so. Answers whether everything up to the tail is safe now. */
  captureNow(database: OpenDatabase, tail: LogTail, isLate?: () => boolean): boolean {
    const pieceBytes = isLate === undefined ? PIECE_BYTES : SMALL_PIECE_BYTES;
    const hasTime = (): boolean => isLate?.() !== true;
    while (hasTime() && this.#capturePiece(database, tail, pieceBytes)) continue;
    return this.#uncaptured(tail) === undefined;
  }

  /** Puts the next piece that somebody needs into the spool. Answers false when there is none, or none to be had. */
  #capturePiece({ wal }: OpenDatabase, tail: LogTail, pieceBytes: number): boolean {
    const from = this.#uncaptured(tail);
    if (from === undefined) return false;
    if (this.#parts.spool.sizeBytes >= this.#parts.spoolLimitBytes) {
      // A destination that is well makes room by itself, be it slow: the checkpoint waits.
      if (this.#consumers.isSlowestWell(this.#parts.clock.monotonicMs())) return false;
      this.#dropSlowest();
      return true;
    }
    const bytes = pieceBuffer().subarray(
      0,
      Math.min(pieceBytes, tail.position.offsetBytes - from.offsetBytes),
    );
    // A restart is published first, and writes the header then: before that, what was read is of the old log.
    if (wal.read(bytes, from.offsetBytes) < bytes.length || !tail.isPresent()) return false;
    const { spool, clock, trouble } = this.#parts;
    return trouble.attempt('spool', () => spool.append(from, bytes, clock.now()));
  }

  /** A destination that has been away so long that the spool is full gives up its chain, not the application. */
  #dropSlowest(): void {
    const { spool, logger } = this.#parts;
    for (const name of this.#consumers.slowestNames()) {
      this.#consumers.drop(name);
      // A copy finds out by itself, and begins again or is given up.
      if (typeof name === 'symbol') continue;
      // Whether the destination is away is told where that is known; this heals itself.
      logger.warn('the spool is full; the destination will need a fresh snapshot when it is back', {
        replica: name,
        spoolBytes: spool.sizeBytes,
      });
    }
    this.#prune(this.#consumers.slowest());
  }

  compressLingering(): void {
    const { spool, clock, trouble } = this.#parts;
    trouble.attempt('spool', () => spool.compressLingering(clock.now()));
  }

  // ---- what is kept --------------------------------------------------------------------------------------------

  /** The spooled copy of log `index`. */
  spooled(index: number): LogBytes {
    const read = (into: Uint8Array, offsetBytes: number): number =>
      this.#patience.attempt(`${index} ${offsetBytes}`, () =>
        this.#parts.spool.read(index, into, offsetBytes),
      );
    return { read };
  }

  #endBytes(index: number): number | undefined {
    return this.#ends.get(index)?.offsetBytes;
  }

  /** Whether everything from `cursor` to the start of log `presentIndex` is at hand. */
  covers(cursor: Cursor, presentIndex: number): boolean {
    let at = positionOf(cursor);
    for (; at.index < presentIndex; at = { index: at.index + 1, offsetBytes: 0 }) {
      const end = this.#endBytes(at.index);
      if (end === undefined || at.offsetBytes > end) return false;
      if (at.offsetBytes < end && (this.#parts.spool.coveredUntil(at) ?? 0) < end) return false;
    }
    return at.index === presentIndex;
  }

  /** Log bytes from one position to a later one, as far as the sizes of the logs between are known. */
  bytesBetween(from: Position, to: Position): number {
    if (comparePositions(from, to) >= 0) return 0;
    const toBytes = to.offsetBytes <= WAL_HEADER_BYTES ? 0 : to.offsetBytes;
    if (from.index === to.index) return Math.max(0, toBytes - from.offsetBytes);
    let bytes = (this.#endBytes(from.index) ?? from.offsetBytes) - from.offsetBytes;
    for (let index = from.index + 1; index < to.index; index++) bytes += this.#endBytes(index) ?? 0;
    return bytes + toBytes;
  }

  /**
   * Whether whoever has everything before `from` has everything before `to`, as far as is known. The header alone of a log
   * that has no commit yet is nothing that anybody could have: no object tells of it.
   */
  isNothingBetween(from: Position, to: Position): boolean {
    if (comparePositions(from, to) >= 0) return true;
    if (to.offsetBytes > WAL_HEADER_BYTES) return false;
    return (
      from.index === to.index ||
      (from.index === to.index - 1 && this.#endBytes(from.index) === from.offsetBytes)
    );
  }
}
