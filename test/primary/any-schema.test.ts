/** A schema that this SQLite cannot parse: pages are copied without understanding them. */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { unparsableSchema } from '../../src/primary/any-schema.ts';
import { checkpointInBackground } from '../../src/primary/background-checkpoint.ts';
import { SqliteConnections } from '../../src/primary/connections.ts';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';
import { addNewerSyntax, schemaWriter } from '../support/strange-schema.ts';
import { Scratch } from '../support/scratch.ts';
import { Follower } from '../support/take-all.ts';

/** The application, whose SQLite is newer than ours, writes and reads past what ours cannot parse. */
function newerApplication(live: LiveDatabase): DatabaseSync {
  live.close();
  const connection = schemaWriter(live.path);
  connection.exec('PRAGMA wal_autocheckpoint=0');
  return connection;
}

describe('a schema with newer syntax', () => {
  for (const when of ['before the start', 'while it is followed'] as const) {
    it(`is followed and checkpointed: ${when}`, async () => {
      using live = new LiveDatabase();
      live.insert(3);
      if (when === 'before the start') addNewerSyntax(live.path);
      const primary = openPrimary(live.path, { checkpoint: { minPages: 5 } });
      await primary.refresh();
      const follower = new Follower(primary);
      await follower.start();
      if (when !== 'before the start') addNewerSyntax(live.path);
      using application = newerApplication(live);
      for (let round = 0; round < 6; round++) {
        application.exec('INSERT INTO t (body) SELECT randomblob(3000) FROM t');
        assert.equal(await primary.refresh(), true);
        follower.take();
      }
      assert.ok(follower.indexes().length > 1, 'checkpoints let the WAL be restarted');
      await primary.close();
      assert.equal(
        follower.copyOf((path) => countIn(path)),
        3 * 2 ** 6,
      );
    });
  }

  it('a database in rollback mode is switched to WAL, and every call on a connection works', async () => {
    using scratch = new Scratch();
    const path = scratch.file('app.db');
    new DatabaseSync(path).exec('CREATE TABLE t (a)');
    addNewerSyntax(path);
    const connections = new SqliteConnections(path, 100);
    assert.equal(connections.switchedToWal, true);
    connections.hold();
    using application = schemaWriter(path);
    application.exec('INSERT INTO t VALUES (1)');
    assert.equal(
      connections.moveHold(() => true),
      true,
    );
    assert.equal(
      connections.withWriteLock(() => 'held'),
      'held',
    );
    const reader = connections.openReader();
    reader.end();
    connections.recoverIndex();
    assert.deepEqual(
      { ...connections.checkpointPassive(), logFrames: 0, checkpointedFrames: 0 },
      {
        busy: false,
        logFrames: 0,
        checkpointedFrames: 0,
      },
    );
    application.exec('INSERT INTO t VALUES (2)');
    assert.equal(await checkpointInBackground(path), false);
    connections.release();
    assert.equal({ ...application.prepare('PRAGMA wal_checkpoint(PASSIVE)').get() }['busy'], 0);
    connections.close();
  });

  it('is told apart from pages that do not fit together', () => {
    const why = (message: string): string | undefined => unparsableSchema(new Error(message));
    assert.equal(why('malformed database schema (v) - near "X": syntax error'), 'v: near "X": syntax error');
    assert.equal(why('malformed database schema (v) - invalid rootpage'), undefined);
    assert.equal(why('malformed database schema (v) - orphan index'), undefined);
    assert.equal(why('malformed database schema (?)'), undefined);
    assert.equal(why('database disk image is malformed'), undefined);
    assert.equal(unparsableSchema(undefined), undefined);
  });
});

function countIn(path: string): number {
  using copy = schemaWriter(path);
  return Number(copy.prepare('SELECT count(*) AS n FROM t').get()?.['n']);
}
