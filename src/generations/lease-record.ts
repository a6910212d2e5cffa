/**
 * What the lease of a replica says: who may write there, until when, which generation it writes, and which generations
 * of former writers ended when. A small JSON text; fields that this version does not know are passed over.
 */
import { RivuletError, messageOf } from '../base/errors.ts';
import { REGISTER_BYTES_MAX } from '../storage/register.ts';
import { type Generation, isGeneration } from './names.ts';

/** `held`: its holder renews it. `parked`: the holder has nothing to upload, and renews nothing. `released`: free. */
export type LeaseState = 'held' | 'parked' | 'released';

export interface Superseded {
  readonly generation: Generation;
  /**
   * When its writer was superseded, by the store's clock in milliseconds since 1970; undefined in the very value that
   * did it, since its time is known only once it is stored: then it is the time of the value itself.
   */
  readonly atMs: number | undefined;
}

export interface LeaseRecord {
  /** Grows with each change of owner. */
  readonly epoch: number;
  readonly state: LeaseState;
  /** Of the state directory; stays the same over restarts. */
  readonly owner: string;
  /** Of the process. */
  readonly session: string;
  /** Differs in each value that is written, so that no two are the same bytes. */
  readonly serial: number;
  readonly host: string;
  readonly pid: number;
  readonly database: string;
  readonly program: string;
  /** By the holder's clock, in milliseconds since 1970. */
  readonly acquiredAtMs: number;
  readonly renewedAtMs: number;
  /** How long it stays valid after a renewal. */
  readonly durationMs: number;
  /** What the holder writes; at most a few. */
  readonly generations: readonly Generation[];
  /** Oldest first. */
  readonly superseded: readonly Superseded[];
}

const FORMAT_VERSION = 1;
/** A value of any size is not read: a lease is a few hundred bytes, and a little for each superseded generation. */
export const LEASE_BYTES_MAX: number = REGISTER_BYTES_MAX;
/** More than so many changes of writer ago, no late object can be the newest any more. */
export const SUPERSEDED_MAX = 100;
const GENERATIONS_MAX = 16;
const TEXT_LENGTH_MAX = 4096;
const DURATION_MS_MAX = 7 * 24 * 3_600_000;
/** Of a value in a message: whoever wrote the object chose it. */
const SHOWN_MAX = 40;
const STATES: readonly string[] = ['held', 'parked', 'released'];

export function encodeLease(record: LeaseRecord): Uint8Array {
  const text = JSON.stringify(
    {
      version: FORMAT_VERSION,
      about: 'Says which Rivulet process may write to this replica. See docs/one-writer.md of Rivulet.',
      state: record.state,
      epoch: record.epoch,
      owner: record.owner,
      session: record.session,
      serial: record.serial,
      host: record.host,
      pid: record.pid,
      database: record.database,
      program: record.program,
      acquiredAt: formatTime(record.acquiredAtMs),
      renewedAt: formatTime(record.renewedAtMs),
      durationMs: record.durationMs,
      generations: record.generations,
      superseded: record.superseded.slice(-SUPERSEDED_MAX).map(({ generation, atMs }) => ({
        generation,
        ...(atMs === undefined ? {} : { at: formatTime(atMs) }),
      })),
    },
    undefined,
    1,
  );
  return Buffer.from(`${text}\n`, 'utf8');
}

function formatTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** @throws RivuletError `REPLICA_INVALID`, saying which field is wrong */
export function decodeLease(bytes: Uint8Array): LeaseRecord {
  if (bytes.length > LEASE_BYTES_MAX) {
    throw invalid(`it has ${bytes.length} bytes, expected at most ${LEASE_BYTES_MAX}`);
  }
  const fields = parseObject(bytes);
  const version = fields['version'];
  if (version !== FORMAT_VERSION) {
    throw invalid(
      `its version is ${shown(version)}, expected ${FORMAT_VERSION}`,
      'A newer Rivulet writes here; use the same version for this one.',
    );
  }
  return {
    epoch: wholeNumber(fields, 'epoch', 1, Number.MAX_SAFE_INTEGER),
    state: state(fields['state']),
    owner: text(fields, 'owner'),
    session: text(fields, 'session'),
    serial: wholeNumber(fields, 'serial', 0, Number.MAX_SAFE_INTEGER),
    host: text(fields, 'host'),
    pid: wholeNumber(fields, 'pid', 0, Number.MAX_SAFE_INTEGER),
    database: text(fields, 'database'),
    program: text(fields, 'program'),
    acquiredAtMs: time(fields, 'acquiredAt'),
    renewedAtMs: time(fields, 'renewedAt'),
    durationMs: wholeNumber(fields, 'durationMs', 1, DURATION_MS_MAX),
    generations: list(fields, 'generations', GENERATIONS_MAX).map(generation),
    superseded: list(fields, 'superseded', SUPERSEDED_MAX).map(superseded),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function parseObject(bytes: Uint8Array): Fields {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw invalid(`it is not JSON: ${messageOf(error)}`);
  }
  if (!isObject(value)) throw invalid('it is not a JSON object');
  return value;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string' || value === '' || value.length > TEXT_LENGTH_MAX) {
    throw invalid(`its ${name} is not a text of 1 to ${TEXT_LENGTH_MAX} characters`);
  }
  return value;
}

function wholeNumber(fields: Fields, name: string, least: number, most: number): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most) {
    throw invalid(`its ${name} is not a whole number from ${least} to ${most}`);
  }
  return value;
}

function state(value: unknown): LeaseState {
  if (typeof value !== 'string' || !STATES.includes(value)) {
    throw invalid(`its state is none of ${STATES.join(', ')}`);
  }
  return value as LeaseState;
}

function time(fields: Fields, name: string): number {
  const ms = Date.parse(text(fields, name));
  if (Number.isNaN(ms)) throw invalid(`its ${name} is not a time`);
  return ms;
}

function list(fields: Fields, name: string, most: number): readonly unknown[] {
  const value = fields[name];
  if (!Array.isArray(value) || value.length > most)
    throw invalid(`its ${name} is not a list of at most ${most}`);
  return value;
}

function generation(value: unknown): Generation {
  if (typeof value !== 'string' || !isGeneration(value)) throw invalid('it names a generation that is none');
  return value;
}

function superseded(value: unknown): Superseded {
  if (!isObject(value)) throw invalid('its superseded holds something that is not an object');
  return {
    generation: generation(value['generation']),
    atMs: value['at'] === undefined ? undefined : time(value, 'at'),
  };
}

function shown(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value).slice(0, SHOWN_MAX);
}

function invalid(why: string, hint?: string): RivuletError {
  return new RivuletError('REPLICA_INVALID', `the lease object cannot be used: ${why}`, {
    hint: hint ?? 'If nobody else writes to this replica, remove the object; it is made anew.',
  });
}
