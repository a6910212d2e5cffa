/**
 * What a replica holds, by the names alone: sorted by us, never by the store, and with everything that is not a
 * well-formed name set aside. Whether the objects are what their names say is found out when they are read.
 */
import type { CallOptions, ObjectInfo, ObjectStore } from '../storage/object-store.ts';
import { endKey, parseEndName } from './ends.ts';
import { parseKeptName } from './kept.ts';
import { TimeStep } from './time-step.ts';
import {
  GENERATIONS_PREFIX,
  type Generation,
  INDEX_MAX,
  type Position,
  comparePositions,
  generationPrefix,
  isGeneration,
  parseSegmentName,
  parseSnapshotName,
  segmentKey,
  snapshotKey,
} from './names.ts';

interface StoredObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** Milliseconds since 1970, by the store's clock. */
  readonly createdAt: number;
}

export interface SnapshotEntry extends StoredObject {
  readonly index: number;
}

/** A segment's position is that of its first byte. */
export interface SegmentEntry extends StoredObject, Position {}

/** The chain reached at least this position; see `ends.ts`. */
export interface EndEntry extends StoredObject, Position {}

/** Retention leaves the generation alone until then; see `kept.ts`. */
export interface KeptEntry extends StoredObject {
  /** Milliseconds since 1970. */
  readonly untilMs: number;
}

export interface GenerationInventory {
  readonly generation: Generation;
  /** By index. */
  readonly snapshots: readonly SnapshotEntry[];
  /** By position. */
  readonly segments: readonly SegmentEntry[];
  /** By position. */
  readonly ends: readonly EndEntry[];
  /** By time; none when absent. */
  readonly kept?: readonly KeptEntry[];
  /** Times of the oldest and newest snapshot or segment; of the end promises when there is nothing else. */
  readonly startedAt: number;
  readonly updatedAt: number;
}

export interface Inventory {
  /** By `startedAt`, then name. */
  readonly generations: readonly GenerationInventory[];
  /** Keys under `generations/` that mean nothing here, in order, the first thousand of them; they are never touched. */
  readonly strangers: readonly string[];
  /** When writers of generations were superseded (milliseconds since 1970), if the lease was asked. */
  readonly endings?: ReadonlyMap<Generation, number>;
  /** What the present holder of the lease writes, if the lease was asked. */
  readonly written?: ReadonlySet<Generation>;
  /** The steps of all times here, in milliseconds; 1 when absent. See `time-step.ts`. */
  readonly timeStepMs?: number;
}

/** A generation while its listing comes in. */
interface Draft {
  readonly generation: Generation;
  readonly snapshots: SnapshotEntry[];
  readonly segments: SegmentEntry[];
  readonly ends: EndEntry[];
  readonly kept: KeptEntry[];
}

/**
 * A segment as an inventory keeps it. A replica may hold millions, and a key takes more memory than all the rest of an
 * entry: it is made again from the position whenever it is asked for.
 */
class ListedSegment implements SegmentEntry {
  readonly generation: Generation;
  readonly index: number;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly createdAt: number;

  constructor(generation: Generation, position: Position, sizeBytes: number, createdAt: number) {
    this.generation = generation;
    this.index = position.index;
    this.offsetBytes = position.offsetBytes;
    this.sizeBytes = sizeBytes;
    this.createdAt = createdAt;
  }

  get key(): string {
    return segmentKey(this.generation, this);
  }
}

/** Names that mean nothing here are for a person who wonders; so many are enough. */
const STRANGERS_MAX = 1000;

function timeSpan(...lists: readonly (readonly StoredObject[])[]): { startedAt: number; updatedAt: number } {
  let startedAt = Number.POSITIVE_INFINITY;
  let updatedAt = Number.NEGATIVE_INFINITY;
  for (const objects of lists) {
    for (const { createdAt } of objects) {
      if (createdAt < startedAt) startedAt = createdAt;
      if (createdAt > updatedAt) updatedAt = createdAt;
    }
  }
  return { startedAt, updatedAt };
}

/**
 * Sorts `objects`, and leaves out all but the last of those that are the same: a listing that was begun again gives some
 * twice. Most services list in order, and then there is nothing to do.
 */
function sorted<T>(objects: T[], compare: (a: T, b: T) => number): T[] {
  let isSorted = true;
  for (let i = 1; i < objects.length && isSorted; i += 1) {
    isSorted = compare(objects[i - 1] as T, objects[i] as T) < 0;
  }
  if (isSorted) return objects;
  objects.sort(compare);
  let kept = 0;
  for (const object of objects) {
    if (kept > 0 && compare(objects[kept - 1] as T, object) === 0) kept -= 1;
    objects[kept] = object;
    kept += 1;
  }
  objects.length = kept;
  return objects;
}

/**
 * A generation from its entries in any order; for tests and for plans over what would be left. Undefined when
 * there are no entries at all.
 */
export function assembleGeneration(
  generation: Generation,
  entries: { snapshots: SnapshotEntry[]; segments: SegmentEntry[]; ends: EndEntry[]; kept?: KeptEntry[] },
): GenerationInventory | undefined {
  const { snapshots, segments, ends, kept = [] } = entries;
  const hasData = snapshots.length + segments.length > 0;
  if (!hasData && ends.length === 0) return undefined;
  return {
    generation,
    snapshots: sorted(snapshots, (a, b) => a.index - b.index),
    segments: sorted(segments, comparePositions),
    ends: sorted(ends, comparePositions),
    ...(kept.length === 0 ? {} : { kept: sorted(kept, (a, b) => a.untilMs - b.untilMs) }),
    ...(hasData ? timeSpan(snapshots, segments) : timeSpan(ends)),
  };
}

/** Generations in the order in which they began. */
export function assembleInventory(
  generations: readonly (GenerationInventory | undefined)[],
  strangers: readonly string[] = [],
): Inventory {
  const present = generations.filter((generation) => generation !== undefined);
  present.sort((a, b) => a.startedAt - b.startedAt || (a.generation < b.generation ? -1 : 1));
  return { generations: present, strangers: [...strangers].sort() };
}

/** Files one object into its generation's draft; false when its name means nothing. */
function file(draft: Draft, folder: string, name: string, object: ObjectInfo): boolean {
  const { generation } = draft;
  const { key, sizeBytes } = object;
  const createdAt = object.modifiedAt.getTime();
  // Comparing with the name we would write refuses `0000000000000000` beside `00000000`: one position, one object.
  if (folder === 'wal') {
    const position = parseSegmentName(name);
    if (position === undefined || position.index > INDEX_MAX) return false;
    if (segmentKey(generation, position) !== key) return false;
    draft.segments.push(new ListedSegment(generation, position, sizeBytes, createdAt));
    return true;
  }
  if (folder === 'snapshots') {
    const index = parseSnapshotName(name);
    if (index === undefined || index > INDEX_MAX || snapshotKey(generation, index) !== key) return false;
    draft.snapshots.push({ key, sizeBytes, createdAt, index });
    return true;
  }
  const untilMs = folder === 'ends' ? parseKeptName(name) : undefined;
  if (untilMs !== undefined) {
    draft.kept.push({ key, sizeBytes, createdAt, untilMs });
    return true;
  }
  const position = folder === 'ends' ? parseEndName(name) : undefined;
  if (position === undefined || endKey(generation, position) !== key) return false;
  draft.ends.push({ key, sizeBytes, createdAt, ...position });
  return true;
}

/** Sorts a listing into generations, one object after the other. */
class InventoryBuilder {
  readonly #drafts = new Map<Generation, Draft>();
  readonly #strangers: string[] = [];
  readonly #timeStep: TimeStep;

  constructor(timeStep: TimeStep) {
    this.#timeStep = timeStep;
  }

  add(object: ObjectInfo): void {
    const { key } = object;
    const [, generation = '', folder = '', name = '', ...deeper] = key.split('/');
    if (key.startsWith(GENERATIONS_PREFIX) && isGeneration(generation) && deeper.length === 0) {
      const draft = this.#drafts.get(generation) ?? {
        generation,
        snapshots: [],
        segments: [],
        ends: [],
        kept: [],
      };
      if (file(draft, folder, name, object)) {
        this.#timeStep.saw(object.modifiedAt);
        this.#drafts.set(draft.generation, draft);
        return;
      }
    }
    if (this.#strangers.length < STRANGERS_MAX) this.#strangers.push(key);
  }

  build(): Inventory {
    const generations = [...this.#drafts.values()].map((draft) =>
      assembleGeneration(draft.generation, draft),
    );
    const inventory = assembleInventory(generations, this.#strangers);
    const timeStepMs = this.#timeStep.ms;
    return timeStepMs === 1 ? inventory : { ...inventory, timeStepMs };
  }
}

/** Sorts a listing into generations; pure. @param timeStepMs - as of a store; 1 when absent */
export function inventoryOf(objects: Iterable<ObjectInfo>, timeStepMs: number = 1): Inventory {
  const builder = new InventoryBuilder(new TimeStep(timeStepMs));
  for (const object of objects) builder.add(object);
  return builder.build();
}

/**
 * Lists the replica in `store`, or one generation of it. A replica that holds nothing gives an empty inventory.
 *
 * @throws RivuletError `STORAGE_FAILED` when the place cannot be read
 */
export async function readInventory(
  store: Pick<ObjectStore, 'list' | 'timeStepMs'>,
  options: CallOptions & { generation?: Generation | undefined } = {},
): Promise<Inventory> {
  const { generation, signal } = options;
  const prefix = generation === undefined ? GENERATIONS_PREFIX : generationPrefix(generation);
  const builder = new InventoryBuilder(new TimeStep(store.timeStepMs));
  for await (const object of store.list(prefix, { signal })) builder.add(object);
  return builder.build();
}

/** The generation of that name, or undefined. */
export function generationOf(inventory: Inventory, generation: Generation): GenerationInventory | undefined {
  return inventory.generations.find((candidate) => candidate.generation === generation);
}

/** Whether both listings showed the same objects, with the same sizes and times. */
export function isSameListing(a: Inventory, b: Inventory): boolean {
  return isSameList(a.generations, b.generations, isSameGeneration);
}

function isSameGeneration(a: GenerationInventory, b: GenerationInventory): boolean {
  return (
    a.generation === b.generation &&
    isSameList(a.snapshots, b.snapshots, isSameObject) &&
    isSameList(a.segments, b.segments, isSameObject) &&
    isSameList(a.ends, b.ends, isSameObject)
  );
}

/** Both are of one generation and one kind. */
function isSameObject(a: StoredObject & Partial<Position>, b: StoredObject & Partial<Position>): boolean {
  return (
    a.index === b.index &&
    a.offsetBytes === b.offsetBytes &&
    a.sizeBytes === b.sizeBytes &&
    a.createdAt === b.createdAt
  );
}

function isSameList<T>(a: readonly T[], b: readonly T[], isSame: (a: T, b: T) => boolean): boolean {
  return a.length === b.length && a.every((one, i) => isSame(one, b[i] as T));
}

/** Whether a snapshot or segment of the first listing is not in the second one. */
export function hasLost(before: Inventory, now: Inventory): boolean {
  return before.generations.some(({ generation, snapshots, segments }) => {
    const left = generationOf(now, generation);
    const lacks = left === undefined && snapshots.length + segments.length > 0;
    return (
      lacks ||
      lacksSome(snapshots, left?.snapshots ?? [], (a, b) => a.index - b.index) ||
      lacksSome(segments, left?.segments ?? [], comparePositions)
    );
  });
}

/** Whether one of `wanted` is not among `present`; both are in order. */
function lacksSome<T>(wanted: readonly T[], present: readonly T[], compare: (a: T, b: T) => number): boolean {
  let at = 0;
  return wanted.some((one) => {
    while (at < present.length && compare(present[at] as T, one) < 0) at += 1;
    return at === present.length || compare(present[at] as T, one) !== 0;
  });
}
