/**
 * Copies the live database without any lock: writers commit, checkpoint, restart the log and VACUUM meanwhile.
 *
 * The file is copied piece by piece as it is at each moment, and then the log is applied to the copy: every frame from
 * the start of the log in which the copy began to the end of what was committed when the last piece had been copied. The
 * result is exactly the database at that end:
 *
 * - Whatever a checkpoint writes into the file while it is copied, whole or torn, comes from a frame between these two
 *   places. The frames of earlier logs were all in the file before this log began, since a log is restarted only then;
 *   and nothing is checkpointed before it is committed. So each page that may be torn, or newer or older than another, is
 *   written once more, last with its newest frame.
 * - A page without such a frame had one content all the time, from the start of the log to the end.
 * - The size is that of the last commit. What a shrinking database has cut off and a growing one has filled again was
 *   written by frames; the page with the lock byte is never written and always zero.
 *
 * So every byte of the log must be kept from *before* the first piece is read: the caller registers a consumer at the
 * start of the present log. A log that has come to its end meanwhile is applied at once, so that neither the spool nor this
 * has to keep it: all of it is in the file, so pages that are still to be copied will be read as new as that or newer, and
 * only the others are written. Only the log that is present at the end is ever needed from its start.
 */
import { comparePositions, type Position } from '../generations/names.ts';
import { frameBytes, FRAME_HEADER_BYTES, frameCommit, framePage, viewOf } from '../wal/frames.ts';
import { WAL_HEADER_BYTES } from '../wal/wal-header.ts';
import type { CopyStore } from './copy-store.ts';
import { type Cursor, positionOf, type ReadLimits, startOfLog } from './cursor.ts';
import type { DatabaseFile } from './database-file.ts';
import { readAgain, type ReadAgainDeps } from './read-again.ts';
import { type LogEnd, logEndOf } from './resume-point.ts';
import type { Taken } from './take.ts';

/** What is read and written in one go, while other work of the process waits: about a millisecond. */
export const COPY_PIECE_BYTES: number = 1024 * 1024;

/** The log that the copy needs was not kept: it has to begin again. */
export class CopyLost extends Error {
  override readonly name = 'CopyLost';
}

/** The live database, as the copy sees it. Everything here throws `CANCELLED` once its generation has ended. */
export interface CopySource extends ReadAgainDeps {
  readonly file: DatabaseFile;
  readonly pageSizeBytes: number;
  /** Size of the file after everything from `start` on was kept. */
  readonly fileBytes: number;
  /** The start of the log that was present then. */
  readonly start: Cursor;
  /** The end of what is known to be committed. */
  position(): Position;
  take(cursor: Cursor, limits: Omit<ReadLimits, 'pageSizeBytes'>): Taken;
  /** Looks at the database. The answer is behind everything that was committed before the call. */
  lookAtEnd(): Promise<Position>;
  /** The copy needs nothing before `position` any more. Called often, as a sign of life. */
  confirm(position: Position): void;
  /** Lets other work run. */
  readonly pause: () => Promise<void>;
}

export interface CopyOptions {
  readonly pieceBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** So many more bytes of the file have been copied. */
  readonly onCopied?: ((bytes: number) => void) | undefined;
}

/** What the store holds now. */
export interface Copied {
  readonly position: Position;
  /** What the store holds behind them was cut off meanwhile. */
  readonly pageCount: number;
  /** The log up to which it goes, at `position`; undefined while that log holds no frame. */
  readonly end: LogEnd | undefined;
}

/** Pages, from the first to the last. */
interface PageRange {
  readonly first: number;
  readonly last: number;
}

const NONE: PageRange = { first: 1, last: 0 };

/** @throws CopyLost; CopyFailed, CopyTooLarge from the store; RivuletError `CANCELLED`, `DB_BUSY` */
export async function copyDatabase(
  source: CopySource,
  store: CopyStore,
  options: CopyOptions = {},
): Promise<Copied> {
  const { pageSizeBytes } = source;
  const pieceBytes = wholePages(options.pieceBytes ?? COPY_PIECE_BYTES, pageSizeBytes);
  const redo = new Redo(source, store, pieceBytes);
  const filePages = Math.floor(source.fileBytes / pageSizeBytes);
  await copyFile(source, store, redo, { ...options, pieceBytes, endBytes: filePages * pageSizeBytes });
  const position = await readAgain(async () => source.lookAtEnd(), source);
  await redo.applyUntil(position, NONE, options.signal);
  return { position, pageCount: redo.pageCount || filePages, end: redo.end };
}

function wholePages(bytes: number, pageSizeBytes: number): number {
  return Math.max(1, Math.floor(bytes / pageSizeBytes)) * pageSizeBytes;
}

async function copyFile(
  source: CopySource,
  store: CopyStore,
  redo: Redo,
  options: CopyOptions & { readonly pieceBytes: number; readonly endBytes: number },
): Promise<void> {
  const { file, pageSizeBytes, pause } = source;
  const { pieceBytes, endBytes, signal, onCopied } = options;
  const buffer = new Uint8Array(Math.min(pieceBytes, endBytes));
  for (let at = 0; at < endBytes; at += pieceBytes) {
    signal?.throwIfAborted();
    const { index } = source.position();
    const toBeCopied = { first: at / pageSizeBytes + 1, last: endBytes / pageSizeBytes };
    await redo.applyUntil({ index, offsetBytes: 0 }, toBeCopied, signal);
    const piece = buffer.subarray(0, Math.min(pieceBytes, endBytes - at));
    await readAgain(() => file.read(piece, at), source);
    await store.write(piece, at);
    onCopied?.(piece.length);
    await pause();
  }
}

/** Writes the pages of the log into the copy, in the order of their commits. */
class Redo {
  readonly #source: CopySource;
  readonly #store: CopyStore;
  readonly #buffer: Uint8Array;
  /** Pages that are written in one go. */
  readonly #runBuffer: Uint8Array;
  #cursor: Cursor;
  /** Size of the database in pages after the last commit that was applied; 0 before the first. */
  pageCount = 0;

  constructor(source: CopySource, store: CopyStore, pieceBytes: number) {
    this.#source = source;
    this.#store = store;
    this.#buffer = new Uint8Array(Math.max(pieceBytes, frameBytes(source.pageSizeBytes) + WAL_HEADER_BYTES));
    this.#runBuffer = new Uint8Array(this.#buffer.length);
    this.#cursor = source.start;
  }

  /** Where it stands; undefined in a log without frames. */
  get end(): LogEnd | undefined {
    const { chain } = this.#cursor;
    return chain === undefined || chain.offsetBytes <= WAL_HEADER_BYTES ? undefined : logEndOf(chain);
  }

  /**
   * Applies what comes before `until`, which is the start of a log or the end of a transaction.
   *
   * @param toBeCopied - pages that are left out: they will be copied after this
   */
  async applyUntil(until: Position, toBeCopied: PageRange, signal: AbortSignal | undefined): Promise<void> {
    while (this.#isBefore(until)) {
      signal?.throwIfAborted();
      await this.#applyNext(until, toBeCopied);
      await this.#source.pause();
    }
    this.#source.confirm({ index: this.#cursor.index, offsetBytes: 0 });
  }

  /** The header alone of a log is nothing to be applied. */
  #isBefore(until: Position): boolean {
    const at = positionOf(this.#cursor);
    if (at.index < until.index) return true;
    return until.offsetBytes > WAL_HEADER_BYTES && comparePositions(at, until) < 0;
  }

  async #applyNext(until: Position, toBeCopied: PageRange): Promise<void> {
    const at = positionOf(this.#cursor);
    const restBytes =
      until.index === at.index ? until.offsetBytes - at.offsetBytes : Number.POSITIVE_INFINITY;
    const maxBytes = Math.min(restBytes, this.#buffer.length);
    const limits = { maxBytes, into: this.#buffer };
    const taken = await readAgain(() => this.#source.take(this.#cursor, limits), this.#source);
    if (taken.kind === 'lost') throw new CopyLost(taken.why);
    // The log at hand had come to its end: what was taken of the next one may go further than `until`.
    if (taken.kind === 'caught-up' || (taken.from.index >= until.index && at.index < until.index)) {
      if (at.index >= until.index)
        throw new CopyLost(`the log ends before ${until.index}/${until.offsetBytes}`);
      this.#cursor = startOfLog(until.index);
      return;
    }
    await this.#apply(taken.bytes, taken.from.offsetBytes === 0 ? WAL_HEADER_BYTES : 0, toBeCopied);
    this.#cursor = taken.cursor;
    this.#source.confirm({ index: taken.cursor.index, offsetBytes: 0 });
  }

  async #apply(bytes: Uint8Array, startBytes: number, toBeCopied: PageRange): Promise<void> {
    const { pageSizeBytes } = this.#source;
    const size = frameBytes(pageSizeBytes);
    const view = viewOf(bytes);
    const newest = new Map<number, number>();
    for (let at = startBytes; at < bytes.length; at += size) {
      const page = framePage(view, at);
      if (page < toBeCopied.first || page > toBeCopied.last) newest.set(page, at);
      this.pageCount = frameCommit(view, at) || this.pageCount;
    }
    for (const { page, frames } of runsOf(newest)) {
      const run = this.#runBuffer.subarray(0, frames.length * pageSizeBytes);
      for (const [i, at] of frames.entries())
        run.set(bytes.subarray(at + FRAME_HEADER_BYTES, at + size), i * pageSizeBytes);
      await this.#store.write(run, (page - 1) * pageSizeBytes);
    }
  }
}

/** Pages that lie one after another, and where their frames are. */
function* runsOf(frameOf: ReadonlyMap<number, number>): Generator<{ page: number; frames: number[] }> {
  let page = 0;
  let frames: number[] = [];
  for (const [next, at] of [...frameOf].sort(([a], [b]) => a - b)) {
    if (next !== page + frames.length) {
      if (frames.length > 0) yield { page, frames };
      page = next;
      frames = [];
    }
    frames.push(at);
  }
  if (frames.length > 0) yield { page, frames };
}
