/**
 * Fetches the objects of a plan ahead of the applier: several at once, handed out in order, within a bound on bytes.
 */
import type { SegmentEntry } from '../generations/inventory.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/** Stored bytes fetched ahead: two of the largest segments that a Rivulet writer makes, hundreds of small ones. */
const AHEAD_BYTES_MAX = 16 * 1024 * 1024;

/** Objects fetched ahead for each fetch at a time: enough that a slow one among them holds up no other. */
const AHEAD_PER_FETCH = 4;

/** Objects from this size on are not held in memory but read as they are applied. */
const STREAMED_BYTES_MIN = 16 * 1024 * 1024;

export interface FetchedSegment {
  readonly segment: SegmentEntry;
  /** The whole object; undefined when it is too large and must be read as a stream. */
  readonly bytes: Uint8Array | undefined;
}

interface Slot {
  readonly fetched: Promise<Uint8Array | undefined>;
  readonly heldBytes: number;
}

/** One run over a plan's segments. */
class FetchAhead {
  readonly #store: Pick<ObjectStore, 'readBytes'>;
  readonly #segments: readonly SegmentEntry[];
  readonly #parallelism: number;
  readonly #signal: AbortSignal;
  /** Fetches under way or done, from the one that is handed out next on; consumed slots are dropped. */
  readonly #slots = new Map<number, Slot>();
  #started = 0;
  #underWay = 0;
  #heldBytes = 0;

  constructor(
    store: Pick<ObjectStore, 'readBytes'>,
    segments: readonly SegmentEntry[],
    options: { parallelism: number; signal: AbortSignal },
  ) {
    this.#store = store;
    this.#segments = segments;
    this.#parallelism = options.parallelism;
    this.#signal = options.signal;
  }

  /** The object of segment `i`; to be asked for in order. */
  async take(i: number): Promise<Uint8Array | undefined> {
    this.#fill();
    const slot = this.#slots.get(i);
    if (slot === undefined) throw new Error(`segment ${i} was not fetched`);
    const bytes = await slot.fetched;
    this.#slots.delete(i);
    this.#heldBytes -= slot.heldBytes;
    return bytes;
  }

  /** Waits for what is under way. */
  async settle(): Promise<void> {
    await Promise.allSettled([...this.#slots.values()].map(({ fetched }) => fetched));
  }

  #fill(): void {
    while (this.#started < this.#segments.length && this.#underWay < this.#parallelism) {
      if (this.#slots.size >= AHEAD_PER_FETCH * this.#parallelism) return;
      const segment = this.#segments[this.#started] as SegmentEntry;
      if (this.#slots.size > 0 && this.#heldBytes + segment.sizeBytes > AHEAD_BYTES_MAX) return;
      this.#start(segment);
    }
  }

  #start(segment: SegmentEntry): void {
    const heldBytes = segment.sizeBytes < STREAMED_BYTES_MIN ? segment.sizeBytes : 0;
    const fetched = heldBytes === segment.sizeBytes ? this.#fetch(segment) : Promise.resolve(undefined);
    fetched.catch(() => undefined);
    this.#slots.set(this.#started, { fetched, heldBytes });
    this.#heldBytes += heldBytes;
    this.#started += 1;
  }

  async #fetch({ key, sizeBytes }: SegmentEntry): Promise<Uint8Array> {
    this.#underWay += 1;
    try {
      return await this.#store.readBytes(key, { sizeHintBytes: sizeBytes, signal: this.#signal });
    } finally {
      this.#underWay -= 1;
      if (!this.#signal.aborted) this.#fill();
    }
  }
}

/** The segments with their objects, in order. What is under way when the loop is left is cancelled. */
export async function* fetchSegments(
  store: Pick<ObjectStore, 'readBytes'>,
  segments: readonly SegmentEntry[],
  options: { readonly parallelism: number; readonly signal: AbortSignal },
): AsyncGenerator<FetchedSegment> {
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const ahead = new FetchAhead(store, segments, { parallelism: options.parallelism, signal });
  try {
    for (const [i, segment] of segments.entries()) yield { segment, bytes: await ahead.take(i) };
  } finally {
    stop.abort();
    await ahead.settle();
  }
}
