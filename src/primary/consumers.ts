/** What each destination has confirmed, as far as the primary must know it to keep what is still needed; and what copies need. */
import { comparePositions, type Position } from '../generations/names.ts';

/** A destination that has confirmed nothing for this long is not counted as shipping. */
const MOVING_MS = 3_000;
/**
 * One that does not fail may be slow: a segment may take this long, at 140 KB/s, before nobody waits for it any more. A fresh
 * snapshot would have to go the same slow way.
 */
const PATIENCE_MS = 60_000;

interface Consumer {
  readonly position: Position;
  /** When it last confirmed something in this run. */
  readonly confirmedMs: number;
  /** When it last was as it should be; by the monotonic clock, like all moments here. */
  readonly wellMs: number;
}

/** A destination has a name; a copy of the database that is being made (`database-copy.ts`) is a symbol. */
export type ConsumerName = string | symbol;

export class Consumers {
  /** A name that is here holds back the log from its position on; a name that is not holds back nothing. */
  readonly #all = new Map<ConsumerName, Consumer>();

  /** Of destinations: a copy ends with the process. */
  get positions(): ReadonlyMap<string, Position> {
    return new Map(this.#destinations().map(([name, { position }]) => [name, position]));
  }

  #destinations(): [string, Consumer][] {
    return [...this.#all].filter((entry): entry is [string, Consumer] => typeof entry[0] === 'string');
  }

  /** Known from an earlier run, and to be heard of. */
  resume(name: string, position: Position, nowMs: number): void {
    this.#all.set(name, { position, confirmedMs: Number.NEGATIVE_INFINITY, wellMs: nowMs });
  }

  confirm(name: ConsumerName, position: Position, nowMs: number): void {
    this.#all.set(name, { position, confirmedMs: nowMs, wellMs: nowMs });
  }

  /** Storing something there has failed. */
  failed(name: string): void {
    const consumer = this.#all.get(name);
    if (consumer !== undefined) this.#all.set(name, { ...consumer, wellMs: Number.NEGATIVE_INFINITY });
  }

  /** Whether every destination has confirmed something lately, so that waiting for them is better than spooling. */
  isMoving(nowMs: number): boolean {
    return this.#destinations().every(([, { confirmedMs }]) => nowMs - confirmedMs < MOVING_MS);
  }

  /** Whether the slowest may be waited for: it does not fail, and has not been silent for long. */
  isSlowestWell(nowMs: number): boolean {
    return this.#slowest().every(([, { wellMs }]) => nowMs - wellMs < PATIENCE_MS);
  }

  /** The destination starts anew with a snapshot and needs nothing of what is there now; the copy has ended. */
  drop(name: ConsumerName): void {
    this.#all.delete(name);
  }

  clear(): void {
    this.#all.clear();
  }

  /** The position of the one that is furthest behind; undefined when nobody needs anything. */
  slowest(): Position | undefined {
    return [...this.#all.values()].reduce<Position | undefined>(
      (least, { position }) =>
        least === undefined || comparePositions(position, least) < 0 ? position : least,
      undefined,
    );
  }

  /** Those that are furthest behind. */
  slowestNames(): ConsumerName[] {
    return this.#slowest().map(([name]) => name);
  }

  #slowest(): [ConsumerName, Consumer][] {
    const least = this.slowest();
    if (least === undefined) return [];
    return [...this.#all].filter(([, { position }]) => comparePositions(position, least) === 0);
  }
}
