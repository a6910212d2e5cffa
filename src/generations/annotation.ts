/**
 * What Rivulet says about an object inside the object itself: an LZ4 *skippable frame* before the data frame.
 * Every LZ4 frame reader, Litestream's too, passes over it (LZ4 frame format, "Skippable Frames").
 *
 * It binds an object to its name, and it tells where the index before ended, which the layout alone cannot show:
 * without it a chain whose last segment of a finished index is lost looks complete.
 *
 * Payload: `RVLT`, one version byte (1), JSON in UTF-8, then the xxHash32 of all that, little-endian.
 */

import { RivuletError } from '../base/errors.ts';
import { xxhash32 } from '../kernel/kernel.ts';
import { INDEX_MAX, isGeneration } from './names.ts';

export interface SegmentAnnotation {
  readonly kind: 'segment';
  readonly generation: string;
  readonly index: number;
  /** Where index - 1 ended; absent for the first index that this generation holds at this destination. */
  readonly previousEndBytes?: number;
  /** The checksum of its last frame: an object of the same length from another history does not pass. */
  readonly previousEndChecksum?: readonly [number, number];
}

export interface SnapshotAnnotation {
  readonly kind: 'snapshot';
  readonly generation: string;
  readonly index: number;
  /** The snapshot is the exact database after the frames of `index` before this offset. */
  readonly offsetBytes: number;
  readonly pageSizeBytes: number;
  readonly pageCount: number;
  /** Salts of the write-ahead log `index`; absent when it had no header yet. */
  readonly salts?: readonly [number, number];
  /** Of the last frame before the offset: a log with other frames there is not the one that was copied. */
  readonly checksum?: readonly [number, number];
  /**
   * Where index - 1 ended, with the checksum of its last frame, for a snapshot of an index that had no frame yet: then nothing
   * of its own shows which history it is of.
   */
  readonly previousEndBytes?: number;
  readonly previousEndChecksum?: readonly [number, number];
}

export type Annotation = SegmentAnnotation | SnapshotAnnotation;

const MAGIC = Buffer.from('RVLT', 'latin1');
const VERSION = 1;
const HEADER_BYTES = MAGIC.length + 1;
const CHECKSUM_BYTES = 4;
/** Of a field's name in a message: whoever wrote the object chose it. */
const NAME_SHOWN_MAX = 40;

type Fields = Readonly<Record<string, unknown>>;

const WORD_MAX = 0xffffffff;
const OPTIONAL = new Set(['previousEndBytes', 'previousEndChecksum', 'salts', 'checksum']);
const PAIRS = new Set(['previousEndChecksum', 'salts', 'checksum']);
const FIELDS: Readonly<Record<Annotation['kind'], readonly string[]>> = {
  segment: ['kind', 'generation', 'index', 'previousEndBytes', 'previousEndChecksum'],
  snapshot: [
    'kind',
    'generation',
    'index',
    'offsetBytes',
    'pageSizeBytes',
    'pageCount',
    'salts',
    'checksum',
    'previousEndBytes',
    'previousEndChecksum',
  ],
};

function isCount(value: unknown, max: number = Number.MAX_SAFE_INTEGER): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;
}

function isValidField(name: string, value: unknown): boolean {
  if (value === undefined) return OPTIONAL.has(name);
  if (name === 'generation') return typeof value === 'string' && isGeneration(value);
  if (name === 'index') return isCount(value, INDEX_MAX);
  if (name === 'kind') return true;
  if (!PAIRS.has(name)) return isCount(value);
  return Array.isArray(value) && value.length === 2 && value.every((word) => isCount(word, WORD_MAX));
}

/** The first field that is wrong, missing or unknown; undefined when the value is an annotation of this kind. */
function wrongField(kind: Annotation['kind'], value: Fields): string | undefined {
  const known = FIELDS[kind];
  return (
    Object.keys(value).find((name) => !known.includes(name)) ??
    known.find((name) => !isValidField(name, value[name]))
  );
}

/** The payload of the skippable frame that carries `value`. */
export function encodeAnnotation(value: Annotation): Uint8Array {
  const wrong = wrongField(value.kind, { ...value });
  if (wrong !== undefined)
    throw new RangeError(`an annotation with a wrong "${wrong}": ${JSON.stringify(value)}`);
  const json = Buffer.from(JSON.stringify(value), 'utf8');
  const bytes = Buffer.alloc(HEADER_BYTES + json.length + CHECKSUM_BYTES);
  MAGIC.copy(bytes);
  bytes[MAGIC.length] = VERSION;
  json.copy(bytes, HEADER_BYTES);
  const body = bytes.length - CHECKSUM_BYTES;
  bytes.writeUInt32LE(xxhash32(bytes.subarray(0, body)), body);
  return bytes;
}

function isOurs(bytes: Uint8Array): boolean {
  return bytes.length >= HEADER_BYTES + CHECKSUM_BYTES && MAGIC.equals(bytes.subarray(0, MAGIC.length));
}

function invalid(what: string, reason: string): RivuletError {
  return new RivuletError('REPLICA_INVALID', `${what}: its annotation is damaged (${reason})`);
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid(what, 'no JSON');
  }
}

/**
 * Reads the payload of a skippable frame.
 *
 * @param what - the object's key, for the message
 * @returns undefined when this is not an annotation, or one of a kind or version that this program does not know
 * @throws RivuletError `REPLICA_INVALID` when its checksum does not match or a known kind is malformed
 */
export function decodeAnnotation(payload: Uint8Array, what: string = 'the object'): Annotation | undefined {
  if (!isOurs(payload)) return undefined;
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const body = bytes.length - CHECKSUM_BYTES;
  if (bytes.readUInt32LE(body) !== xxhash32(bytes.subarray(0, body))) throw invalid(what, 'checksum');
  if (bytes[MAGIC.length] !== VERSION) return undefined;
  const value = parseJson(bytes.toString('utf8', HEADER_BYTES, body), what);
  if (typeof value !== 'object' || value === null || !('kind' in value)) throw invalid(what, 'no kind');
  const { kind } = value;
  if (kind !== 'segment' && kind !== 'snapshot') return undefined;
  const wrong = wrongField(kind, { ...value });
  if (wrong !== undefined) throw invalid(what, `field "${wrong.slice(0, NAME_SHOWN_MAX)}"`);
  return value as Annotation;
}

/** The first annotation among the payloads of an object's skippable frames, or undefined. */
export function findAnnotation(payloads: readonly Uint8Array[], what: string): Annotation | undefined {
  for (const payload of payloads) {
    const value = decodeAnnotation(payload, what);
    if (value !== undefined) return value;
  }
  return undefined;
}
