import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/** Compares table `t`, by rowid, and removes the copy. */
export function assertSameRows(sourcePath: string, copyPath: string): void {
  using source = new DatabaseSync(sourcePath, { readOnly: true });
  {
    using copy = new DatabaseSync(copyPath, { readOnly: true });
    const query = 'SELECT id, hex(body) AS body FROM t ORDER BY id';
    assert.deepEqual(copy.prepare(query).all(), source.prepare(query).all());
  }
  for (const suffix of ['', '-wal', '-shm']) rmSync(copyPath + suffix, { force: true });
}
