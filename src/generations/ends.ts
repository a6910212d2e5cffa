/**
 * An *end promise*, `generations/<G>/ends/<index>_<offset>`: a tiny object, whose content is its own name, written on
 * a clean exit. It says that the chain reached at least that position; a chain that ends before it has lost its
 * last segments, which no name of theirs would show. Litestream passes over the folder.
 */
import { type Generation, type Position, formatIndex, generationPrefix } from './names.ts';

/** A promise is a few bytes, and with them the header of age for each recipient, when it is encrypted. */
export const PROMISE_BYTES_MAX: number = 512 * 1024;

const END = /^([0-9a-f]{8})_([0-9a-f]{8,16})$/;

export function endsPrefix(generation: Generation): string {
  return `${generationPrefix(generation)}ends/`;
}

export function formatEndName(position: Position): string {
  return `${formatIndex(position.index)}_${formatIndex(position.offsetBytes)}`;
}

export function endKey(generation: Generation, position: Position): string {
  return `${endsPrefix(generation)}${formatEndName(position)}`;
}

/** The position in an end promise's file name, or undefined when the name is not one. */
export function parseEndName(name: string): Position | undefined {
  const match = END.exec(name);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  const offsetBytes = Number.parseInt(match[2], 16);
  return Number.isSafeInteger(offsetBytes)
    ? { index: Number.parseInt(match[1], 16), offsetBytes }
    : undefined;
}

/** The content of an end promise. */
export function encodeEnd(position: Position): Uint8Array {
  return Buffer.from(`${formatEndName(position)}\n`, 'latin1');
}

/** Whether `content` is what the promise of this position must hold; a copy under another name is not. */
export function isEndContent(content: Uint8Array, position: Position): boolean {
  return Buffer.from(content).toString('latin1').trim() === formatEndName(position);
}
