import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import { PageFile } from '../../src/restore/page-file.ts';
import { Scratch } from '../support/scratch.ts';

const SIZE = 512;

function page(letter: string): Uint8Array {
  return Buffer.alloc(SIZE, letter);
}

/** What the file holds after `work`, one letter a page; `.` is a page of zeros. */
function built(work: (file: PageFile) => void): string {
  using scratch = new Scratch();
  const path = scratch.file('out');
  const fd = openSync(path, 'wx+');
  try {
    const file = new PageFile(fd, SIZE, 0);
    work(file);
    file.finish();
  } finally {
    closeSync(fd);
  }
  const bytes = readFileSync(path);
  return Array.from({ length: bytes.length / SIZE }, (_, i) =>
    String.fromCharCode(bytes[i * SIZE] || 46),
  ).join('');
}

it('pages behind the end of a database that became smaller do not come back when it grows', () => {
  for (const flushes of [true, false]) {
    const left = built((file) => {
      for (const [i, letter] of ['a', 'b', 'c', 'd'].entries()) file.put(i + 1, page(letter));
      file.setPageCount(4);
      if (flushes) file.flush();
      file.setPageCount(2);
      file.trim();
      file.put(5, page('e'));
      file.setPageCount(5);
    });
    assert.equal(left, 'ab..e');
  }
});

it('the file has the size of the last commit, larger or smaller than what was written', () => {
  const fill = (file: PageFile, pageCount: number): void => {
    for (const [i, letter] of ['a', 'b', 'c'].entries()) file.put(i + 1, page(letter));
    file.setPageCount(pageCount);
  };
  assert.equal(
    built((file) => fill(file, 2)),
    'ab',
  );
  assert.equal(
    built((file) => fill(file, 5)),
    'abc..',
  );
});
