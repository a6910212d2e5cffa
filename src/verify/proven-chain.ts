/** How far the chain of a destination is proven: small, so that it is kept in memory and noted in the state directory. */
import type { SnapshotAnnotation } from '../generations/annotation.ts';
import type { SnapshotEntry } from '../generations/inventory.ts';
import { type Generation, isGeneration, type Position, snapshotKey } from '../generations/names.ts';
import type { ChainPlace } from '../restore/chain-applier.ts';
import type { LoadedSnapshot } from '../restore/load-snapshot.ts';
import type { LogDigest } from './log-digest.ts';

export interface ProvenChain {
  readonly generation: Generation;
  /** The snapshot that the chain begins with. */
  readonly base: LoadedSnapshot;
  readonly place: ChainPlace;
  /** Every snapshot that was read back, by index. */
  readonly snapshots: readonly KnownObject[];
  /** The logs that were read back, by index. */
  readonly logs: readonly LogDigest[];
  /** When the newest object of it was stored, in milliseconds since 1970. */
  readonly untilMs: number;
}

/** An object as its listing shows it. */
export interface KnownObject {
  readonly index: number;
  readonly sizeBytes: number;
  readonly createdAt: number;
}

export function knownOf({ index, sizeBytes, createdAt }: SnapshotEntry): KnownObject {
  return { index, sizeBytes, createdAt };
}

export function isSameObject(a: KnownObject, b: KnownObject): boolean {
  return a.index === b.index && a.sizeBytes === b.sizeBytes && a.createdAt === b.createdAt;
}

/** Where the chain ends. A snapshot alone that says where it stands has reached that place. */
export function reachOf({ base, place }: Pick<ProvenChain, 'base' | 'place'>): Position {
  if (place.chain !== undefined) return { index: place.index, offsetBytes: place.chain.offsetBytes };
  return { index: base.entry.index, offsetBytes: base.annotation?.offsetBytes ?? 0 };
}

/**
 * A chain that begins behind damage, with what is still intact before it: that stays watched. The damaged log and what
 * follows it up to the new beginning are given up.
 */
export function withIntact(
  chain: ProvenChain,
  before: ProvenChain | undefined,
  damagedIndex: number,
): ProvenChain {
  if (before?.generation !== chain.generation) return chain;
  const limit = Math.min(damagedIndex, chain.base.entry.index);
  return {
    ...chain,
    snapshots: [...before.snapshots.filter(({ index }) => index < limit), ...chain.snapshots],
    logs: [...before.logs.filter(({ index }) => index < limit), ...chain.logs],
  };
}

// ---- text ----------------------------------------------------------------------------------------------------------

/** Ready for `JSON.stringify`. */
export function encodeChain(chain: ProvenChain): unknown {
  const { base, snapshots, logs, ...rest } = chain;
  return {
    ...rest,
    base: { ...base, entry: knownOf(base.entry) },
    snapshots: snapshots.map(({ index, sizeBytes, createdAt }) => [index, sizeBytes, createdAt]),
    logs: logs.map(({ index, count, hash }) => [index, count, hash]),
  };
}

/** @throws TypeError when it is not what `encodeChain` makes */
export function decodeChain(value: unknown): ProvenChain {
  const { generation, base, place, snapshots, logs, untilMs } = objectOf(value);
  if (typeof generation !== 'string' || !isGeneration(generation)) throw new TypeError('no generation');
  return {
    generation,
    base: baseOf(generation, base),
    place: placeOf(place),
    snapshots: triplesOf(snapshots).map(([index, sizeBytes, createdAt]) => ({ index, sizeBytes, createdAt })),
    logs: triplesOf(logs).map(([index, count, hash]) => ({ index, count, hash })),
    untilMs: numberOf(untilMs),
  };
}

function baseOf(generation: Generation, value: unknown): LoadedSnapshot {
  const { entry, annotation, pageSizeBytes, pageCount } = objectOf(value);
  const { index, sizeBytes, createdAt } = objectOf(entry);
  return {
    entry: {
      key: snapshotKey(generation, numberOf(index)),
      index: numberOf(index),
      sizeBytes: numberOf(sizeBytes),
      createdAt: numberOf(createdAt),
    },
    annotation:
      annotation === undefined ? undefined : (objectOf(annotation) as unknown as SnapshotAnnotation),
    pageSizeBytes: numberOf(pageSizeBytes),
    pageCount: numberOf(pageCount),
  };
}

function placeOf(value: unknown): ChainPlace {
  const { index, chain, previous, committed, size } = objectOf(value);
  return {
    index: numberOf(index),
    chain: chain === undefined ? undefined : chainOf(chain),
    previous: previous === undefined ? undefined : previousOf(previous),
    committed: committed === undefined ? undefined : positionOf(committed),
    size: size === undefined ? undefined : sizeOf(size),
  };
}

function sizeOf(value: unknown): NonNullable<ChainPlace['size']> {
  const { pageCount, newFrames, highestPage, committedPages } = objectOf(value);
  return {
    pageCount: pageCount === undefined ? undefined : numberOf(pageCount),
    newFrames: numberOf(newFrames),
    highestPage: numberOf(highestPage),
    committedPages: numberOf(committedPages),
  };
}

function chainOf(value: unknown): NonNullable<ChainPlace['chain']> {
  const { header, offsetBytes, checksum } = objectOf(value);
  return { header: headerOf(header), offsetBytes: numberOf(offsetBytes), checksum: wordsOf(checksum) };
}

function previousOf(value: unknown): NonNullable<ChainPlace['previous']> {
  const { end, header, checksum } = objectOf(value);
  return { end: positionOf(end), header: headerOf(header), checksum: wordsOf(checksum) };
}

function headerOf(value: unknown): NonNullable<ChainPlace['chain']>['header'] {
  const header = objectOf(value);
  wordsOf(header['checksum']);
  for (const name of ['pageSizeBytes', 'salt1', 'salt2'] as const) numberOf(header[name]);
  if (typeof header['bigEndianChecksum'] !== 'boolean') throw new TypeError('no byte order');
  return header as unknown as NonNullable<ChainPlace['chain']>['header'];
}

function positionOf(value: unknown): Position {
  const { index, offsetBytes } = objectOf(value);
  return { index: numberOf(index), offsetBytes: numberOf(offsetBytes) };
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('no object');
  return value as Record<string, unknown>;
}

function numberOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError('no number');
  return value;
}

function wordsOf(value: unknown): readonly [number, number] {
  if (!Array.isArray(value) || value.length !== 2) throw new TypeError('no checksum');
  return [numberOf(value[0]), numberOf(value[1])];
}

function triplesOf(value: unknown): [number, number, number][] {
  if (!Array.isArray(value)) throw new TypeError('no list');
  return value.map((row: unknown) => {
    if (!Array.isArray(row) || row.length !== 3) throw new TypeError('no row');
    return [numberOf(row[0]), numberOf(row[1]), numberOf(row[2])];
  });
}
