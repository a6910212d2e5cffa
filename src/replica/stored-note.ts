/**
 * What a destination held last, kept in the state directory: a process that finds nothing there can tell a destination that somebody has
 * emptied from one that is new.
 */
import { join } from 'node:path';
import { decodeCheckedJson, encodeCheckedJson } from '../base/checked-json.ts';
import { type Files, readFileWhole, replaceFile } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { type Generation, isGeneration } from '../generations/names.ts';

const VERSION = 1;

/** The newest snapshot that is known to have been there. */
export interface HeldSnapshot {
  readonly generation: Generation;
  readonly index: number;
}

export interface StoredNoteParts {
  readonly metaPath: string;
  readonly name: string;
  /** Another destination under the same name begins anew. */
  readonly location: string;
  readonly files: Files;
  readonly logger: Logger;
}

export class StoredNote {
  readonly #parts: StoredNoteParts;
  #held: HeldSnapshot | undefined;

  constructor(parts: StoredNoteParts) {
    this.#parts = parts;
    this.#held = read(parts);
  }

  /** Undefined when nothing is known to have been stored there. */
  get held(): HeldSnapshot | undefined {
    return this.#held;
  }

  /** The destination holds this snapshot. Where that cannot be noted, the next start knows less, and everything goes on. */
  holds(snapshot: HeldSnapshot): void {
    const before = this.#held;
    if (before?.generation === snapshot.generation && before.index === snapshot.index) return;
    this.#held = { generation: snapshot.generation, index: snapshot.index };
    write(this.#parts, this.#held);
  }
}

function pathOf({ metaPath, name }: StoredNoteParts): string {
  return join(metaPath, `stored-${encodeURIComponent(name)}.json`);
}

function write(parts: StoredNoteParts, { generation, index }: HeldSnapshot): void {
  const { metaPath, location, files, logger } = parts;
  const text = encodeCheckedJson({ version: VERSION, location, generation, index });
  try {
    files.makeDirectory(metaPath, 0o700);
    replaceFile(files, pathOf(parts), Buffer.from(text), { durable: false });
  } catch (error) {
    logger.debug('what the destination holds was not noted', { error });
  }
}

function read(parts: StoredNoteParts): HeldSnapshot | undefined {
  try {
    const bytes = readFileWhole(parts.files, pathOf(parts));
    if (bytes === undefined) return undefined;
    const { version, location, generation, index } = decodeCheckedJson(Buffer.from(bytes).toString('utf8'));
    if (version !== VERSION || location !== parts.location) return undefined;
    if (typeof generation !== 'string' || !isGeneration(generation) || typeof index !== 'number')
      return undefined;
    return { generation, index };
  } catch {
    // The process starts as if it had stored nothing yet.
    return undefined;
  }
}
