/** Whether a database fits on its disk, found out before the disk is full of it. */
import { statfsSync } from 'node:fs';
import { RivuletError } from '../base/errors.ts';

/** Bytes that this process may still write in `folder`; undefined when the file system does not tell. */
export function freeBytesIn(folder: string): number | undefined {
  try {
    const { blocks, bavail, bfree, bsize } = statfsSync(folder);
    if (blocks === 0) return undefined;
    return (process.getuid?.() === 0 ? bfree : bavail) * bsize;
  } catch {
    return undefined;
  }
}

/**
 * @param neededBytes - what is still to be written
 * @throws RivuletError `OUTPUT_UNWRITABLE` with both numbers when there is less
 */
export function assertFree(folder: string, neededBytes: number): void {
  const freeBytes = freeBytesIn(folder);
  if (freeBytes === undefined || freeBytes >= neededBytes) return;
  const problem = `the database needs ${neededBytes} bytes in ${folder}, and ${freeBytes} are free`;
  throw new RivuletError('OUTPUT_UNWRITABLE', problem, {
    hint: 'Make room there, or give another output path.',
    details: { path: folder, neededBytes, freeBytes },
  });
}
