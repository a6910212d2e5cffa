/** The header of an age file: text, from its first line to the line with the MAC (c2sp.org/age, "Header"). */
import type { ChunkReader } from '../chunk-reader.ts';
import { ageDamaged } from './age-error.ts';

const FIRST_LINE = Buffer.from('age-encryption.org/v1\n', 'latin1');
const LAST_LINE_BEGINS = '--- ';
/** Room for `RECIPIENTS_MAX` with some to spare; whoever claims more wants to fill the memory. */
const HEADER_BYTES_MAX = 256 * 1024;
/** Each takes 98 bytes of the header, which is at the beginning of every object. */
export const RECIPIENTS_MAX = 2_000;

/** So many bytes tell whether an object is age. */
export const AGE_MARK_BYTES: number = FIRST_LINE.length;

export function isAge(bytes: Uint8Array): boolean {
  return bytes.length >= AGE_MARK_BYTES && FIRST_LINE.equals(bytes.subarray(0, AGE_MARK_BYTES));
}

/** Whether an object that is shorter than the mark is what a cut left of one that was age. */
export function isCutAge(bytes: Uint8Array): boolean {
  const isShort = bytes.length > 0 && bytes.length < AGE_MARK_BYTES;
  return isShort && FIRST_LINE.subarray(0, bytes.length).equals(bytes);
}

/**
 * The rest of the header, byte by byte up to its end and not further.
 *
 * @param begin - the bytes that were read already, with the first line; they are part of the answer
 * @throws RivuletError `AGE_INVALID` when there is no end
 */
export async function readHeader(begin: Uint8Array, source: ChunkReader): Promise<Uint8Array> {
  const lines: Uint8Array[] = [begin];
  for (let length = begin.length; length < HEADER_BYTES_MAX;) {
    const line = await readLine(source, HEADER_BYTES_MAX - length);
    lines.push(line);
    length += line.length;
    if (isLastLine(line)) return Buffer.concat(lines);
  }
  throw ageDamaged('its header does not end');
}

function isLastLine(line: Uint8Array): boolean {
  return Buffer.from(line).toString('latin1', 0, LAST_LINE_BEGINS.length) === LAST_LINE_BEGINS;
}

async function readLine(source: ChunkReader, maxBytes: number): Promise<Uint8Array> {
  const letters: number[] = [];
  while (letters.length < maxBytes) {
    const [letter] = source.takeNow(1) ?? (await source.take(1));
    if (letter === undefined) throw ageDamaged('its header is cut off');
    letters.push(letter);
    if (letter === 0x0a) return Uint8Array.from(letters);
  }
  throw ageDamaged('its header does not end');
}
