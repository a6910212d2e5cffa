/**
 * What is written down here about the segments that go to one destination, for the case that they cannot be read back:
 * whoever has the recipients of an encrypted replica and not the identities cannot learn from an object how far it reaches.
 *
 * Before a segment is uploaded its end is noted as an intention, afterwards as stored, with the size of its object. Until
 * then the same name is never written with another content: a later attempt has to reach exactly the intended end. So
 * after any kill the newest segment at the destination is the one that was stored, or the one that was intended, and
 * either way it is known where it ends. Everything else proves nothing, and the destination gets a fresh snapshot.
 *
 * A note that is lost or older than it should be does no harm: the newest segment is then one it does not know. So it
 * need not be safe from a power cut, and a full disk does not stop replication.
 */
import { dirname, join } from 'node:path';
import { decodeCheckedJson, encodeCheckedJson } from '../base/checked-json.ts';
import { messageOf } from '../base/errors.ts';
import { type Files, readFileWhole, replaceFile } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { isReadFailure } from '../base/read-failure.ts';
import type { SegmentEntry } from '../generations/inventory.ts';
import { comparePositions, type Generation, isGeneration, type Position } from '../generations/names.ts';
import { type LogEnd, parseLogEnd } from '../primary/resume-point.ts';
import { unreadableState } from '../primary/unreadable.ts';

const VERSION = 1;

export interface StoredSegment {
  readonly from: Position;
  readonly end: LogEnd;
  /** Of the object, as a listing tells it. */
  readonly sizeBytes: number;
}

export interface IntendedSegment {
  readonly from: Position;
  /** Undefined when it becomes known while the segment is sent: a first one that is too long for the memory. */
  readonly end: LogEnd | undefined;
}

export interface UploadNote {
  readonly generation: Generation;
  /** The destination, without secrets. */
  readonly location: string;
  readonly stored: StoredSegment | undefined;
  readonly intended: IntendedSegment | undefined;
}

export type NotedEnd =
  | { readonly kind: 'end'; readonly end: LogEnd }
  | { readonly kind: 'unknown'; readonly why: string };

/** Where the newest segment of a destination ends, as far as a note proves it. Pure. */
export function endOfNewest(
  note: UploadNote | undefined,
  held: { readonly generation: Generation; readonly location: string; readonly newest: SegmentEntry },
): NotedEnd {
  if (note === undefined) return unknown('nothing is noted here about what was stored');
  if (note.location !== held.location) return unknown('what is noted here is about another place');
  if (note.generation !== held.generation) return unknown('what is noted here is about another generation');
  const { stored, intended } = note;
  const { newest } = held;
  if (stored !== undefined && comparePositions(stored.from, newest) === 0) {
    if (stored.sizeBytes === newest.sizeBytes) return { kind: 'end', end: stored.end };
    return unknown(`it has ${newest.sizeBytes} bytes, and ${stored.sizeBytes} were stored`);
  }
  if (intended === undefined || comparePositions(intended.from, newest) !== 0) {
    return unknown('it is not the one that is noted here as the newest');
  }
  if (intended.end === undefined) return unknown('it was being stored when the process ended');
  return { kind: 'end', end: intended.end };
}

function unknown(why: string): NotedEnd {
  return { kind: 'unknown', why };
}

export interface UploadRecordParts {
  /** Directory of the local state. */
  readonly metaPath: string;
  /** The destination's name. */
  readonly name: string;
  readonly location: string;
  readonly files: Files;
  readonly logger: Logger;
}

/** The note of one destination, in memory and as a file that is replaced with each change. */
export class UploadRecord {
  readonly #parts: UploadRecordParts;
  readonly #path: string;
  /** `unread`: the file has not been read yet, or could not be. */
  #kept: UploadNote | undefined | 'unread' = 'unread';
  #isFailing = false;

  constructor(parts: UploadRecordParts) {
    this.#parts = parts;
    this.#path = join(parts.metaPath, `uploads-${encodeURIComponent(parts.name)}.json`);
  }

  /** @throws RivuletError `STATE_INVALID` when the file cannot be read at the moment: nobody knows what it says */
  get note(): UploadNote | undefined {
    if (this.#kept === 'unread') this.#kept = this.#read();
    return this.#kept;
  }

  /** A segment that may be on its way, or have arrived, and was never heard of again. */
  intendedIn(generation: Generation): IntendedSegment | undefined {
    const { note } = this;
    return note?.generation === generation && note.location === this.#parts.location
      ? note.intended
      : undefined;
  }

  /** From now on it is about this generation, of which no segment is stored yet. */
  begin(generation: Generation): void {
    this.#replace({ generation, location: this.#parts.location, stored: undefined, intended: undefined });
  }

  /** A segment is about to be uploaded. */
  intend(generation: Generation, intended: IntendedSegment): void {
    const { location } = this.#parts;
    const { note } = this;
    const isSame = note?.generation === generation && note.location === location;
    const stored = isSame ? note.stored : undefined;
    this.#replace({ generation, location, stored, intended });
  }

  /** The segment is stored. */
  stored(generation: Generation, { from: { index, offsetBytes }, end, sizeBytes }: StoredSegment): void {
    const stored = { from: { index, offsetBytes }, end, sizeBytes };
    this.#replace({ generation, location: this.#parts.location, stored, intended: undefined });
  }

  /** The newest segment at the destination ends here. One that is intended behind it may be on its way still. */
  proven(generation: Generation, newest: StoredSegment): void {
    const stored = this.note?.stored;
    if (stored === undefined || comparePositions(stored.from, newest.from) !== 0) {
      this.stored(generation, newest);
    }
  }

  #replace(note: UploadNote): void {
    this.#kept = note;
    const { files, logger } = this.#parts;
    try {
      files.makeDirectory(dirname(this.#path), 0o700);
      replaceFile(files, this.#path, Buffer.from(encodeNote(note), 'utf8'), { durable: false });
      this.#isFailing = false;
    } catch (error) {
      if (this.#isFailing) return;
      this.#isFailing = true;
      logger.warn('cannot note what is stored; after a restart the destination may need a fresh snapshot', {
        error,
      });
    }
  }

  #read(): UploadNote | undefined {
    const { files, logger } = this.#parts;
    try {
      const bytes = readFileWhole(files, this.#path);
      return bytes === undefined ? undefined : decodeNote(Buffer.from(bytes).toString('utf8'));
    } catch (error) {
      if (isReadFailure(error)) throw unreadableState(this.#path, error);
      logger.warn('the note about what is stored cannot be used', {
        path: this.#path,
        why: messageOf(error),
      });
      return undefined;
    }
  }
}

// ---- text ----------------------------------------------------------------------------------------------------------

export function encodeNote(note: UploadNote): string {
  return encodeCheckedJson({ version: VERSION, ...note });
}

/** @throws Error when the text is not a note of this version */
export function decodeNote(text: string): UploadNote {
  const { version, generation, location, stored, intended } = decodeCheckedJson(text);
  if (version !== VERSION) throw new TypeError('the version is not known');
  if (typeof generation !== 'string' || !isGeneration(generation) || typeof location !== 'string') {
    throw new TypeError('it does not say what it is about');
  }
  return {
    generation,
    location,
    stored: stored === undefined ? undefined : storedOf(stored),
    intended: intended === undefined ? undefined : intendedOf(intended),
  };
}

function storedOf(value: unknown): StoredSegment {
  const { end, sizeBytes } = value as Partial<StoredSegment>;
  if (!isCount(sizeBytes)) throw new TypeError('a size is not as expected');
  return { from: fromOf(value), end: parseLogEnd(end), sizeBytes };
}

function intendedOf(value: unknown): IntendedSegment {
  const { end } = value as Partial<IntendedSegment>;
  return { from: fromOf(value), end: end === undefined ? undefined : parseLogEnd(end) };
}

function fromOf(value: unknown): Position {
  const { from } = value as { from?: Partial<Position> };
  if (!isCount(from?.index) || !isCount(from.offsetBytes))
    throw new TypeError('a position is not as expected');
  return { index: from.index, offsetBytes: from.offsetBytes };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
