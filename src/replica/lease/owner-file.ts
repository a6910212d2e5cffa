/** What a process remembers of its lease over restarts, in a file in the database's state directory. */
import { join } from 'node:path';
import { decodeCheckedJson, encodeCheckedJson } from '../../base/checked-json.ts';
import { type Files, readFileWhole, replaceFile } from '../../base/files.ts';
import { isReadFailure } from '../../base/read-failure.ts';
import { type Generation, isGeneration } from '../../generations/names.ts';
import { unreadableState } from '../../primary/unreadable.ts';

export interface OwnerNote {
  /** Random; by it a restarted process knows its own lease. */
  readonly owner: string;
  /** The generation that was named to the lease last. */
  readonly generation: Generation | undefined;
  /** The place whose conditional writes were tried, and when (milliseconds since 1970). */
  readonly tried: { readonly location: string; readonly atMs: number } | undefined;
}

const OWNER = /^[0-9a-f]{32}$/;

function notePath(metaPath: string, name: string): string {
  return join(metaPath, `lease-${encodeURIComponent(name)}.json`);
}

/**
 * The note of one replica. One that is missing or damaged is as none: then this is a new owner, which has to wait for
 * its former lease.
 *
 * @param name - the replica's
 * @throws RivuletError `STATE_INVALID` when it cannot be read at the moment
 */
export function readOwnerNote(files: Files, metaPath: string, name: string): OwnerNote | undefined {
  let fields: Readonly<Record<string, unknown>>;
  const path = notePath(metaPath, name);
  try {
    const bytes = readFileWhole(files, path) ?? new Uint8Array(0);
    fields = decodeCheckedJson(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    // Another owner would begin another generation.
    if (isReadFailure(error)) throw unreadableState(path, error);
    return undefined;
  }
  const { owner, generation, location, triedAt } = fields;
  if (typeof owner !== 'string' || !OWNER.test(owner)) return undefined;
  const atMs = Date.parse(String(triedAt));
  return {
    owner,
    generation: typeof generation === 'string' && isGeneration(generation) ? generation : undefined,
    tried: typeof location === 'string' && !Number.isNaN(atMs) ? { location, atMs } : undefined,
  };
}

/** Appears whole or not at all. Throws what the file system does. */
export function writeOwnerNote(files: Files, metaPath: string, name: string, note: OwnerNote): void {
  files.makeDirectory(metaPath, 0o700);
  const text = encodeCheckedJson({
    owner: note.owner,
    generation: note.generation,
    location: note.tried?.location,
    triedAt: note.tried === undefined ? undefined : new Date(note.tried.atMs).toISOString(),
  });
  replaceFile(files, notePath(metaPath, name), Buffer.from(text, 'utf8'), { durable: false });
}
