/** The head of the WAL index as a real SQLite keeps it, whatever is done to the database. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { encodeWalIndex, readWalIndex, WAL_INDEX_BYTES } from '../../src/wal/wal-index.ts';
import { Scratch } from '../support/scratch.ts';
import { deadlyStep, IndexedDatabase, step } from './index-schedule.ts';

const pageSize = fc.constantFrom(512, 1024, 4096, 16_384, 65_536);

describe('the WAL index of a real SQLite', () => {
  it('counts commits, and nothing else, and says what the WAL says', () => {
    fc.assert(
      fc.property(pageSize, fc.array(step, { minLength: 10, maxLength: 40 }), (pageSizeBytes, steps) => {
        using scratch = new Scratch();
        using database = new IndexedDatabase(scratch.file('app.db'), pageSizeBytes);
        for (const one of steps) database.perform(one);
      }),
      { seed: 5, numRuns: 60 },
    );
  });

  it('goes on after writers were killed, and counts from 0 after a recovery', () => {
    const some = fc.array(fc.oneof(step, deadlyStep), { minLength: 4, maxLength: 8 });
    fc.assert(
      fc.property(pageSize, some, deadlyStep, (pageSizeBytes, steps, last) => {
        using scratch = new Scratch();
        using database = new IndexedDatabase(scratch.file('app.db'), pageSizeBytes);
        for (const one of [...steps, last, { do: 'commit', rows: 2 } as const]) database.perform(one);
      }),
      { seed: 6, numRuns: 6 },
    );
  });

  it('comes back from its own encoder to the byte', () => {
    using scratch = new Scratch();
    const database = new DatabaseSync(scratch.file('app.db'));
    database.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)');
    const bytes = readFileSync(scratch.file('app.db-shm')).subarray(0, WAL_INDEX_BYTES);
    database.close();
    const reading = readWalIndex(bytes);
    assert.ok(reading.kind === 'index');
    // Behind the read marks, from byte 120 on, lie the bytes of the locks.
    const encoded = Buffer.from(encodeWalIndex(reading.index));
    assert.deepEqual(encoded.subarray(0, 120), bytes.subarray(0, 120));
  });

  it('a commit that is padded to a sector is one change and several commit frames', () => {
    using scratch = new Scratch();
    const path = scratch.file('app.db');
    const database = new DatabaseSync(`file:${path}?psow=0`);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (a)');
    const [before, after] = [() => undefined, () => database.exec('INSERT INTO t VALUES (1)')].map((act) => {
      act();
      const reading = readWalIndex(readFileSync(`${path}-shm`));
      assert.ok(reading.kind === 'index');
      return reading.index;
    });
    database.close();
    assert.ok(before !== undefined && after !== undefined);
    assert.equal(after.change - before.change, 1);
    assert.ok(after.frames - before.frames > 1);
  });
});
