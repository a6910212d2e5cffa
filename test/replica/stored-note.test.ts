/** What a destination held last is remembered over restarts, and nothing else is believed. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { systemFiles } from '../../src/base/files.ts';
import { silentLogger } from '../../src/base/log.ts';
import { StoredNote } from '../../src/replica/stored-note.ts';
import { Scratch } from '../support/scratch.ts';

const HELD = { generation: '0011223344556677', index: 7 };

function noteIn(metaPath: string, location: string = 'here'): StoredNote {
  return new StoredNote({ metaPath, name: 'a/b', location, files: systemFiles, logger: silentLogger });
}

describe('the note of what a destination holds', () => {
  it('is there at the next start, for this destination alone', () => {
    using scratch = new Scratch();
    const metaPath = scratch.file('meta');
    assert.equal(noteIn(metaPath).held, undefined);
    noteIn(metaPath).holds({ ...HELD, index: 6 });
    noteIn(metaPath).holds(HELD);
    assert.deepEqual(noteIn(metaPath).held, HELD);
    assert.equal(noteIn(metaPath, 'elsewhere').held, undefined);
  });

  it('says nothing when it is damaged, and is no reason to fail when it cannot be written', () => {
    using scratch = new Scratch();
    const metaPath = scratch.file('meta');
    noteIn(metaPath).holds(HELD);
    const path = `${metaPath}/stored-a%2Fb.json`;
    const text = readFileSync(path, 'utf8');
    for (const damaged of ['', text.slice(0, -9), text.replace('"index":7', '"index":8'), '[]']) {
      writeFileSync(path, damaged);
      assert.equal(noteIn(metaPath).held, undefined, damaged);
    }
    writeFileSync(scratch.file('file'), '');
    const note = noteIn(scratch.file('file'));
    note.holds(HELD);
    assert.deepEqual(note.held, HELD);
  });
});
