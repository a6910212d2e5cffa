/**
 * How much of what is committed one destination lacks, and for how long it has lacked the oldest part of it.
 *
 * Log bytes are counted from the first look on, across logs and generations, so that neither a restarted log nor a chain that
 * was given up makes the sum smaller: only what is stored does. A mark is made whenever a look finds something new; the oldest
 * one beyond what is stored tells the lag. Marks are bounded: when there are too many, those close together become one that is
 * as old as the oldest of them, so the lag may be told a little too long, never too short.
 *
 * What was written while nobody looked (before the start, while the process was stopped) was written by the last change of the log file
 * at the latest: so it is told to be at least that old, and may be older.
 */
import { isSamePlace } from './behind-memory.ts';
import type { StoredPlace } from './behind-note.ts';
import type { Generation, Position } from '../generations/names.ts';

/** A look each 100 ms makes so many in less than two minutes; thinned, they tell any time within half a percent. */
const MARKS_MAX = 1024;

/** As the primary knows it. */
export interface LogEndSeen {
  readonly generation: Generation | undefined;
  readonly position: Position | undefined;
  /** Transactions that were read since the start, by the count that is in the log. */
  readonly commits: number;
  bytesBetween(from: Position, to: Position): number;
}

/** All log bytes up to `bytes`, in which `commits` transactions are, were there at this time, by the monotonic clock. */
interface Mark {
  readonly bytes: number;
  readonly commits: number;
  readonly atMs: number;
}

/** Since when the destination lacked something where it stood then. */
export interface Remembered {
  readonly atMs: number;
  readonly stored: StoredPlace | undefined;
}

export class Lag {
  readonly #startedMs: number;
  #seen: { readonly generation: Generation; readonly position: Position } | undefined;
  #seenBytes = 0;
  #storedBytes = 0;
  #seenCommits = 0;
  #storedCommits = 0;
  #marks: Mark[] = [];
  /** Since when nothing is known to be stored, although nothing new was found since all was. */
  #lostSinceMs: number | undefined;
  /** Whether it is known what the destination holds. */
  #isKnown = false;
  #remembered: Remembered | undefined;

  /**
   * @param nowMs - by the monotonic clock, as all times here
   * @param remembered - what an earlier run knew
   */
  constructor(nowMs: number, remembered?: Remembered) {
    this.#startedMs = nowMs;
    this.#remembered = remembered;
  }

  /**
   * What is committed now.
   *
   * @param ageMs - for how long it has been there at least
   */
  saw(log: LogEndSeen, nowMs: number, ageMs: number = 0): void {
    const { generation, position } = log;
    if (generation === undefined || position === undefined) return;
    const before = this.#seen;
    this.#seen = { generation, position };
    // Another generation begins with its log as it is then, which may be empty: it is lacking all the same.
    const moreBytes =
      before?.generation === generation
        ? log.bytesBetween(before.position, position)
        : Math.max(1, position.offsetBytes);
    if (moreBytes === 0) return;
    this.#seenBytes += moreBytes;
    this.#seenCommits = log.commits;
    this.#marks.push({
      bytes: this.#seenBytes,
      commits: this.#seenCommits,
      atMs: nowMs - Math.max(0, ageMs),
    });
    if (this.#marks.length > MARKS_MAX) this.#marks = thinned(this.#marks);
  }

  /** The destination holds everything before `place`. @param log - as it was seen last */
  stored(log: LogEndSeen, place: StoredPlace): void {
    const { generation, position } = place;
    // After a first snapshot nothing of the log is stored, but what it held then is in the snapshot.
    this.#isKnown ||= position.offsetBytes > 0;
    this.#compareWith(place);
    if (this.#seen?.generation !== generation) return;
    this.#storedUpTo(this.#seenBytes - log.bytesBetween(position, this.#seen.position));
  }

  /** It holds everything that was seen. */
  storedAll(): void {
    this.#isKnown = true;
    this.#remembered = undefined;
    this.#storedUpTo(this.#seenBytes);
  }

  /** Where the destination stands still where it stood, it lacks the same oldest change. */
  #compareWith(place: StoredPlace): void {
    const before = this.#remembered;
    const oldest = this.#marks[0];
    this.#remembered = undefined;
    if (before === undefined || oldest === undefined || !isSamePlace(before.stored, place)) return;
    this.#marks[0] = { ...oldest, atMs: Math.min(oldest.atMs, before.atMs) };
  }

  #storedUpTo(bytes: number): void {
    this.#storedBytes = Math.max(this.#storedBytes, bytes);
    this.#lostSinceMs = undefined;
    const firstLacking = this.#marks.findIndex((mark) => mark.bytes > this.#storedBytes);
    const done = this.#marks.splice(0, firstLacking === -1 ? this.#marks.length : firstLacking);
    this.#storedCommits = done.at(-1)?.commits ?? this.#storedCommits;
  }

  /** Log bytes that are known to be stored, from the first look on; never becomes less. */
  get storedBytes(): number {
    return this.#storedBytes;
  }

  /** Log bytes that were seen and are not stored. */
  get bytes(): number {
    return this.#seenBytes - this.#storedBytes;
  }

  /** Transactions that were seen and are not stored, as far as marks tell them apart: some more where a look found several. */
  get commits(): number {
    return this.#seenCommits - this.#storedCommits;
  }

  /** For how long it has lacked the oldest of them; asked only while it lacks something. */
  ms(nowMs: number): number {
    const oldest = this.#marks[0];
    if (oldest === undefined) {
      this.#lostSinceMs ??= nowMs;
      return nowMs - this.#lostSinceMs;
    }
    // Nobody knows yet whether the destination lacks what was there before the start.
    const sinceMs = this.#isKnown ? oldest.atMs : Math.max(oldest.atMs, this.#startedMs);
    return Math.max(0, nowMs - Math.min(sinceMs, this.#remembered?.atMs ?? sinceMs));
  }
}

/** Marks that are far enough apart, together half as many as there may be. */
function thinned(marks: readonly Mark[]): Mark[] {
  const spacingMs = ((marks.at(-1)?.atMs ?? 0) - (marks[0]?.atMs ?? 0)) / (MARKS_MAX / 2);
  const kept: Mark[] = [];
  for (const mark of marks) {
    const last = kept.at(-1);
    if (last === undefined || mark.atMs - last.atMs >= spacingMs) kept.push(mark);
    else kept[kept.length - 1] = { ...mark, atMs: last.atMs };
  }
  return kept;
}
