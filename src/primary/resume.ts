/**
 * Whether a destination may go on from where it stands: the log there must be the one that it has, frame by frame, and what
 * follows must be at hand. Where it may not, it needs a fresh snapshot.
 */
import type { Position } from '../generations/names.ts';
import { checksumsEqual } from '../wal/checksum.ts';
import type { Chain } from '../wal/frames.ts';
import { chainAt } from './begin.ts';
import { type Cursor, startOfLog } from './cursor.ts';
import { chainAfterSegment, chainAtLogEnd, type LogEnd } from './resume-point.ts';
import { takeNext, type TakeParts } from './take.ts';

/** Behind the segment that begins at `start` and holds `bytes`. */
export async function resumeAfterSegment(
  log: TakeParts,
  start: Position,
  bytes: Uint8Array,
): Promise<Cursor | undefined> {
  const chain = chainAfterSegment(log.tail.format, start, bytes);
  return chain === undefined ? undefined : resumeBehind(log, start.index, chain);
}

/** At a place in log `index` that was written down. */
export async function resumeAtLogEnd(
  log: TakeParts,
  index: number,
  end: LogEnd,
): Promise<Cursor | undefined> {
  return resumeBehind(log, index, chainAtLogEnd(log.tail.format, end));
}

/** Before the first byte of log `index`. */
export function resumeAtLogStart({ tail, keeper }: TakeParts, index: number): Cursor | undefined {
  const cursor = startOfLog(index);
  return keeper.covers(cursor, tail.index) ? cursor : undefined;
}

async function resumeBehind(log: TakeParts, index: number, chain: Chain): Promise<Cursor | undefined> {
  const { database, tail, keeper } = log;
  const cursor = { index, chain };
  if (index !== tail.index) {
    return keeper.covers(cursor, tail.index) && leadsOn(log, cursor) ? cursor : undefined;
  }
  const here = await chainAt(database, tail, chain.offsetBytes);
  const isHeld = here === undefined ? isInSpool(log, cursor) : isSameChain(here, chain);
  return isHeld ? cursor : undefined;
}

/** A place of which the chain is known. */
type Reached = Cursor & { readonly chain: Chain };

/** Whether a finished log went on from there, or ended there, with just that chain. */
function leadsOn(log: TakeParts, cursor: Reached): boolean {
  const end = log.keeper.ends.get(cursor.index);
  if (end === undefined) return false;
  if (end.offsetBytes === cursor.chain.offsetBytes) return isSameChain(cursor.chain, end);
  return isFollowed(log, cursor);
}

/** Once all of the log is captured it may be restarted or cut off at any moment; then the spool has what it had. */
function isInSpool(log: TakeParts, cursor: Reached): boolean {
  const { tail } = log;
  if (tail.isSameLog()) return false;
  if (tail.chain === undefined) return false;
  if (cursor.chain.offsetBytes === tail.position.offsetBytes) return isSameChain(cursor.chain, tail.chain);
  return isFollowed(log, cursor);
}

/** Whether the next frame is at hand and continues that chain. */
function isFollowed(log: TakeParts, cursor: Cursor): boolean {
  return takeNext(log, cursor, { maxBytes: 1 }).kind === 'bytes';
}

function isSameChain(one: Pick<Chain, 'checksum'>, other: Pick<Chain, 'checksum'>): boolean {
  return checksumsEqual(one.checksum, other.checksum);
}
