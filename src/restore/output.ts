/**
 * The output of a restore: built under `<output>.tmp-` and a random number, and given its name only when it is whole and safe on disk.
 * Whatever happens before that, nothing is left but what was there.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  unlinkSync,
} from 'node:fs';
import { link, rename, unlink } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import {
  type DirectoryHandle,
  NEW_FILE,
  openDirectory,
  tellPath,
  UntrustedPath,
} from '../base/directory-handle.ts';
import { RivuletError, isRivuletError, messageOf, systemCode } from '../base/errors.ts';
import { nameOfTemporary, systemFiles } from '../base/files.ts';
import { systemHint } from '../base/system-hint.ts';
import { lockOutput } from './output-lock.ts';
import { sidecarsOf } from './sidecars.ts';

const DEFAULT_MODE = 0o600;
/** Of directories that are made for an output. */
const DIRECTORY_MODE = 0o777;
const OVERFLOW = '-overflow';

/** An open temporary file that may become the output. */
export interface Output {
  readonly temporaryPath: string;
  /** The directory, for a look at the free space. */
  readonly folder: string;
  /** Makes the file in which a transaction too large for memory may wait, for reading and writing. Called once. */
  openOverflow(): number;
  /** Descriptor of the temporary file, for reading and writing. */
  readonly fd: number;
  /**
   * Makes the temporary file the output, safely on disk. Nothing may be written afterwards. Files beside it that held nothing and
   * were in the way have another name then; resolves to their paths.
   */
  publish(): Promise<readonly string[]>;
  /** Removes what is left of the work and lets others have the path. */
  close(): void;
}

/** A system error at the output as people see it; any other one as it is. */
export function unwritable(path: string, error: unknown): unknown {
  if (isRivuletError(error) || systemCode(error) === undefined) return error;
  const hint = error instanceof UntrustedPath ? error.hint : systemHint(error);
  return new RivuletError('OUTPUT_UNWRITABLE', `${path} cannot be written: ${messageOf(error)}`, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
    details: { path, systemCode: systemCode(error) },
  });
}

/** Runs `work`; a system error becomes `OUTPUT_UNWRITABLE` with the path. */
export async function orUnwritable<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw unwritable(path, error);
  }
}

function outputExists(path: string): RivuletError {
  return new RivuletError('OUTPUT_EXISTS', `${path} exists already; a restore never overwrites`, {
    hint: 'Move it away, or give another output path.',
    details: { path },
  });
}

/** Throws `OUTPUT_EXISTS` when the path, or a file that SQLite would apply to it, is there. */
export function assertAbsent(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw outputExists(path);
  const { harmful, harmless } = sidecarsOf(path);
  const [first] = harmful;
  if (first === undefined) return;
  const all = [...harmful, ...harmless].map((suffix) => path + suffix);
  const [exist, files] = all.length === 1 ? ['exists', 'that file'] : ['exist', 'those files'];
  throw new RivuletError(
    'OUTPUT_EXISTS',
    `${all.join(' and ')} ${exist}: SQLite would apply what is left of another database to the restored one`,
    { hint: `Move ${files} away, or give another output path.`, details: { path: path + first, paths: all } },
  );
}

/** The output's directory, opened once: whatever is made or removed is an entry of this one. */
class OutputPlace {
  readonly path: string;
  readonly #directory: DirectoryHandle;
  readonly #name: string;

  constructor(path: string) {
    this.path = path;
    this.#name = basename(path);
    this.#directory = openFolderOf(path);
  }

  /** How the entry is reached whose name is the output's and `suffix`. */
  entry(suffix: string): string {
    return this.#directory.entry(this.#name + suffix);
  }

  /** An error of an entry, with the path that people know. */
  told(error: unknown): unknown {
    return tellPath(error, this.#directory.entries, this.#directory.path);
  }

  /** The suffixes of what killed restores to this output have left. */
  *leftovers(): Generator<string, void, undefined> {
    for (const name of readdirSync(this.#directory.entries)) {
      const temporary = name.endsWith(OVERFLOW) ? name.slice(0, -OVERFLOW.length) : name;
      if (temporary === `${this.#name}.tmp` || nameOfTemporary(temporary) !== this.#name) continue;
      if (lstatSync(this.#directory.entry(name)).isFile()) yield name.slice(this.#name.length);
    }
  }

  /** Removes a file; nothing to remove is no error. */
  remove(suffix: string): void {
    systemFiles.remove(this.entry(suffix));
  }

  /** Makes the names in the directory safe. Windows cannot open a directory; there the rename itself is enough. */
  syncNames(): void {
    const { descriptor } = this.#directory;
    if (descriptor !== undefined) fsyncSync(descriptor);
  }

  close(): void {
    this.#directory.close();
  }
}

function openFolderOf(outputPath: string): DirectoryHandle {
  const path = dirname(outputPath);
  try {
    return openDirectory(path, { mayBeLink: true, makeMode: DIRECTORY_MODE });
  } catch (error) {
    const code = systemCode(error);
    if (code !== 'EEXIST' && code !== 'ENOTDIR') throw error;
    const why = `${path} is not a directory, or lies under a file`;
    throw new RivuletError('OUTPUT_UNWRITABLE', `${outputPath} cannot be written: ${why}`, {
      cause: error,
      hint: 'Give another output path.',
      details: { path: outputPath, systemCode: code },
    });
  }
}

/** Names the file without ever replacing another: a link fails when the name is taken. */
async function moveWithoutReplacing(from: string, to: string, outputPath: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') throw outputExists(outputPath);
    // File systems without hard links leave a moment between looking and renaming.
    assertAbsent(outputPath);
    await rename(from, to);
    return;
  }
  await unlink(from);
}

/** @returns the new paths of what was in the way and held nothing */
async function publish(place: OutputPlace, suffix: string, fd: number): Promise<readonly string[]> {
  fsyncSync(fd);
  assertAbsent(place.path);
  const aside = new Map<string, string>();
  try {
    await moveAside(place, aside);
    await moveWithoutReplacing(place.entry(suffix), place.entry(''), place.path);
    place.syncNames();
  } catch (error) {
    for (const [from, to] of aside)
      await link(place.entry(to), place.entry(from)).then(
        async () => unlink(place.entry(to)),
        () => undefined,
      );
    throw place.told(error);
  }
  return [...aside.values()].map((name) => place.path + name);
}

/**
 * SQLite would take no notice of files that hold nothing. But a process that still has the lost database open has them open, too, and
 * what it writes to them must not reach the restored one.
 */
async function moveAside(place: OutputPlace, aside: Map<string, string>): Promise<void> {
  for (const suffix of sidecarsOf(place.path).harmless) {
    const to = `${suffix}.aside-${randomBytes(8).toString('hex')}`;
    await rename(place.entry(suffix), place.entry(to));
    aside.set(suffix, to);
  }
}

/** A file that is not there yet, for reading and writing. */
function openNew(place: OutputPlace, suffix: string, mode: number): number {
  try {
    return openSync(place.entry(suffix), NEW_FILE | constants.O_RDWR, mode);
  } catch (error) {
    throw place.told(error);
  }
}

/** Removes an output that nobody wants any more, and what a restore to it that was killed has left. */
export function removeLeftovers(outputPath: string): void {
  if (!existsSync(dirname(outputPath))) return;
  const place = new OutputPlace(resolve(outputPath));
  try {
    for (const suffix of ['', ...place.leftovers()]) place.remove(suffix);
  } catch (error) {
    throw place.told(error);
  } finally {
    place.close();
  }
}

/** Removes what killed restores to this output have left, unless another one is under way. @throws what the file system does */
export function tidyOutput(path: string): void {
  const outputPath = resolve(path);
  if (!existsSync(dirname(outputPath))) return;
  const place = new OutputPlace(outputPath);
  try {
    const leftovers = [...place.leftovers()];
    const hasLock = lstatSync(place.entry('.tmp-lock'), { throwIfNoEntry: false }) !== undefined;
    if (leftovers.length === 0 && !hasLock) return;
    using _lock = lockOutput(`${outputPath}.tmp-lock`, outputPath, place.entry('.tmp-lock'));
    for (const suffix of leftovers) place.remove(suffix);
  } catch (error) {
    if (!isRivuletError(error, 'OUTPUT_EXISTS')) throw place.told(error);
  } finally {
    place.close();
  }
}

/**
 * Claims `outputPath` and opens its temporary file.
 *
 * @throws RivuletError `OUTPUT_EXISTS` when there is something, or another restore is at it; `OUTPUT_UNWRITABLE`
 */
export async function openOutput(path: string, mode: number = DEFAULT_MODE): Promise<Output> {
  const outputPath = resolve(path);
  const suffix = systemFiles.temporaryName('');
  assertAbsent(outputPath);
  const stack = new DisposableStack();
  using guard = stack;
  try {
    const place = stack.adopt(new OutputPlace(outputPath), (one) => one.close());
    stack.use(lockOutput(`${outputPath}.tmp-lock`, outputPath, place.entry('.tmp-lock')));
    for (const leftover of place.leftovers()) place.remove(leftover);
    const fd = openNew(place, suffix, mode);
    stack.defer(() => place.remove(suffix));
    stack.defer(() => closeSync(fd));
    const owned = guard.move();
    return {
      temporaryPath: outputPath + suffix,
      folder: dirname(outputPath),
      fd,
      openOverflow: () => openOverflow(place, suffix, owned),
      publish: () => orUnwritable(outputPath, () => publish(place, suffix, fd)),
      close: () => owned.dispose(),
    };
  } catch (error) {
    throw unwritable(outputPath, error);
  }
}

/** Where the system allows that, the file has no name from the start, and goes with this process. */
function openOverflow(place: OutputPlace, suffix: string, owned: DisposableStack): number {
  const name = suffix + OVERFLOW;
  const fd = openNew(place, name, DEFAULT_MODE);
  if (process.platform === 'win32') owned.defer(() => place.remove(name));
  else unlinkSync(place.entry(name));
  return fd;
}
