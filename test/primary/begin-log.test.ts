import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';

describe('a new log on demand', () => {
  it('begins although nobody writes, and the chain goes on', async () => {
    using live = new LiveDatabase();
    live.insert(20, 1000);
    const primary = openPrimary(live.path);
    await primary.refresh();
    const { generation, position } = primary;
    primary.confirm('one', generation, { index: position?.index ?? 0, offsetBytes: 0 });
    assert.equal(await primary.beginLog(), true);
    assert.equal(primary.generation, generation);
    assert.equal(primary.position?.index, (position?.index ?? 0) + 1);
    live.insert(5, 1000);
    await primary.refresh();
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
