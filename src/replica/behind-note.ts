/**
 * Since when one destination has lacked something, kept in the state directory: a process that is restarted while the destination is
 * away would otherwise tell a lag that begins with itself.
 */
import { join } from 'node:path';
import { decodeCheckedJson, encodeCheckedJson } from '../base/checked-json.ts';
import { type Files, readFileWhole, replaceFile } from '../base/files.ts';
import type { Generation, Position } from '../generations/names.ts';

const VERSION = 1;

/** Where a destination stood. */
export interface StoredPlace {
  readonly generation: Generation;
  readonly position: Position;
}

export interface BehindNote {
  /** Another destination under the same name begins anew. */
  readonly location: string;
  /** Undefined when that was not known. */
  readonly stored: StoredPlace | undefined;
  /** When the oldest change was found that was not stored then, in milliseconds since 1970. */
  readonly sinceMs: number;
}

export interface BehindNoteParts {
  readonly metaPath: string;
  readonly name: string;
  readonly files: Files;
}

function pathOf({ metaPath, name }: BehindNoteParts): string {
  return join(metaPath, `behind-${encodeURIComponent(name)}.json`);
}

/** @throws Error as the file system does */
export function writeBehindNote(parts: BehindNoteParts, { location, stored, sinceMs }: BehindNote): void {
  const place = stored && { generation: stored.generation, ...stored.position };
  const text = encodeCheckedJson({ version: VERSION, location, sinceMs, ...place });
  replaceFile(parts.files, pathOf(parts), Buffer.from(text), { durable: false });
}

/** Nothing to remove is no error. @throws Error as the file system does */
export function removeBehindNote(parts: BehindNoteParts): void {
  parts.files.remove(pathOf(parts));
}

/** Undefined when there is none about `location`, or none that can be read: then nothing is remembered. */
export function readBehindNote(parts: BehindNoteParts, location: string): BehindNote | undefined {
  try {
    const bytes = readFileWhole(parts.files, pathOf(parts));
    if (bytes === undefined) return undefined;
    const fields = decodeCheckedJson(Buffer.from(bytes).toString('utf8'));
    const { sinceMs } = fields;
    if (fields['version'] !== VERSION || fields['location'] !== location || typeof sinceMs !== 'number')
      return undefined;
    return { location, sinceMs, stored: placeOf(fields) };
  } catch {
    return undefined;
  }
}

function placeOf(fields: Readonly<Record<string, unknown>>): StoredPlace | undefined {
  const { generation, index, offsetBytes } = fields;
  if (typeof generation !== 'string' || typeof index !== 'number' || typeof offsetBytes !== 'number')
    return undefined;
  return { generation, position: { index, offsetBytes } };
}
