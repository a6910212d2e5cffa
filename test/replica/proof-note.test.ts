import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { systemFiles } from '../../src/base/files.ts';
import { emptyNote, readProofNote, writeProofNote } from '../../src/replica/proof-note.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Scratch } from '../support/scratch.ts';

const LOCATION = 's3://bucket/db';

describe('the note about proofs', () => {
  it('is forgotten when a bit of it has flipped: it might tell of damage that nobody has done', () => {
    using scratch = new Scratch();
    const logger = new RecordingLogger();
    const file = { metaPath: scratch.path, name: 'a', files: systemFiles, logger };
    const note = { ...emptyNote(LOCATION, 1_700_000_000_000), hasNewsSinceFull: true };
    writeProofNote(file, note);
    assert.deepEqual(readProofNote(file, LOCATION), note);
    const path = scratch.file('proof-a.json');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('1700000000000', '1700000000001'));
    assert.equal(readProofNote(file, LOCATION), undefined);
    assert.match(logger.messages('warn').join(), /the note about proofs cannot be used/);
  });
});
