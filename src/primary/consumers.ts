/** What each destination has confirmed, as far as the primary must know it to keep what is still needed. */
import { comparePositions, type Position } from '../generations/names.ts';

/** A destination that has confirmed nothing for this long is not counted as shipping. */
const MOVING_MS = 3_000;

export class Consumers {
  /** A name that is here holds back the log from its position on; a name that is not holds back nothing. */
  readonly #positions = new Map<string, Position>();

  readonly #confirmedMs = new Map<string, number>();

  get positions(): ReadonlyMap<string, Position> {
    return this.#positions;
  }

  set(name: string, position: Position, nowMs: number = Number.NEGATIVE_INFINITY): void {
    this.#positions.set(name, position);
    this.#confirmedMs.set(name, nowMs);
  }

  /** Whether everybody has confirmed something lately, so that waiting for them is better than spooling. */
  isMoving(nowMs: number): boolean {
    return [...this.#positions.keys()].every(
      (name) => nowMs - (this.#confirmedMs.get(name) ?? 0) < MOVING_MS,
    );
  }

  /** The destination starts anew with a snapshot and needs nothing of what is there now. */
  drop(name: string): void {
    this.#positions.delete(name);
    this.#confirmedMs.delete(name);
  }

  clear(): void {
    this.#positions.clear();
  }

  /** The position of the one that is furthest behind; undefined when nobody needs anything. */
  slowest(): Position | undefined {
    return [...this.#positions.values()].reduce<Position | undefined>(
      (least, position) => (least === undefined || comparePositions(position, least) < 0 ? position : least),
      undefined,
    );
  }

  /** Names of those that stand before `position`. */
  behind(position: Position): string[] {
    return [...this.#positions].filter(([, at]) => comparePositions(at, position) < 0).map(([name]) => name);
  }
}
