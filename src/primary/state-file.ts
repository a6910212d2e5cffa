/**
 * What a restart needs to know to continue the same generation: one small file, replaced atomically. It is only
 * ever believed after the live log has been compared with it.
 */
import { dirname } from 'node:path';
import { decodeCheckedJson, encodeCheckedJson } from '../base/checked-json.ts';
import { type Files, NotOwnFile, readFileWhole, replaceFile, systemFiles } from '../base/files.ts';
import { type Generation, isGeneration, type Position } from '../generations/names.ts';
import type { Checksum } from '../wal/checksum.ts';
import type { FileIdentity } from './database-file.ts';
import type { EndedLog } from './log-tail.ts';
import { type LogEnd, parseLogEnd } from './resume-point.ts';
import { unreadableState } from './unreadable.ts';

const VERSION = 1;

export interface LocalState {
  readonly generation: Generation;
  readonly identity: FileIdentity;
  /** The start of the machine in which this was written. */
  readonly bootId?: string | undefined;
  /** The one in which the generation began. */
  readonly beganBootId?: string | undefined;
  readonly index: number;
  /** The 32 header bytes of log `index`; none when nothing of it had been committed. */
  readonly header: Uint8Array;
  /**
   * The database file as it was when all of this was in it, and nothing else (`DatabaseFile.stamp`); absent where it was not. As long
   * as it is the same, nothing was checkpointed, so that whatever was committed since is in the present log, from its start.
   */
  readonly stamp?: string | undefined;
  /** What tells page 1 of the database file from others, as it was; see `overwritten-since.ts`. */
  readonly pageOne?: string | undefined;
  /** The log before, where the file still had it and nothing of log `index`. */
  readonly after?: EndedLog | undefined;
  /** End of what is known to be committed in log `index`, and the checksum there. */
  readonly tailBytes: number;
  readonly tailChecksum: Checksum;
  /** Where earlier logs ended that a destination may still need. */
  readonly ends: ReadonlyMap<number, LogEnd>;
  /** Last position that each destination confirmed. */
  readonly confirmed: ReadonlyMap<string, Position>;
}

export type StateReading =
  | { readonly kind: 'state'; readonly state: LocalState }
  | { readonly kind: 'none' }
  | { readonly kind: 'damaged'; readonly why: string };

export function encodeState(state: LocalState): string {
  return encodeCheckedJson({
    version: VERSION,
    generation: state.generation,
    identity: state.identity,
    bootId: state.bootId,
    beganBootId: state.beganBootId,
    stamp: state.stamp,
    pageOne: state.pageOne,
    after: state.after,
    index: state.index,
    header: Buffer.from(state.header).toString('hex'),
    tailBytes: state.tailBytes,
    tailChecksum: state.tailChecksum,
    ends: [...state.ends],
    confirmed: [...state.confirmed],
  });
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isPair(value: unknown): value is [unknown, unknown] {
  return Array.isArray(value) && value.length === 2;
}

function endOf(value: unknown): [number, LogEnd] {
  requirePart(isPair(value) && isCount(value[0]), 'lists');
  return [value[0], parseLogEnd(value[1])];
}

function isEndedLog(value: unknown): value is EndedLog {
  const { salt1, salt2, frames } = (value ?? {}) as Partial<EndedLog>;
  return isCount(salt1) && isCount(salt2) && isCount(frames);
}

function isConfirmed(value: unknown): boolean {
  if (!isPair(value) || typeof value[0] !== 'string') return false;
  const position = value[1] as Partial<Position> | null;
  return isCount(position?.index) && isCount(position.offsetBytes);
}

function requirePart(condition: boolean, what: string): asserts condition {
  if (!condition) throw new TypeError(`${what} is not as expected`);
}

/** @throws Error when the text is not a state file of this version */
export function decodeState(text: string): LocalState {
  const raw = decodeCheckedJson(text);
  requirePart(raw['version'] === VERSION, 'version');
  const { generation, identity, bootId, beganBootId, stamp, pageOne, after, index, header } = raw;
  const { tailBytes, tailChecksum, ends, confirmed } = raw;
  requirePart(typeof generation === 'string' && isGeneration(generation), 'generation');
  const id = identity as Partial<FileIdentity> | null;
  requirePart(typeof id?.device === 'string' && typeof id.inode === 'string', 'identity');
  requirePart(isCount(index) && isCount(tailBytes), 'position');
  requirePart(typeof header === 'string' && /^([0-9a-f]{64})?$/.test(header), 'header');
  requirePart(
    Array.isArray(tailChecksum) && tailChecksum.length === 2 && tailChecksum.every(isCount),
    'checksum',
  );
  requirePart(Array.isArray(ends), 'lists');
  const finished = ends.map(endOf);
  requirePart(Array.isArray(confirmed) && confirmed.every(isConfirmed), 'lists');
  return {
    generation,
    identity: { device: id.device, inode: id.inode },
    ...(typeof bootId === 'string' ? { bootId } : {}),
    ...(typeof beganBootId === 'string' ? { beganBootId } : {}),
    ...(typeof stamp === 'string' ? { stamp } : {}),
    ...(typeof pageOne === 'string' ? { pageOne } : {}),
    ...(isEndedLog(after) ? { after } : {}),
    index,
    header: Buffer.from(header, 'hex'),
    tailBytes,
    tailChecksum: tailChecksum as unknown as Checksum,
    ends: new Map(finished),
    confirmed: new Map(confirmed as [string, Position][]),
  };
}

/** @throws RivuletError `STATE_INVALID` when it cannot be read: nobody knows what it says */
export function readState(path: string, files: Files = systemFiles): StateReading {
  let bytes: Uint8Array | undefined;
  try {
    bytes = readFileWhole(files, path);
  } catch (error) {
    if (error instanceof NotOwnFile) return { kind: 'damaged', why: error.message };
    throw unreadableState(path, error);
  }
  if (bytes === undefined) return { kind: 'none' };
  try {
    return { kind: 'state', state: decodeState(Buffer.from(bytes).toString('utf8')) };
  } catch (error) {
    return { kind: 'damaged', why: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * Replaces the file. `durable` also makes it survive a power cut; without it, only the death of this process.
 * After a power cut an older state is harmless: the log is compared with it, and what does not fit is a new generation.
 */
export function writeState(
  path: string,
  state: LocalState,
  options: { readonly durable: boolean; readonly files?: Files },
): void {
  const { durable, files = systemFiles } = options;
  files.makeDirectory(dirname(path), 0o700);
  replaceFile(files, path, Buffer.from(encodeState(state), 'utf8'), { durable });
}
