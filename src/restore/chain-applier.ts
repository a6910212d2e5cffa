/**
 * Follows the chain of segments, strictly in order, and hands its pages to a sink. Nothing is taken on trust: each segment must
 * begin where the one before ended, each log must follow the one before, and each frame must have its log's salts
 * and continue its checksum. Only whole transactions reach the database.
 */
import type { Annotation, SegmentAnnotation } from '../generations/annotation.ts';
import type { SegmentEntry } from '../generations/inventory.ts';
import { type Generation, type Position, formatPosition, segmentKey } from '../generations/names.ts';
import type { RestorePlan } from '../generations/plan-outcome.ts';
import { messageOf } from '../base/errors.ts';
import {
  type Chain,
  FRAME_HEADER_BYTES,
  endsFrame,
  type FrameScan,
  frameBytes,
  framePage,
  scanFrames,
  startChain,
  viewOf,
} from '../wal/frames.ts';
import { WAL_HEADER_BYTES, type WalHeader, parseWalHeader } from '../wal/wal-header.ts';
import { ChainFault } from './faults.ts';
import {
  type PreviousLog,
  checkFirstLog,
  checkNextLog,
  checkPlace,
  notThere,
  checkSegmentAnnotation,
  otherLog,
} from './links.ts';
import type { LoadedSnapshot } from './load-snapshot.ts';
import type { PageSink } from './page-sink.ts';
import { SizeLimit, SIZE_UNKNOWN, type SizeSeen, sizeOfSnapshot } from './size-limit.ts';

/** The segment that is being applied. */
interface Current {
  readonly segment: SegmentEntry;
  readonly annotation: SegmentAnnotation | undefined;
  /** Bytes at its start that the chain holds already; counted down while they are passed over. */
  knownBytes: number;
  /** Bytes of a header or frame that the next piece completes. */
  carry: Uint8Array;
}

/** How far a chain was followed: enough to go on from there without what came before. */
export interface ChainPlace {
  readonly index: number;
  /** Of the log `index`; undefined before its first segment. */
  readonly chain: Chain | undefined;
  readonly previous: PreviousLog | undefined;
  /** Behind the last commit. */
  readonly committed: Position | undefined;
  /** Absent in what older versions have noted. */
  readonly size?: SizeSeen | undefined;
}

const NOTHING = new Uint8Array(0);

export class ChainApplier implements Disposable {
  readonly #generation: Generation;
  readonly #snapshot: LoadedSnapshot;
  readonly #pages: PageSink;
  readonly #until: Position | undefined;
  readonly #unproven: string[] = [];
  readonly #seenSalts = new Set<string>();
  readonly #size: SizeLimit;
  #previous: PreviousLog | undefined;
  #index: number;
  #chain: Chain | undefined;
  #committed: Position | undefined;
  #current: Current | undefined;

  /**
   * @param plan - whose segments will come; bytes behind its `until` are left out
   * @param from - where another one that began at the same snapshot got; its start when absent
   */
  constructor(
    plan: Pick<RestorePlan, 'generation' | 'until'>,
    snapshot: LoadedSnapshot,
    pages: PageSink,
    from?: ChainPlace,
  ) {
    this.#generation = plan.generation;
    this.#until = plan.until;
    this.#snapshot = snapshot;
    this.#pages = pages;
    this.#index = from?.index ?? snapshot.entry.index;
    this.#chain = from?.chain;
    this.#previous = from?.previous;
    this.#committed = from?.committed;
    const isStart = from?.chain === undefined && from?.previous === undefined;
    const seen = from?.size ?? (isStart ? sizeOfSnapshot(snapshot.pageCount) : SIZE_UNKNOWN);
    this.#size = new SizeLimit(snapshot.pageSizeBytes, seen);
  }

  /** What another one needs to go on from here. A log that came before is known again only by who saw it. */
  get place(): ChainPlace {
    return {
      index: this.#index,
      chain: this.#chain,
      previous: this.#previous,
      committed: this.#committed,
      size: this.#size.seen,
    };
  }

  /** Where the chain ends so far, with frames of a transaction that is not complete. */
  get reached(): Position {
    return { index: this.#index, offsetBytes: this.#chain?.offsetBytes ?? 0 };
  }

  /** Behind the last commit; undefined while no transaction was applied. */
  get committed(): Position | undefined {
    return this.#committed;
  }

  /** Links that nothing in the replica could prove. */
  get unprovenReasons(): readonly string[] {
    return this.#unproven;
  }

  get sizeBytes(): number {
    return this.#pages.sizeBytes;
  }

  /** Starts a segment. Throws `ChainFault` when it cannot be the next one. */
  begin(segment: SegmentEntry, annotation: Annotation | undefined): void {
    if (segment.index !== this.#index) this.#finishLog(segment);
    const knownBytes = checkPlace(this.#generation, segment, this.reached);
    this.#current = {
      segment,
      knownBytes,
      annotation: checkSegmentAnnotation(this.#generation, segment, annotation),
      carry: NOTHING,
    };
  }

  /** Takes the next bytes of the segment, which must not change afterwards. */
  feed(bytes: Uint8Array): void {
    const current = this.#openSegment();
    const at = current.carry.length === 0 ? 0 : this.#completeCarry(current, bytes);
    // A copy: what is left of a frame must not keep the whole piece alive.
    if (current.carry.length === 0) current.carry = this.#apply(current, bytes.subarray(at)).slice();
    this.#pages.pieceTaken(bytes.length);
  }

  /** Ends the segment. Throws `ChainFault` when it stops inside a frame. */
  end(): void {
    const { segment, carry, knownBytes } = this.#openSegment();
    this.#current = undefined;
    if (knownBytes > 0) throw notThere(segment, this.reached);
    if (this.#chain === undefined) {
      throw new ChainFault(
        segment.key,
        segment,
        `${segment.key} is too short to hold a write-ahead log's header`,
      );
    }
    if (carry.length === 0) return;
    const at = formatPosition(this.reached);
    throw new ChainFault(segment.key, segment, `${segment.key} ends inside a frame, at ${at}`);
  }

  /** Nothing follows; frames without a commit are left out. Throws `ChainFault` when nothing accounts for the size. */
  finish(): void {
    this.#checkSize();
    this.#pages.finish();
  }

  [Symbol.dispose](): void {
    this.#pages[Symbol.dispose]();
  }

  /** Fills up the header or frame that was cut by the end of the piece before; returns how many bytes that took. */
  #completeCarry(current: Current, bytes: Uint8Array): number {
    const wanted = this.#chain === undefined ? WAL_HEADER_BYTES : frameBytes(this.#snapshot.pageSizeBytes);
    const taken = Math.min(wanted - current.carry.length, bytes.length);
    const whole = Buffer.concat([current.carry, bytes.subarray(0, taken)]);
    current.carry = whole.length < wanted ? whole : this.#apply(current, whole);
    return taken;
  }

  /** Takes the header, if it is still to come, and the whole frames behind it; returns the rest. */
  #apply(current: Current, bytes: Uint8Array): Uint8Array {
    if (this.#chain !== undefined) {
      const known = current.knownBytes > 0 ? this.#passKnown(current, this.#chain, bytes) : 0;
      return this.#applyFrames(current.segment, this.#chain, bytes, known);
    }
    if (bytes.length < WAL_HEADER_BYTES) return bytes;
    this.#chain = this.#startLog(current, bytes);
    return this.#applyFrames(current.segment, this.#chain, bytes, WAL_HEADER_BYTES);
  }

  /** Passes over whole frames that the chain holds; the last of them must carry the checksum where the chain stands. */
  #passKnown(current: Current, chain: Chain, bytes: Uint8Array): number {
    const size = frameBytes(this.#snapshot.pageSizeBytes);
    const passed = Math.min(current.knownBytes, Math.floor(bytes.length / size) * size);
    current.knownBytes -= passed;
    if (current.knownBytes === 0 && !endsFrame(chain, bytes, passed - size))
      throw notThere(current.segment, this.reached);
    return passed;
  }

  #openSegment(): Current {
    if (this.#current === undefined) throw new Error('no segment has begun');
    return this.#current;
  }

  /** Turns to the next index. A transaction that its log did not finish can never be finished: SQLite drops it too. */
  #finishLog(segment: SegmentEntry): void {
    if (this.#chain === undefined || segment.index !== this.#index + 1) {
      throw new Error(`the plan has a gap before ${segment.key}`);
    }
    this.#checkSize();
    this.#size.logEnded();
    const { header, checksum } = this.#chain;
    this.#previous = { end: this.reached, header, checksum };
    this.#pages.logEnded();
    this.#index = segment.index;
    this.#chain = undefined;
  }

  #checkSize(): void {
    const oversize = this.#size.oversize();
    if (oversize === undefined) return;
    const { segment, pageCount, pagesSeen } = oversize;
    const start = { index: this.#index, offsetBytes: 0 };
    const key = segment?.key ?? segmentKey(this.#generation, start);
    const problem = `a transaction says that the database has ${pageCount} pages, and there are ${pagesSeen}`;
    throw new ChainFault(key, segment ?? start, `${key} is wrong: ${problem}`);
  }

  #startLog({ segment, annotation }: Current, bytes: Uint8Array): Chain {
    const header = this.#readHeader(segment, bytes);
    const previous = this.#previous;
    const reason =
      previous === undefined
        ? checkFirstLog(segment, header, {
            key: this.#snapshot.entry.key,
            annotation: this.#snapshot.annotation,
          })
        : checkNextLog(this.#generation, segment, { header, annotation }, previous);
    if (reason !== undefined) this.#unproven.push(reason);
    return startChain(header);
  }

  #readHeader(segment: SegmentEntry, bytes: Uint8Array): WalHeader {
    const header = parseHeader(segment, bytes);
    const expected = this.#snapshot.pageSizeBytes;
    if (header.pageSizeBytes !== expected) {
      const problem = `its pages have ${header.pageSizeBytes} bytes, those of the snapshot ${expected}`;
      throw new ChainFault(segment.key, segment, `${segment.key} does not belong there: ${problem}`);
    }
    const salts = `${header.salt1} ${header.salt2}`;
    if (this.#seenSalts.has(salts)) {
      throw new ChainFault(segment.key, segment, `${segment.key} is the copy of a log that came earlier`);
    }
    this.#seenSalts.add(salts);
    return header;
  }

  /** Checks and takes the whole frames from `bytes[at]` on; returns what is left of them. */
  #applyFrames(segment: SegmentEntry, chain: Chain, bytes: Uint8Array, at: number): Uint8Array {
    const end = this.#endOf(chain, bytes, at);
    const scan = scanFrames(chain, bytes, at, end);
    if (scan.stop !== 'end') throw this.#badFrame(segment, scan);
    this.#checkCopied(segment, { chain, bytes, at, reachedBytes: scan.chain.offsetBytes });
    this.#takePages(segment, bytes, at, scan);
    this.#chain = scan.chain;
    if (scan.commitPageCount !== 0) {
      this.#committed = { index: this.#index, offsetBytes: scan.committedChain.offsetBytes };
    }
    return end < bytes.length ? NOTHING : bytes.subarray(at + scan.validBytes);
  }

  /** Where the snapshot stands, its log must be the one that was copied: of a log that went on otherwise it holds pages too. */
  #checkCopied(
    segment: SegmentEntry,
    { chain, bytes, at, reachedBytes }: { chain: Chain; bytes: Uint8Array; at: number; reachedBytes: number },
  ): void {
    const { entry, annotation } = this.#snapshot;
    const { offsetBytes = 0, checksum } = annotation ?? {};
    if (this.#index !== entry.index || checksum === undefined) return;
    if (offsetBytes <= chain.offsetBytes || offsetBytes > reachedBytes) return;
    const last = at + (offsetBytes - chain.offsetBytes) - frameBytes(chain.header.pageSizeBytes);
    if (!endsFrame({ header: chain.header, checksum }, bytes, last)) throw otherLog(segment, entry.key);
  }

  /** Where in `bytes` the wanted frames end. */
  #endOf(chain: Chain, bytes: Uint8Array, at: number): number {
    if (this.#until === undefined || this.#until.index !== this.#index) return bytes.length;
    return Math.min(bytes.length, at + Math.max(0, this.#until.offsetBytes - chain.offsetBytes));
  }

  #takePages(segment: SegmentEntry, bytes: Uint8Array, start: number, scan: FrameScan): void {
    const view = viewOf(bytes);
    const size = frameBytes(this.#snapshot.pageSizeBytes);
    const committedEnd = start + scan.committedBytes;
    if (scan.commitPageCount !== 0) {
      // First: pages behind the end are not written.
      this.#pages.setPageCount(scan.commitPageCount);
      this.#size.commit(scan.commitPageCount, segment);
      this.#pages.commitStaged();
    }
    for (let at = start; at < start + scan.validBytes; at += size) {
      const page = bytes.subarray(at + FRAME_HEADER_BYTES, at + size);
      const pageNumber = framePage(view, at);
      this.#size.frame(pageNumber);
      if (at < committedEnd) this.#pages.put(pageNumber, page);
      else this.#pages.stage(pageNumber, page);
    }
  }

  #badFrame(segment: SegmentEntry, scan: FrameScan): ChainFault {
    const at = { index: this.#index, offsetBytes: scan.chain.offsetBytes };
    const problem = {
      salt: 'has the salts of another log',
      checksum: 'does not continue the checksum of the frames before it',
      'page-number': 'has page number 0',
      end: 'ends',
    }[scan.stop];
    return new ChainFault(
      segment.key,
      segment,
      `${segment.key} is wrong: its frame at ${formatPosition(at)} ${problem}`,
    );
  }
}

function parseHeader(segment: SegmentEntry, bytes: Uint8Array): WalHeader {
  try {
    return parseWalHeader(bytes);
  } catch (error) {
    throw new ChainFault(segment.key, segment, `${segment.key} is wrong: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
