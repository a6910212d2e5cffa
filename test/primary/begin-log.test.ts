import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';

describe('another WAL on demand', () => {
  it('begins before the next commit, and the chain goes on', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path);
    await primary.refresh();
    live.insert(20, 1000);
    await primary.refresh();
    const { generation, position } = primary;
    primary.confirm('one', generation, { index: position?.index ?? 0, offsetBytes: 0 });
    const { size } = statSync(`${live.path}-wal`);
    for (let time = 0; time < 2; time++) {
      assert.equal(await primary.beginLog(), true);
      assert.deepEqual(primary.position, { index: (position?.index ?? 0) + 1, offsetBytes: 0 });
    }
    assert.equal(statSync(`${live.path}-wal`).size, size, 'nothing was committed for it');
    live.insert(5, 1000);
    await primary.refresh();
    assert.equal(primary.position?.index, (position?.index ?? 0) + 1);
    assert.equal(primary.generation, generation, 'the history goes on');
    await primary.close();
  });

  it('says so when a reader of another process is in the way', async () => {
    using live = new LiveDatabase();
    live.insert(20, 1000);
    const primary = openPrimary(live.path);
    await primary.refresh();
    const reader = new DatabaseSync(live.path);
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM t').get();
    live.insert(5, 1000);
    await primary.refresh();
    assert.equal(await primary.beginLog(), false);
    reader.close();
    await primary.close();
  });
});
