/**
 * May the present log continue the generation that the local state describes? Pure: facts in, verdict out.
 *
 * Everything committed before must be in hand, and nothing can have been committed and lost in between. Where that
 * cannot be proven, a new generation begins; guessing would join two histories that do not belong together.
 */
import { INDEX_MAX } from '../generations/names.ts';
import { type Chain, frameBytes, type FrameScan, startChain } from '../wal/frames.ts';
import { checksumsEqual } from '../wal/checksum.ts';
import { isNextLog, parseWalHeader, type WalHeader } from '../wal/wal-header.ts';
import { type FileIdentity, sameFile } from './database-file.ts';
import type { HeaderReading } from './live-wal.ts';
import type { LocalState, StateReading } from './state-file.ts';

export type Verdict =
  /** Nothing was in the log of the state, and whatever is in it now came later. */
  | { readonly kind: 'begun-log'; readonly index: number }
  | { readonly kind: 'same-log'; readonly index: number }
  /** The log was restarted exactly once, and the remains of the old one show that nothing had been appended to it. */
  | { readonly kind: 'next-log'; readonly index: number }
  | { readonly kind: 'new-generation'; readonly reason: string };

export interface ContinuityFacts {
  readonly reading: StateReading;
  readonly identity: FileIdentity;
  /** The present start of the machine. */
  readonly bootId: string;
  /** Header of the present log; undefined when nothing of it is committed: the index names no log then, whatever the file holds. */
  readonly log: HeaderReading | undefined;
  /** Committed frames of the present log. */
  readonly frames: number;
  /** The chain of the present log at the state's tail offset, or undefined when it does not reach that far. */
  readonly chainAtStateTail: Chain | undefined;
  /** All of the state was in the database file, and nothing was checkpointed since: what was committed since is in the present log. */
  readonly isDatabaseUntouched: boolean;
  /** Something else than a checkpoint has written to the database file since, where that can be told. */
  readonly isOverwritten: boolean;
  /** What the bytes after the old log's tail show, when the present log is another one. */
  readonly remains: LogRemains | undefined;
}

/** Evidence about the previous log, from the part of the file that the new log has not overwritten. */
export interface LogRemains {
  readonly fileBytes: number;
  /** End of the new log's valid frames. */
  readonly newLogEndBytes: number;
  /** Result of trying to continue the old chain at its known tail. */
  readonly continuation: Pick<FrameScan, 'validBytes'>;
  /**
   * The frame there is one of the present log, committed or not: a transaction that was rolled back may have written
   * further than the log goes, and what it took the place of is gone.
   */
  readonly isOverwritten: boolean;
  /** Before the tail is still the last frame of the old log: the file has not been cut off before it and filled anew. */
  readonly isLastFrameThere: boolean;
}

/** What SQLite reads then may be a mixture of two databases. */
export const OVERWRITTEN = 'the database file was overwritten while nobody was watching';

function startAnew(reason: string): Verdict {
  return { kind: 'new-generation', reason };
}

export function decideContinuity(facts: ContinuityFacts): Verdict {
  const { reading, identity, log } = facts;
  if (reading.kind === 'none') return startAnew('no local state');
  if (reading.kind === 'damaged') return startAnew(`the local state is damaged (${reading.why})`);
  const { state } = reading;
  if (!sameFile(state.identity, identity)) return startAnew('the database file was replaced by another one');
  // After a power cut the present log may have lost what a destination has of it.
  const isUntouched = facts.isDatabaseUntouched && state.bootId === facts.bootId;
  if (state.header.length === 0) return decideBegunLog(facts, state, isUntouched);
  if (log !== undefined && Buffer.compare(log.bytes, state.header) === 0) return decideSameLog(facts, state);
  if (isUntouched && state.index < INDEX_MAX) return { kind: 'next-log', index: state.index + 1 };
  if (log === undefined) return startAnew('the write-ahead log was emptied while nobody was watching');
  return decideOtherLog(facts, state, log.header);
}

/** Nothing was in the log of the state. The file may still have had the one before, all of which was in the database. */
function decideBegunLog(facts: ContinuityFacts, state: LocalState, isUntouched: boolean): Verdict {
  if (facts.isOverwritten) return startAnew(OVERWRITTEN);
  const { log, frames } = facts;
  const { after, index } = state;
  const begun: Verdict = { kind: 'begun-log', index };
  if (log !== undefined && after?.salt1 === log.header.salt1 && after.salt2 === log.header.salt2)
    return frames === after.frames ? begun : startAnew('the write-ahead log went on after it had ended');
  if (isUntouched) return begun;
  return startAnew(
    'the write-ahead log was empty, and the database was written to while nobody was watching',
  );
}

function decideSameLog(facts: ContinuityFacts, state: LocalState): Verdict {
  const chain = facts.chainAtStateTail;
  if (chain === undefined) return startAnew('the write-ahead log is shorter than it was');
  if (!checksumsEqual(chain.checksum, state.tailChecksum))
    return startAnew('the write-ahead log was overwritten');
  if (facts.isOverwritten) return startAnew(OVERWRITTEN);
  return { kind: 'same-log', index: state.index };
}

function decideOtherLog(facts: ContinuityFacts, state: LocalState, next: WalHeader): Verdict {
  const previous = parseWalHeader(state.header);
  if (!isNextLog(previous, next))
    return startAnew('the write-ahead log was restarted while nobody was watching');
  // A power cut may take the end of a log that was not synced, and writers go on from before it: then what follows the
  // noted tail shows nothing, since other frames took the place of those that lead there.
  if (state.bootId !== facts.bootId)
    return startAnew(
      'the write-ahead log was restarted, and the machine was too: nobody knows what was lost',
    );
  if (state.index + 1 > INDEX_MAX) return startAnew('the index has reached its maximum');
  if (
    facts.remains === undefined ||
    !oldLogEndedAtTail(facts.remains, state.tailBytes, previous.pageSizeBytes)
  ) {
    return startAnew('the write-ahead log was restarted, and its end cannot be proven to have been read');
  }
  return { kind: 'next-log', index: state.index + 1 };
}

/**
 * True when the place where the old log would have continued is still there, untouched by the new log, and holds
 * no frame that continues it; or when the file has never been longer. A file that was cut off, inside that place or
 * before it (`journal_size_limit` and a truncating checkpoint do this), shows nothing.
 */
export function oldLogEndedAtTail(remains: LogRemains, tailBytes: number, pageSizeBytes: number): boolean {
  const { fileBytes } = remains;
  const isUntouched =
    fileBytes === tailBytes
      ? remains.isLastFrameThere
      : fileBytes >= tailBytes + frameBytes(pageSizeBytes) && !remains.isOverwritten;
  return isUntouched && remains.newLogEndBytes <= tailBytes && remains.continuation.validBytes === 0;
}

/** The chain at the state's tail, for trying to continue the old log. */
export function chainAtTail(state: LocalState): Chain {
  return {
    header: startChain(parseWalHeader(state.header)).header,
    offsetBytes: state.tailBytes,
    checksum: state.tailChecksum,
  };
}
