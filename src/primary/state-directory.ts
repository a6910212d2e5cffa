/**
 * The directory of a database's local state, which belongs to Rivulet alone. Nothing is written or removed in one before
 * it is known to be ours, and private. A small file marks it, so that it is known again; one of a version before the mark
 * is known by what is in it.
 */
import { basename, dirname, join } from 'node:path';
import { UntrustedPath } from '../base/directory-handle.ts';
import { RivuletError } from '../base/errors.ts';
import { type Files, nameOfTemporary, replaceFile, systemFiles } from '../base/files.ts';
import { assertPrivate, openPrivateDirectory, type PrivateDirectory } from '../base/private-directory.ts';
import { type InstanceLock, stateUnusable, takeInstanceLock } from './instance-lock.ts';
import { readState } from './state-file.ts';

const MARKER = 'rivulet-state.json';
const MARKER_VERSION = 1;
const SPOOL = 'spool';

/** A directory of such a name is ours by that name alone. */
const OWN_DIRECTORY = /^\..+-rivulet$/;
const NAMES: ReadonlySet<string> = new Set([
  MARKER,
  'copy',
  SPOOL,
  'lock',
  'state.json',
  'daemon.json',
  'control.sock',
]);
/** What is kept for each destination, whose name stands in the middle. */
const NAMES_OF_DESTINATIONS =
  /^(?:(?:behind|lease|proof|stored|uploads)-.+\.json|validated-.+|validation-.+\.db(?:[.-].+)?)$/;

/** The state directory of one database, held by this process. */
export interface StateDirectory {
  /** How what is in it is reached; all other paths lead where they always do. */
  readonly files: Files;
  /**
   * Takes the directory again where somebody has removed it, or put another one in its place, together with the database or alone: what
   * other processes find there must name this one. Nothing is made in the place of a missing directory of the database.
   *
   * @returns whether it is another one than before
   * @throws RivuletError as opening does; then this process has the former one still
   */
  refresh(): boolean;
  /** Lets another process have it. */
  release(): void;
}

export function spoolPathIn(directory: string): string {
  return join(directory, SPOOL);
}

/**
 * Whether a directory is one for local state, or may become one: it is not there, empty, marked, of a name that only we give,
 * or holds what an earlier version has left. Looks only.
 */
export function isForState(directory: string, files: Files = systemFiles): boolean {
  if (OWN_DIRECTORY.test(basename(directory))) return true;
  const names = files.list(directory);
  if (names.length === 0 || names.includes(MARKER)) return true;
  if (names.includes('state.json') && isStateFile(join(directory, 'state.json'), files)) return true;
  const lock = names.includes('lock') ? files.lstat(join(directory, 'lock')) : undefined;
  return lock?.kind === 'file' && lock.sizeBytes === 0 && names.every(isOurName);
}

function isStateFile(path: string, files: Files): boolean {
  return readState(path, files).kind === 'state';
}

function isOurName(name: string): boolean {
  const whole = nameOfTemporary(name) ?? name;
  return NAMES.has(whole) || NAMES_OF_DESTINATIONS.test(whole);
}

/**
 * Makes the directory if need be, and takes it for this process.
 *
 * @throws RivuletError `DB_IN_USE` when another process has it; `STATE_INVALID` when it is not ours or not private
 */
export function openStateDirectory(path: string, databasePath: string): StateDirectory {
  const directory = openPrivate(path, databasePath);
  try {
    const { files } = directory;
    let lock = takeOver(path, files, databasePath);
    return {
      files,
      refresh: () => {
        if (directory.isCurrent() && lock.isCurrent()) return false;
        if (systemFiles.stat(dirname(databasePath)) === undefined) return false;
        const former = lock;
        lock = takeAgain(directory, path, databasePath);
        former.release();
        return true;
      },
      release: () => {
        lock.release();
        directory.close();
      },
    };
  } catch (error) {
    directory.close();
    throw explained(path, error);
  }
}

function takeOver(path: string, files: Files, databasePath: string): InstanceLock {
  assertOurs(path, files);
  const lock = takeInstanceLock(path, files, databasePath);
  try {
    mark(path, databasePath, files);
    sweep(path, files);
  } catch {
    // A full or read-only disk: what else must be written tells so itself.
  }
  return lock;
}

function takeAgain(directory: PrivateDirectory, path: string, databasePath: string): InstanceLock {
  try {
    return directory.reopen((files) => takeOver(path, files, databasePath));
  } catch (error) {
    throw explained(path, error);
  }
}

function explained(path: string, error: unknown): RivuletError {
  if (error instanceof RivuletError) return error;
  return stateUnusable(path, error, error instanceof UntrustedPath ? error.hint : undefined);
}

/**
 * Whether a directory that is there can be used. Changes nothing.
 *
 * @throws RivuletError `STATE_INVALID`
 */
export function assertStateDirectory(path: string): void {
  try {
    assertPrivate(path, { mayTakeFromGroup: isMarked });
  } catch (error) {
    throw stateUnusable(path, error, error instanceof UntrustedPath ? error.hint : undefined);
  }
  assertOurs(path, systemFiles);
}

function openPrivate(path: string, databasePath: string): PrivateDirectory {
  try {
    return openPrivateDirectory(path, { mayTakeFromGroup: isMarked, neverMade: dirname(databasePath) });
  } catch (error) {
    throw explained(path, error);
  }
}

/** What a volume's manager (Kubernetes, with an `fsGroup`) has opened for a group was ours before. */
function isMarked(path: string): boolean {
  return systemFiles.lstat(join(path, MARKER))?.kind === 'file';
}

function assertOurs(path: string, files: Files): void {
  if (!isForState(path, files)) {
    throw new RivuletError('STATE_INVALID', `${path} holds files that are not Rivulet's`, {
      hint: 'Give a `meta-path` that does not exist yet or is empty.',
    });
  }
  const spool = files.lstat(spoolPathIn(path));
  if (spool === undefined || spool.kind === 'directory') return;
  throw new RivuletError('STATE_INVALID', `${spoolPathIn(path)} is a link or a file, expected a directory`, {
    hint: 'Remove it. To keep the local state on another disk, set `meta-path` to a directory there.',
  });
}

function mark(path: string, databasePath: string, files: Files): void {
  const marker = join(path, MARKER);
  if (files.lstat(marker)?.kind === 'file') return;
  const text = `${JSON.stringify({ version: MARKER_VERSION, program: 'rivulet', database: databasePath })}\n`;
  replaceFile(files, marker, Buffer.from(text), { durable: false });
}

/** Removes what a killed process was writing: nobody else can be writing here now. */
function sweep(path: string, files: Files): void {
  for (const name of files.list(path)) {
    const whole = nameOfTemporary(name);
    if (whole === undefined || !isOurName(whole)) continue;
    const temporary = join(path, name);
    if (files.lstat(temporary)?.kind === 'file') files.remove(temporary);
  }
}
