/**
 * The output of a restore: built under `<output>.tmp`, and given its name only when it is whole and safe on disk.
 * Whatever happens before that, nothing is left but what was there.
 */
import { closeSync, existsSync, fsyncSync, openSync, rmSync } from 'node:fs';
import { link, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { RivuletError, isRivuletError, messageOf, systemCode } from '../base/errors.ts';
import { systemHint } from '../base/system-hint.ts';
import { lockOutput } from './output-lock.ts';

const DEFAULT_MODE = 0o600;
const SIDECARS = ['-wal', '-shm', '-journal'];

/** An open temporary file that may become the output. */
export interface Output {
  readonly temporaryPath: string;
  /** Where a transaction too large for memory may wait. */
  readonly spoolPath: string;
  /** Descriptor of the temporary file, for reading and writing. */
  readonly fd: number;
  /** Makes the temporary file the output, safely on disk. Nothing may be written afterwards. */
  publish(): Promise<void>;
  /** Removes what is left of the work and lets others have the path. */
  close(): void;
}

/** A system error at the output as people see it; any other one as it is. */
export function unwritable(path: string, error: unknown): unknown {
  if (isRivuletError(error) || systemCode(error) === undefined) return error;
  const hint = systemHint(error);
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

/** Throws `OUTPUT_EXISTS` when the path, or a file that SQLite would read with it, is there. */
export function assertAbsent(path: string): void {
  if (existsSync(path)) throw outputExists(path);
  for (const suffix of SIDECARS) {
    if (!existsSync(path + suffix)) continue;
    throw new RivuletError(
      'OUTPUT_EXISTS',
      `${path}${suffix} exists: SQLite would apply what is left of another database to the restored one`,
      { hint: 'Move that file away, or give another output path.', details: { path: path + suffix } },
    );
  }
}

async function makeFolderOf(outputPath: string): Promise<void> {
  const path = dirname(outputPath);
  try {
    await mkdir(path, { recursive: true });
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

async function syncFolder(path: string): Promise<void> {
  // Windows cannot open a folder; there the rename itself is enough.
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Names the file without ever replacing another: a link fails when the name is taken. */
async function moveWithoutReplacing(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') throw outputExists(to);
    // File systems without hard links leave a moment between looking and renaming.
    assertAbsent(to);
    await rename(from, to);
    return;
  }
  await unlink(from);
}

async function publish(temporaryPath: string, outputPath: string, fd: number): Promise<void> {
  fsyncSync(fd);
  assertAbsent(outputPath);
  await moveWithoutReplacing(temporaryPath, outputPath);
  await syncFolder(dirname(outputPath));
}

/** Opens the temporary file anew; one that a killed restore left is removed, as nobody holds the lock. */
function openTemporary(path: string, spoolPath: string, mode: number): number {
  for (const stale of [path, spoolPath, ...SIDECARS.map((suffix) => path + suffix)]) {
    rmSync(stale, { force: true });
  }
  return openSync(path, 'wx+', mode);
}

/** Removes an output that nobody wants any more, and what a restore to it that was killed has left. */
export function removeLeftovers(outputPath: string): void {
  for (const path of [outputPath, `${outputPath}.tmp`, `${outputPath}.tmp-spool`])
    rmSync(path, { force: true });
}

/**
 * Claims `outputPath` and opens its temporary file.
 *
 * @throws RivuletError `OUTPUT_EXISTS` when there is something, or another restore is at it; `OUTPUT_UNWRITABLE`
 */
export async function openOutput(path: string, mode: number = DEFAULT_MODE): Promise<Output> {
  const outputPath = resolve(path);
  const temporaryPath = `${outputPath}.tmp`;
  const spoolPath = `${outputPath}.tmp-spool`;
  assertAbsent(outputPath);
  try {
    await makeFolderOf(outputPath);
    const stack = new DisposableStack();
    using guard = stack;
    stack.use(lockOutput(`${outputPath}.tmp-lock`, outputPath));
    const fd = openTemporary(temporaryPath, spoolPath, mode);
    stack.defer(() => rmSync(temporaryPath, { force: true }));
    stack.defer(() => closeSync(fd));
    stack.defer(() => rmSync(spoolPath, { force: true }));
    const owned = guard.move();
    return {
      temporaryPath,
      spoolPath,
      fd,
      publish: () => orUnwritable(outputPath, () => publish(temporaryPath, outputPath, fd)),
      close: () => owned.dispose(),
    };
  } catch (error) {
    throw unwritable(outputPath, error);
  }
}
