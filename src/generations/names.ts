/**
 * Names and positions in the generations layout (Litestream v0.3):
 *
 *     generations/<G>/snapshots/<index>.snapshot.lz4
 *     generations/<G>/wal/<index>_<offset>.wal.lz4
 *
 * An *index* counts the write-ahead logs of a generation; an *offset* is a byte position inside one of them.
 */
import { RivuletError } from '../base/errors.ts';

/** 16 lower-case hexadecimal digits; generations do not sort by time. */
export type Generation = string;

/** A byte position in the chain of a generation's write-ahead logs. */
export interface Position {
  readonly index: number;
  readonly offsetBytes: number;
}

/** Litestream starts a new generation past this index, because it reads indexes as signed 32 bits. */
export const INDEX_MAX = 0x7fffffff;

const GENERATION = /^[0-9a-f]{16}$/;
const SNAPSHOT = /^([0-9a-f]{8})\.snapshot\.lz4$/;
const SEGMENT = /^([0-9a-f]{8})_([0-9a-f]{8,16})\.wal\.lz4$/;

export const GENERATIONS_PREFIX = 'generations/';

export function isGeneration(text: string): boolean {
  return GENERATION.test(text);
}

/** Makes a generation's name from 8 random bytes. */
export function formatGeneration(random: Uint8Array): Generation {
  if (random.length !== 8) throw new RangeError(`a generation is 8 bytes, not ${random.length}`);
  return Buffer.from(random).toString('hex');
}

function hex8(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not an index or offset: ${value}`);
  return value.toString(16).padStart(8, '0');
}

export function formatIndex(index: number): string {
  return hex8(index);
}

/** Reads an index as commands take it: hexadecimal, 1 to 8 digits. Throws `USAGE`. */
export function parseIndex(text: string): number {
  if (!/^[0-9a-fA-F]{1,8}$/.test(text)) {
    throw new RivuletError('USAGE', `"${text}" is not an index: expected 1 to 8 hexadecimal digits`);
  }
  return Number.parseInt(text, 16);
}

export function formatPosition(position: Position): string {
  return `${hex8(position.index)}:${hex8(position.offsetBytes)}`;
}

export function comparePositions(a: Position, b: Position): number {
  return a.index - b.index || a.offsetBytes - b.offsetBytes;
}

export function generationPrefix(generation: Generation): string {
  return `${GENERATIONS_PREFIX}${generation}/`;
}

export function snapshotPrefix(generation: Generation): string {
  return `${generationPrefix(generation)}snapshots/`;
}

export function segmentPrefix(generation: Generation): string {
  return `${generationPrefix(generation)}wal/`;
}

export function snapshotKey(generation: Generation, index: number): string {
  return `${snapshotPrefix(generation)}${hex8(index)}.snapshot.lz4`;
}

export function segmentKey(generation: Generation, position: Position): string {
  return `${segmentPrefix(generation)}${hex8(position.index)}_${hex8(position.offsetBytes)}.wal.lz4`;
}

/** Whether a key is that of a snapshot, of whatever generation. */
export function isSnapshotKey(key: string): boolean {
  return key.endsWith('.snapshot.lz4');
}

/** The index in a snapshot's file name, or undefined when the name is not a snapshot's. */
export function parseSnapshotName(name: string): number | undefined {
  const match = SNAPSHOT.exec(name);
  return match?.[1] === undefined ? undefined : Number.parseInt(match[1], 16);
}

/** The position in a segment's file name, or undefined. Offsets of 4 GiB and more have up to 16 digits. */
export function parseSegmentName(name: string): Position | undefined {
  const match = SEGMENT.exec(name);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  const offsetBytes = Number.parseInt(match[2], 16);
  return Number.isSafeInteger(offsetBytes)
    ? { index: Number.parseInt(match[1], 16), offsetBytes }
    : undefined;
}
