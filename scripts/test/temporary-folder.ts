/** Where the tests of a batch keep their files: a folder that goes with everything that is left in it. */
import { chmodSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** In memory tests need not wait for a disk; those that are about real disks and servers use one. */
export type Place = 'memory' | 'disk';

const MEMORY = '/dev/shm';
/** More than all batches that run at a time hold. */
const MEMORY_FREE_MIN_BYTES = 2 * 1024 ** 3;
/** Some tests start commands as other users, who must get through. */
const MODE = 0o1777;

function hasRoomInMemory(): boolean {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize >= MEMORY_FREE_MIN_BYTES;
  } catch {
    return false; // Not Linux.
  }
}

export class TemporaryFolder implements Disposable {
  readonly path: string;

  constructor(place: Place) {
    // Short: paths of sockets lie in it.
    this.path = mkdtempSync(join(place === 'memory' && hasRoomInMemory() ? MEMORY : tmpdir(), 'rt-'));
    chmodSync(this.path, MODE);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
