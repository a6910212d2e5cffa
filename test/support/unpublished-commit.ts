/** A commit as a killed writer leaves it: in the file of the WAL, and not in its index. */
import assert from 'node:assert/strict';
import { closeSync, copyFileSync, openSync, readFileSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Scratch } from './scratch.ts';

/** Puts the frames of one more transaction behind the log's end, as a killed writer leaves them. */
export function leaveUnpublishedCommit(path: string, scratch: Scratch): void {
  const copy = scratch.file('copy.db');
  copyFileSync(path, copy);
  copyFileSync(`${path}-wal`, `${copy}-wal`);
  const endBytes = readFileSync(`${path}-wal`).length;
  using database = new DatabaseSync(copy);
  database.exec('PRAGMA wal_autocheckpoint=0; CREATE TABLE lost (x); INSERT INTO lost VALUES (1)');
  const longer = readFileSync(`${copy}-wal`);
  assert.ok(longer.length > endBytes);
  const descriptor = openSync(`${path}-wal`, 'r+');
  writeSync(descriptor, longer, endBytes, longer.length - endBytes, endBytes);
  closeSync(descriptor);
}
