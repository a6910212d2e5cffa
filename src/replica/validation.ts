/**
 * Does the destination really give back the live database? Hashes a consistent copy of the live one at a position,
 * restores the destination to exactly that position at a temporary place, and compares. Writers are never stopped,
 * and because both sides stand at the same position a difference is a difference, never a race.
 */
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { formatPosition, type Generation, type Position } from '../generations/names.ts';
import type { Primary } from '../primary/primary.ts';
import { restore } from '../restore/restore.ts';
import type { ObjectStore } from '../storage/object-store.ts';

export interface ValidationParts {
  readonly primary: Primary;
  readonly store: ObjectStore;
  readonly generation: Generation;
  /** Where the restored database lies while it is compared; no other destination may use the same. */
  readonly temporaryPath: string;
  readonly logger: Logger;
  /** Resolves when the destination holds everything before `position`; rejects when it never will. */
  readonly shipped: (position: Position) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

const UNRESTORABLE = [
  'CHAIN_BROKEN',
  'REPLICA_INVALID',
  'REPLICA_EMPTY',
  'LZ4_INVALID',
  'AGE_INVALID',
  'INTEGRITY',
] as const;

export type ValidationOutcome = 'equal' | 'different';

export async function validateReplica(parts: ValidationParts): Promise<ValidationOutcome> {
  const { position, digest } = await hashLive(parts);
  await parts.shipped(position);
  const outputPath = parts.temporaryPath;
  rmSync(outputPath, { force: true });
  try {
    const outcome = (await restoreAndHash(parts, outputPath, position)) === digest ? 'equal' : 'different';
    report(parts, outcome, position);
    return outcome;
  } catch (error) {
    if (!isRivuletError(error, ...UNRESTORABLE)) throw error;
    parts.logger.error('validation failed: the destination does not restore', {
      error,
      position: formatPosition(position),
    });
    return 'different';
  } finally {
    rmSync(outputPath, { force: true });
  }
}

async function hashLive(parts: ValidationParts): Promise<{ position: Position; digest: string }> {
  const snapshot = await parts.primary.openSnapshot();
  try {
    const hash = createHash('sha256');
    for await (const piece of snapshot.pages()) {
      parts.signal?.throwIfAborted();
      hash.update(piece);
    }
    return { position: snapshot.position, digest: hash.digest('hex') };
  } finally {
    snapshot.close();
  }
}

async function restoreAndHash(
  parts: ValidationParts,
  outputPath: string,
  position: Position,
): Promise<string> {
  const { store, generation, signal } = parts;
  await restore({
    store,
    outputPath,
    target: { generation, index: position.index, offsetBytes: position.offsetBytes },
    integrityCheck: 'none',
    ...(signal === undefined ? {} : { signal }),
  });
  const hash = createHash('sha256');
  for await (const piece of createReadStream(outputPath)) hash.update(piece as Uint8Array);
  return hash.digest('hex');
}

function report({ logger }: ValidationParts, outcome: ValidationOutcome, position: Position): void {
  if (outcome === 'equal') {
    logger.info('validation passed: the destination restores to the live database', {
      position: formatPosition(position),
    });
  } else {
    logger.error('validation failed: the restored database differs from the live one', {
      position: formatPosition(position),
      help: 'Keep this replica for an analysis, and let a new one be made under another path.',
    });
  }
}

/** Where one destination's restored database lies. */
export function validationPath(metaPath: string, name: string): string {
  return join(metaPath, `validation-${encodeURIComponent(name)}.db`);
}

function notePath(metaPath: string, name: string): string {
  return join(metaPath, `validated-${encodeURIComponent(name)}`);
}

/** When this destination was last validated, in milliseconds since 1970; undefined when never. */
export function readValidatedAt(metaPath: string, name: string): number | undefined {
  try {
    const ms = Date.parse(readFileSync(notePath(metaPath, name), 'utf8').trim());
    return Number.isNaN(ms) ? undefined : ms;
  } catch {
    return undefined;
  }
}

export function writeValidatedAt(metaPath: string, name: string, atMs: number): void {
  mkdirSync(metaPath, { recursive: true, mode: 0o700 });
  writeFileSync(notePath(metaPath, name), `${new Date(atMs).toISOString()}\n`, { mode: 0o600 });
}
