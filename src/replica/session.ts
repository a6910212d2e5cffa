/** What is known of one destination for one generation, from the first look at it on. */
import { RivuletError } from '../base/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import {
  type GenerationInventory,
  generationOf,
  type Inventory,
  readInventory,
  type SnapshotEntry,
} from '../generations/inventory.ts';
import {
  formatPosition,
  type Generation,
  type Position,
  segmentKey,
  snapshotKey,
} from '../generations/names.ts';
import { findUnlisted } from '../generations/unlisted.ts';
import { type Cursor, positionOf, startOfLog } from '../primary/cursor.ts';
import type { Primary } from '../primary/primary.ts';
import type { Snapshot } from '../primary/snapshot-source.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { isThere } from '../storage/is-there.ts';
import { listingBehind } from '../storage/listing-behind.ts';
import { type FoundPosition, findPosition } from './find-position.ts';
import { type Beginning, compared, type GoneBack, readFormerOf } from './former/gone-back.ts';
import { lookAround } from './look-around.ts';
import type { OtherContents } from '../generations/other-contents.ts';
import type { HeldSnapshot } from './stored-note.ts';
import { uploadOpened } from './upload-opened.ts';
import type { UploadRecord } from './upload-record.ts';

export interface Session {
  readonly generation: Generation;
  /** Everything before it is stored. */
  cursor: Cursor;
  /** Index from which on this destination holds every log of the generation. */
  readonly firstIndex: number;
  /**
   * Where the first segment must reach, in one object. A first snapshot holds what its log held before the snapshot's
   * position; replaying half of that over it would give a mixture. 0 once that segment is there.
   */
  reachBytes: number;
  /**
   * Index of the newest snapshot. A snapshot has its index for a name, so another one in the same log would replace it
   * and take the moments between the two away; it waits for the next log.
   */
  snapshotIndex: number;
  /** Where the last segment begins that is known to be stored; undefined while there is none. */
  lastSegment: Position | undefined;
  /** When a snapshot was last seen at the destination, in monotonic milliseconds. */
  snapshotSeenMs: number;
}

export interface SessionParts {
  /** The destination's name. */
  readonly name: string;
  readonly primary: Primary;
  readonly store: ObjectStore;
  readonly logger: Logger;
  readonly monotonicMs: () => number;
  /** What is noted here about what was stored; see `upload-record.ts`. */
  readonly record?: UploadRecord | undefined;
  readonly signal: AbortSignal | undefined;
  /** As of `DutySettings`. */
  readonly isFast: boolean;
  /** So many more bytes of the database have been copied for a first snapshot. */
  readonly onCopied: (bytes: number) => void;
  /** Uploads and closes the first snapshot of a destination. */
  readonly upload: (snapshot: Snapshot) => Promise<void>;
  /** The destination holds a snapshot already. */
  readonly onSnapshotFound: (snapshot: SnapshotEntry) => void;
  /** As of `LookAroundParts`. */
  readonly lastHeld: HeldSnapshot | undefined;
  readonly onEmptied: (held: HeldSnapshot) => void;
  readonly onOther: (contents: OtherContents) => void;
  /** As of `GoneBackParts`. */
  readonly clock: Clock;
  readonly onGoneBack: (found: GoneBack) => void;
}

export interface Past {
  /** The generation was begun while this destination was written, and nothing of it was ever sent: nothing can be there. */
  readonly isNew: boolean;
  /** The session that ended in this generation: what it stored is asked for by name where a listing lacks it. */
  readonly before: Session | undefined;
}

/**
 * Finds out where the destination stands in `generation`; one that holds nothing that can be continued gets a snapshot.
 *
 * @param past - of this destination in this process
 * @throws RivuletError as the destination does; `isListingBehind` when a listing lacks what is there; `CHAIN_BROKEN` when
 *   the generation had to be given up: look again
 */
export async function openSession(
  parts: SessionParts,
  generation: Generation,
  { isNew, before }: Past,
): Promise<Session> {
  if (isNew) {
    const around = await lookAround({ ...parts, held: parts.lastHeld }, generation);
    return beginSession(parts, { own: generation, isFollowed: true }, around);
  }
  const { store, signal } = parts;
  const inventory = await readInventory(store, { generation, ...(signal === undefined ? {} : { signal }) });
  const held = generationOf(inventory, generation);
  if (before !== undefined) await assertListed(parts, held, before);
  const found = await findPosition(parts, held);
  if (found !== undefined) return continueSession(parts, generation, found);
  await avoidOverlap(parts, generation, held);
  const around = await lookAround({ ...parts, held: parts.lastHeld }, generation);
  return beginSession(parts, { own: generation, isFollowed: false }, around);
}

/** Nothing is concluded from a listing that lacks what this process has stored last, unless that is really gone. */
async function assertListed(
  { store, signal }: SessionParts,
  held: GenerationInventory | undefined,
  before: Session,
): Promise<void> {
  const key = await findUnlisted(store, held, before, { signal });
  if (key !== undefined) throw listingBehind(store.location, key);
}

function continueSession(parts: SessionParts, generation: Generation, found: FoundPosition): Session {
  const position = positionOf(found.cursor);
  parts.onSnapshotFound(found.snapshot);
  parts.primary.confirm(parts.name, generation, position);
  parts.logger.info('continuing where the destination stands', {
    generation,
    position: formatPosition(position),
    destination: parts.store.location,
  });
  return {
    generation,
    cursor: found.cursor,
    firstIndex: found.snapshot.index,
    // A snapshot without any segment: how far its log had got is not known, so all that there is goes into one object.
    reachBytes: found.cursor.chain === undefined ? Number.POSITIVE_INFINITY : 0,
    snapshotIndex: found.snapshot.index,
    lastSegment: found.lastSegment,
    snapshotSeenMs: parts.monotonicMs(),
  };
}

/** Objects of the present log that cannot be continued would lie across those that are about to be written. */
async function avoidOverlap(
  parts: SessionParts,
  generation: Generation,
  held: GenerationInventory | undefined,
): Promise<void> {
  const { primary, store, record } = parts;
  const last = Math.max(
    held?.segments.at(-1)?.index ?? -1,
    held?.snapshots.at(-1)?.index ?? -1,
    // It may still appear, where nobody saw it yet.
    record?.intendedIn(generation)?.from.index ?? -1,
  );
  if (primary.position === undefined) return;
  if (last < primary.position.index) {
    await assertNotThere(parts, generation, primary.position.index);
    return;
  }
  const what = `${store.location} cannot be continued in generation ${generation}`;
  await primary.abandonGeneration(generation, what);
  throw new RivuletError('CHAIN_BROKEN', what);
}

/**
 * Nothing of the present log is listed. Is it so? A snapshot that stands further than a segment which a listing that is
 * behind has left out would be in the way of every restore until that segment is listed, and the log is complete.
 */
async function assertNotThere(
  { store, signal }: SessionParts,
  generation: Generation,
  index: number,
): Promise<void> {
  for (const key of [segmentKey(generation, { index, offsetBytes: 0 }), snapshotKey(generation, index)])
    if (await isThere(store, key, { signal })) throw listingBehind(store.location, key);
}

/** A snapshot first, then the log from its start. */
async function beginSession(
  parts: SessionParts,
  beginning: Beginning,
  around: Inventory | undefined,
): Promise<Session> {
  const { name, primary } = parts;
  const { own: generation } = beginning;
  const former = around === undefined ? undefined : await readFormerOf(parts, around, beginning);
  try {
    const { onCopied, signal } = parts;
    const open = async (isLive: boolean): Promise<Snapshot> =>
      primary.openSnapshot({ wanted: generation, isLive, keepFor: name, onCopied, signal });
    const upload = async (snapshot: Snapshot): Promise<Position> => {
      if (primary.generation !== generation) {
        snapshot.close();
        throw new RivuletError('CANCELLED', 'the generation changed while a snapshot began');
      }
      primary.confirm(name, generation, positionOf(startOfLog(snapshot.position.index)));
      parts.record?.begin(generation);
      await parts.upload(compared(snapshot, former, parts));
      return snapshot.position;
    };
    const { index, offsetBytes } = await uploadOpened(parts.isFast, open, upload);
    const snapshotSeenMs = parts.monotonicMs();
    return {
      generation,
      cursor: startOfLog(index),
      firstIndex: index,
      reachBytes: offsetBytes,
      snapshotIndex: index,
      lastSegment: undefined,
      snapshotSeenMs,
    };
  } catch (error) {
    primary.drop(name);
    throw error;
  }
}
