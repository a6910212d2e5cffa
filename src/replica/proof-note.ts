/** What is remembered of the proofs of one destination, so that a restart neither forgets damage nor begins anew. */
import { dirname, join } from 'node:path';
import { decodeCheckedJson, encodeCheckedJson } from '../base/checked-json.ts';
import { messageOf } from '../base/errors.ts';
import { type Files, readFileWhole, replaceFile } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { decodeChain, encodeChain, type ProvenChain } from '../verify/proven-chain.ts';

const VERSION = 1;

export interface ProofNote {
  /** Another destination under the same name begins anew. */
  readonly location: string;
  /** When the last quick proof ended, in milliseconds since 1970; when looking began, before the first one. */
  readonly quickAtMs: number;
  /** Something was stored since then that nobody has proven; since when, in milliseconds since 1970. */
  readonly newsSinceMs: number | undefined;
  /** Something was stored since the last full proof. */
  readonly hasNewsSinceFull: boolean;
  /** What is shown to restore; undefined when nothing is, also because damage was found since. */
  readonly proven: ProvenNote | undefined;
  /** How long the last full restore took. */
  readonly restoreMs: number | undefined;
  readonly chain: ProvenChain | undefined;
  /** Damage that was told of and is not healed. */
  readonly broken: BrokenNote | undefined;
  /** Objects that somebody was told of: no second alarm for the same one. */
  readonly toldKeys: readonly string[];
}

/** In milliseconds since 1970. */
export interface ProvenNote {
  /** Everything up to this moment restores. */
  readonly untilMs: number;
  /** When that was shown. */
  readonly atMs: number;
  /** What was left out; undefined: nothing. */
  readonly except: string | undefined;
}

export interface BrokenNote {
  readonly key: string | undefined;
  /** The log that it concerns; undefined: all. */
  readonly index: number | undefined;
  readonly message: string;
  /** How many fresh snapshots it took so far, and when the last one was stored. */
  readonly heals: number;
  readonly healedAtMs: number | undefined;
}

export function emptyNote(location: string, nowMs: number): ProofNote {
  return {
    location,
    quickAtMs: nowMs,
    newsSinceMs: undefined,
    hasNewsSinceFull: false,
    proven: undefined,
    restoreMs: undefined,
    chain: undefined,
    broken: undefined,
    toldKeys: [],
  };
}

export interface ProofFileParts {
  readonly metaPath: string;
  readonly name: string;
  readonly files: Files;
  readonly logger: Logger;
}

function pathOf({ metaPath, name }: ProofFileParts): string {
  return join(metaPath, `proof-${encodeURIComponent(name)}.json`);
}

/** The note about the destination at `location`; undefined when there is none that can be used. */
export function readProofNote(parts: ProofFileParts, location: string): ProofNote | undefined {
  const path = pathOf(parts);
  try {
    const bytes = readFileWhole(parts.files, path);
    if (bytes === undefined) return undefined;
    const note = decodeNote(Buffer.from(bytes).toString('utf8'));
    return note.location === location ? note : undefined;
  } catch (error) {
    parts.logger.warn('the note about proofs cannot be used; proving begins anew', {
      path,
      why: messageOf(error),
    });
    return undefined;
  }
}

/** It need not survive a power cut: what it lacks is proven again. */
export function writeProofNote(parts: ProofFileParts, note: ProofNote): void {
  const path = pathOf(parts);
  const { chain, ...rest } = note;
  const raw = { version: VERSION, ...rest, chain: chain === undefined ? undefined : encodeChain(chain) };
  try {
    parts.files.makeDirectory(dirname(path), 0o700);
    replaceFile(parts.files, path, Buffer.from(encodeCheckedJson(raw), 'utf8'), { durable: false });
  } catch (error) {
    parts.logger.debug('the note about proofs cannot be written', { error });
  }
}

function decodeNote(text: string): ProofNote {
  const raw = decodeCheckedJson(text);
  const { version, location, quickAtMs, newsSinceMs, hasNewsSinceFull } = raw;
  const { proven, restoreMs, chain, broken, toldKeys } = raw;
  if (version !== VERSION) throw new TypeError('the version is not known');
  if (typeof location !== 'string') throw new TypeError('it does not say what it is about');
  return {
    location,
    quickAtMs: numberOf(quickAtMs),
    newsSinceMs: optional(newsSinceMs),
    hasNewsSinceFull: hasNewsSinceFull === true,
    proven: proven === undefined ? undefined : provenOf(proven),
    restoreMs: optional(restoreMs),
    chain: chain === undefined ? undefined : decodeChain(chain),
    broken: broken === undefined ? undefined : brokenOf(broken),
    toldKeys: Array.isArray(toldKeys) ? toldKeys.filter((key) => typeof key === 'string') : [],
  };
}

function provenOf(value: unknown): ProvenNote {
  const { untilMs, atMs, except } = (value ?? {}) as Record<string, unknown>;
  return {
    untilMs: numberOf(untilMs),
    atMs: numberOf(atMs),
    except: typeof except === 'string' ? except : undefined,
  };
}

function brokenOf(value: unknown): BrokenNote {
  const { key, index, message, heals, healedAtMs } = (value ?? {}) as Record<string, unknown>;
  return {
    key: typeof key === 'string' ? key : undefined,
    index: optional(index),
    message: typeof message === 'string' ? message : '',
    heals: numberOf(heals),
    healedAtMs: optional(healedAtMs),
  };
}

function numberOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError('a number is missing');
  return value;
}

function optional(value: unknown): number | undefined {
  return value === undefined || value === null ? undefined : numberOf(value);
}
