/** Reads the head of a database's WAL index, in a process that has no connection to that database: closing a file drops locks. */
import { readFileSync } from 'node:fs';
import { readWalIndex, type WalIndex, WAL_INDEX_BYTES } from '../../src/wal/wal-index.ts';

const ATTEMPTS_MAX = 1_000;

/** Tries again while a writer is half way. */
export function readIndexOf(path: string): WalIndex {
  let kind = '';
  for (let left = ATTEMPTS_MAX; left > 0; left--) {
    const reading = readWalIndex(readFileSync(`${path}-shm`).subarray(0, WAL_INDEX_BYTES));
    if (reading.kind === 'index') return reading.index;
    ({ kind } = reading);
  }
  throw new Error(`${path}-shm: ${kind}`);
}
