/**
 * Does the destination really give back the live database? Hashes a consistent copy of the live one at a position,
 * restores the destination to exactly that position at a temporary place, and compares. Writers are never stopped,
 * and because both sides stand at the same position a difference is a difference, never a race.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { isRivuletError, RivuletError, systemCode } from '../base/errors.ts';
import { type Files, readFileWhole, replaceFile } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { formatPosition, type Generation, type Position } from '../generations/names.ts';
import type { Primary } from '../primary/primary.ts';
import { checkIntegrityAside } from '../restore/integrity-aside.ts';
import type { RestoreSummary } from '../restore/options.ts';
import { removeLeftovers } from '../restore/output.ts';
import { restore } from '../restore/restore.ts';
import type { ObjectStore } from '../storage/object-store.ts';

export interface ValidationParts {
  readonly primary: Primary;
  readonly store: ObjectStore;
  readonly generation: Generation;
  /** Where the restored database lies while it is compared; no other destination may use the same. */
  readonly temporaryPath: string;
  readonly logger: Logger;
  readonly clock?: Clock;
  /**
   * Resolves when the destination holds everything before `position`, to the position by which the destination knows that
   * very state; rejects when it never will.
   */
  readonly shipped: (position: Position) => Promise<Position>;
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

export type Validated = Equal | Different;

export interface Equal {
  readonly outcome: 'equal';
  /** Whether the database itself, and so its exact copy, passes SQLite's check. */
  readonly isSound: boolean;
  /** What SQLite's check could not look at and why, one sentence each. */
  readonly checkLeftOut: readonly string[];
  readonly position: Position;
  /** How long the restore took. */
  readonly elapsedMs: number;
  readonly objects: number;
  readonly bytes: number;
  /** When the newest object of it was stored, in milliseconds since 1970. */
  readonly untilMs: number;
}

export interface Different {
  readonly outcome: 'different';
  readonly error: RivuletError;
}

/** What is read wrong once may be read right the next time; what is wrong twice is wrong. */
const ATTEMPTS = 2;

export async function validateReplica(parts: ValidationParts): Promise<Validated> {
  const live = await hashLive(parts);
  const { digest } = live;
  const position = await parts.shipped(live.position);
  const { temporaryPath, logger } = parts;
  for (let attempt = 1; ; attempt += 1) {
    removeLeftovers(temporaryPath);
    try {
      const validated = await compare(parts, position, digest);
      if (validated.outcome === 'equal') {
        logger.info('validation passed: the destination restores to the live database', {
          position: formatPosition(position),
        });
      }
      return validated;
    } catch (error) {
      if (!isRivuletError(error, ...UNRESTORABLE)) throw error;
      if (attempt === ATTEMPTS) return { outcome: 'different', error };
    } finally {
      removeLeftovers(temporaryPath);
    }
  }
}

async function compare(parts: ValidationParts, position: Position, digest: string): Promise<Validated> {
  const restored = await restoreTo(parts, position);
  const outputPath = parts.temporaryPath;
  if ((await hashFile(outputPath)) !== digest) {
    const problem = `what ${parts.store.location} restores at ${formatPosition(position)} differs from the live database`;
    return { outcome: 'different', error: new RivuletError('INTEGRITY', problem) };
  }
  return {
    outcome: 'equal',
    ...(await checkSource(parts)),
    position,
    elapsedMs: restored.elapsedMs,
    objects: restored.segments + 1,
    bytes: restored.bytesFetched,
    untilMs: restored.resultingTimeMs,
  };
}

/** An exact copy of a database that is damaged itself: no replica can help with that, and somebody has to know. */
async function checkSource({
  temporaryPath,
  logger,
}: ValidationParts): Promise<Pick<Equal, 'isSound' | 'checkLeftOut'>> {
  try {
    return { isSound: true, checkLeftOut: await checkIntegrityAside(temporaryPath, 'full') };
  } catch (error) {
    if (!isRivuletError(error, 'INTEGRITY')) throw error;
    logger.error(
      'the live database is damaged: it does not pass its integrity check, nor does its exact copy',
      {
        error,
        hint: 'Restore a moment from before the damage: `rivulet verify -full -timestamp TIME` finds one.',
      },
    );
    return { isSound: false, checkLeftOut: [] };
  }
}

async function hashLive(parts: ValidationParts): Promise<{ position: Position; digest: string }> {
  const { generation, signal } = parts;
  const snapshot = await parts.primary.openSnapshot({ wanted: generation, signal });
  try {
    const hash = createHash('sha256');
    for await (const piece of snapshot.pages()) {
      signal?.throwIfAborted();
      hash.update(piece);
    }
    return { position: snapshot.position, digest: hash.digest('hex') };
  } finally {
    snapshot.close();
  }
}

async function restoreTo(parts: ValidationParts, position: Position): Promise<RestoreSummary> {
  const { store, generation, signal } = parts;
  const summary = await restore({
    store,
    outputPath: parts.temporaryPath,
    target: { generation, index: position.index, offsetBytes: position.offsetBytes },
    integrityCheck: 'none',
    ...(signal === undefined ? {} : { signal }),
    ...(parts.clock === undefined ? {} : { clock: parts.clock }),
  });
  const [damaged] = summary.damagedSnapshots;
  if (damaged === undefined) return summary;
  // An older one led to the same point this time.
  throw new RivuletError('CHAIN_BROKEN', `${damaged} cannot be used`, { details: { key: damaged } });
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece as Uint8Array);
  return hash.digest('hex');
}

/** Where one destination's restored database lies. */
export function validationPath(metaPath: string, name: string): string {
  return join(metaPath, `validation-${encodeURIComponent(name)}.db`);
}

function notePath(metaPath: string, name: string): string {
  return join(metaPath, `validated-${encodeURIComponent(name)}`);
}

/** When this destination was last validated, in milliseconds since 1970; undefined when never. */
export function readValidatedAt(files: Files, metaPath: string, name: string): number | undefined {
  try {
    const bytes = readFileWhole(files, notePath(metaPath, name)) ?? new Uint8Array(0);
    const ms = Date.parse(Buffer.from(bytes).toString('utf8').trim());
    return Number.isNaN(ms) ? undefined : ms;
  } catch {
    return undefined;
  }
}

/** Where it cannot be written, a restart counts anew. */
export function writeValidatedAt(files: Files, metaPath: string, name: string, atMs: number): void {
  try {
    files.makeDirectory(metaPath, 0o700);
    const text = `${new Date(atMs).toISOString()}\n`;
    replaceFile(files, notePath(metaPath, name), Buffer.from(text), { durable: false });
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
  }
}
