/** What a process remembers of its lease over restarts, in a file in the database's state directory. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Generation, isGeneration } from '../../generations/names.ts';

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
 */
export function readOwnerNote(metaPath: string, name: string): OwnerNote | undefined {
  let fields: Readonly<Record<string, unknown>>;
  try {
    fields = JSON.parse(readFileSync(notePath(metaPath, name), 'utf8')) as Record<string, unknown>;
  } catch {
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
export function writeOwnerNote(metaPath: string, name: string, note: OwnerNote): void {
  mkdirSync(metaPath, { recursive: true, mode: 0o700 });
  const path = notePath(metaPath, name);
  const text = JSON.stringify({
    owner: note.owner,
    generation: note.generation,
    location: note.tried?.location,
    triedAt: note.tried === undefined ? undefined : new Date(note.tried.atMs).toISOString(),
  });
  writeFileSync(`${path}.new`, `${text}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
