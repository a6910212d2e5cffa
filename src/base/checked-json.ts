/**
 * Text for the files of the local state: an object as JSON with a checksum of itself, in one line. A flipped bit may leave
 * a text that parses, with another generation in it or another position, and nothing else would tell.
 */
import { crc32 } from 'node:zlib';

const NAME = 'crc32';

function checkOf(fields: object): number {
  return crc32(JSON.stringify(fields));
}

/** @param fields - what `JSON.stringify` can write; a field that is undefined is left out */
export function encodeCheckedJson(fields: object): string {
  return `${JSON.stringify({ ...fields, [NAME]: checkOf(fields) })}\n`;
}

/**
 * @returns the fields as they were encoded, without the checksum; their types are for the caller to look at
 * @throws SyntaxError when it is not JSON, TypeError when it is no object or the checksum does not fit
 */
export function decodeCheckedJson(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('no object');
  const { [NAME]: check, ...fields } = value as Record<string, unknown>;
  if (check !== checkOf(fields)) throw new TypeError('the checksum of the whole is not as expected');
  return fields;
}
