/** Commits that SQLite pads to a disk sector with copies of their last frame: frames count more commits than there were. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { frameBytes, scanFrames, startChain, walBytes } from '../../src/wal/frames.ts';
import { parseWalHeader, WAL_HEADER_BYTES } from '../../src/wal/wal-header.ts';
import { Scratch } from '../support/scratch.ts';

const PAGE_BYTES = 512;
const COMMITS = 5;

function logOf(psow: 0 | 1): Uint8Array {
  using scratch = new Scratch();
  const path = scratch.file('app.db');
  const database = new DatabaseSync(`file:${path}?psow=${psow}`);
  database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL`);
  database.exec('CREATE TABLE t (a)');
  for (let n = 1; n < COMMITS; n++) database.exec('INSERT INTO t VALUES (1)');
  const log = readFileSync(`${path}-wal`);
  database.close();
  return log;
}

describe('commits in frames', () => {
  it('are counted, and none is taken for padding where there is none', () => {
    const log = logOf(1);
    const scan = scanFrames(startChain(parseWalHeader(log)), log, WAL_HEADER_BYTES);
    assert.deepEqual([scan.commits, scan.isPadded], [COMMITS, false]);
  });

  it('that are padded are told', () => {
    const log = logOf(0);
    const scan = scanFrames(startChain(parseWalHeader(log)), log, WAL_HEADER_BYTES);
    assert.ok(scan.commits > COMMITS);
    assert.equal(scan.isPadded, true);
    assert.equal(scan.committedBytes, log.length - walBytes(0, PAGE_BYTES));
    assert.equal((log.length - WAL_HEADER_BYTES) % frameBytes(PAGE_BYTES), 0);
  });
});
