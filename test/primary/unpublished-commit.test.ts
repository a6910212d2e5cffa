/**
 * A writer that is killed after its commit frame has reached the file, and before the index of the log says so,
 * leaves a transaction that no reader sees and that the next writer overwrites.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openDatabase, readLog } from '../../src/primary/open-database.ts';
import { LiveDatabase } from '../support/live-database.ts';
import { Scratch } from '../support/scratch.ts';
import { leaveUnpublishedCommit } from '../support/unpublished-commit.ts';

const noPause = async (): Promise<void> => undefined;

describe('a commit that was never published', () => {
  it('is not taken for one, and what overwrites it is followed', async () => {
    using live = new LiveDatabase();
    using scratch = new Scratch();
    live.insert(3, 100);
    const database = openDatabase(live.path, 100);
    const tail = await readLog(database, { index: 0, change: undefined });
    const before = tail.position.offsetBytes;
    leaveUnpublishedCommit(live.path, scratch);
    assert.equal(await tail.advance(noPause), false);
    assert.ok(tail.advanceNow(1_000_000));
    assert.equal(tail.position.offsetBytes, before);
    live.insert(1, 100);
    assert.equal(await tail.advance(noPause), true);
    assert.ok(tail.position.offsetBytes > before);
    database.close();
  });
});
