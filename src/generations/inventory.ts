/**
 * What a replica holds, by the names alone: sorted by us, never by the store, and with everything that is not a
 * well-formed name set aside. Whether the objects are what their names say is found out when they are read.
 */
import type { CallOptions, ObjectInfo, ObjectStore } from '../storage/object-store.ts';
import { endKey, parseEndName } from './ends.ts';
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

export interface GenerationInventory {
  readonly generation: Generation;
  /** By index. */
  readonly snapshots: readonly SnapshotEntry[];
  /** By position. */
  readonly segments: readonly SegmentEntry[];
  /** By position. */
  readonly ends: readonly EndEntry[];
  /** Times of the oldest and newest snapshot or segment; of the end promises when there is nothing else. */
  readonly startedAt: number;
  readonly updatedAt: number;
}

export interface Inventory {
  /** By `startedAt`, then name. */
  readonly generations: readonly GenerationInventory[];
  /** Keys under `generations/` that mean nothing here, in order; they are never touched. */
  readonly strangers: readonly string[];
  /** When writers of generations were superseded (milliseconds since 1970), if the lease was asked. */
  readonly endings?: ReadonlyMap<Generation, number>;
  /** What the present holder of the lease writes, if the lease was asked. */
  readonly written?: ReadonlySet<Generation>;
}

/** A generation while its listing comes in. */
interface Draft {
  readonly snapshots: SnapshotEntry[];
  readonly segments: SegmentEntry[];
  readonly ends: EndEntry[];
}

function timeSpan(objects: readonly StoredObject[]): { startedAt: number; updatedAt: number } {
  let startedAt = Number.POSITIVE_INFINITY;
  let updatedAt = Number.NEGATIVE_INFINITY;
  for (const { createdAt } of objects) {
    if (createdAt < startedAt) startedAt = createdAt;
    if (createdAt > updatedAt) updatedAt = createdAt;
  }
  return { startedAt, updatedAt };
}

/**
 * A generation from its entries in any order; for tests and for plans over what would be left. Undefined when
 * there are no entries at all.
 */
export function assembleGeneration(
  generation: Generation,
  entries: { snapshots: SnapshotEntry[]; segments: SegmentEntry[]; ends: EndEntry[] },
): GenerationInventory | undefined {
  const { snapshots, segments, ends } = entries;
  const data = snapshots.length + segments.length > 0 ? [...snapshots, ...segments] : ends;
  if (data.length === 0) return undefined;
  return {
    generation,
    snapshots: snapshots.sort((a, b) => a.index - b.index),
    segments: segments.sort(comparePositions),
    ends: ends.sort(comparePositions),
    ...timeSpan(data),
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
function file(
  draft: Draft,
  generation: Generation,
  folder: string,
  name: string,
  object: StoredObject,
): boolean {
  // Comparing with the name we would write refuses `0000000000000000` beside `00000000`: one position, one object.
  if (folder === 'wal') {
    const position = parseSegmentName(name);
    if (position === undefined || position.index > INDEX_MAX) return false;
    if (segmentKey(generation, position) !== object.key) return false;
    draft.segments.push({ ...object, ...position });
    return true;
  }
  if (folder === 'snapshots') {
    const index = parseSnapshotName(name);
    if (index === undefined || index > INDEX_MAX || snapshotKey(generation, index) !== object.key)
      return false;
    draft.snapshots.push({ ...object, index });
    return true;
  }
  const position = folder === 'ends' ? parseEndName(name) : undefined;
  if (position === undefined || endKey(generation, position) !== object.key) return false;
  draft.ends.push({ ...object, ...position });
  return true;
}

/** Sorts a listing into generations; pure. */
export function inventoryOf(objects: Iterable<ObjectInfo>): Inventory {
  const drafts = new Map<Generation, Draft>();
  const strangers: string[] = [];
  for (const { key, sizeBytes, modifiedAt } of objects) {
    const [, generation = '', folder = '', name = '', ...deeper] = key.split('/');
    const draft = drafts.get(generation) ?? { snapshots: [], segments: [], ends: [] };
    const object = { key, sizeBytes, createdAt: modifiedAt.getTime() };
    const known =
      key.startsWith(GENERATIONS_PREFIX) &&
      isGeneration(generation) &&
      deeper.length === 0 &&
      file(draft, generation, folder, name, object);
    if (known) drafts.set(generation, draft);
    else strangers.push(key);
  }
  return assembleInventory(
    [...drafts].map(([generation, draft]) => assembleGeneration(generation, draft)),
    strangers,
  );
}

/**
 * Lists the replica in `store`, or one generation of it. A replica that holds nothing gives an empty inventory.
 *
 * @throws RivuletError `STORAGE_FAILED` when the place cannot be read
 */
export async function readInventory(
  store: Pick<ObjectStore, 'list'>,
  options: CallOptions & { generation?: Generation | undefined } = {},
): Promise<Inventory> {
  const { generation, signal } = options;
  const prefix = generation === undefined ? GENERATIONS_PREFIX : generationPrefix(generation);
  const objects: ObjectInfo[] = [];
  for await (const object of store.list(prefix, { signal })) objects.push(object);
  return inventoryOf(objects);
}

/** The generation of that name, or undefined. */
export function generationOf(inventory: Inventory, generation: Generation): GenerationInventory | undefined {
  return inventory.generations.find((candidate) => candidate.generation === generation);
}
