/** What the parts of a primary say when it is closed, or when others stand in their way. */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { SqliteConnections } from '../../src/primary/connections.ts';
import { handOver } from '../../src/primary/handover.ts';
import { openDatabase, readLog } from '../../src/primary/open-database.ts';
import { handoverParts } from '../support/handover-parts.ts';
import { LiveDatabase } from '../support/live-database.ts';

describe('closed connections', () => {
  it('answer each call with an error that has a code', () => {
    using live = new LiveDatabase();
    const connections = new SqliteConnections(live.path, 10);
    connections.close();
    for (const call of [
      () => connections.checkpointPassive(),
      () => connections.withWriteLock(() => undefined),
      () => connections.hold(),
      () => connections.moveHold(() => true),
    ]) {
      assert.throws(call, { code: 'DB_UNREADABLE', message: /database is not open|cannot be opened/ });
    }
  });
});

describe('handing over a checkpoint', () => {
  it('is complete also beside a writer, partial beside a reader, busy when nothing can be made safe', async () => {
    using live = new LiveDatabase();
    live.insert(500, 3900);
    const database = openDatabase(live.path, 10);
    const tail = await readLog(database, { index: 0, change: undefined });
    const run = async (capture: () => boolean, captureMost = async () => true): Promise<string> =>
      handOver(handoverParts(database, tail, { capture, captureMost }));
    assert.equal(
      await run(
        () => true,
        async () => false,
      ),
      'busy',
    );
    assert.equal(await run(() => false), 'busy');
    const reader = new DatabaseSync(live.path);
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM t').get();
    live.insert(3);
    assert.equal(await run(() => true), 'partial');
    reader.close();
    live.exec('BEGIN IMMEDIATE');
    assert.equal(await run(() => true), 'complete');
    live.exec('ROLLBACK');
    live.insert(1);
    assert.equal(tail.isSameLog(), false, 'the next writer began a new log');
    assert.equal(await run(() => true), 'busy', 'this log is gone');
    database.close();
  });
});
