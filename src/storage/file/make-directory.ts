import { dirname } from 'node:path';
import { systemCode } from '../../base/errors.ts';
import { fsyncDirectory, mkdir } from './file-system.ts';
import { DIRECTORY_MODE, applyToDirectory } from './ownership.ts';
import type { FileOwnership } from './ownership.ts';

/**
 * Makes a directory and the parents it lacks, each with the wanted mode and owner, and each one safe in its own
 * parent. One that exists is left as it is.
 */
export async function makeDirectory(path: string, ownership: FileOwnership): Promise<void> {
  const mode = (ownership.dirMode ?? DIRECTORY_MODE) & 0o777;
  try {
    await mkdir(path, mode);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeDirectory(dirname(path), ownership);
    return makeDirectoryAgain(path, mode, ownership);
  }
  await settle(path, ownership);
}

/** After the parents were made: somebody else may have made this one by now. */
async function makeDirectoryAgain(path: string, mode: number, ownership: FileOwnership): Promise<void> {
  try {
    await mkdir(path, mode);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return;
    throw error;
  }
  await settle(path, ownership);
}

async function settle(path: string, ownership: FileOwnership): Promise<void> {
  await applyToDirectory(path, ownership);
  await fsyncDirectory(dirname(path));
}
