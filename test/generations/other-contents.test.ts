/** What lies at a place without a generation is named, and "empty" is said of nothing else. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  assertNothingElse,
  lookForLtx,
  lookForOther,
  otherContentsOf,
} from '../../src/generations/other-contents.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { MemoryStore } from '../support/memory-store.ts';

const LTX_NAME = '0000000000000001-0000000000000002.ltx';
const SEGMENT = 'wal/00000000_00000000.wal.lz4';
const G = '0011223344556677';

function found(
  keys: readonly string[],
  location: string = '/backup/app',
): ReturnType<typeof otherContentsOf> {
  return otherContentsOf(
    keys.map((key) => ({ key, sizeBytes: 1 })),
    location,
  );
}

describe('what lies at a place without a generation', () => {
  it('is named, whatever other files are beside it', () => {
    const cases: [string, string, RegExp][] = [
      [`ltx/0/${LTX_NAME}`, 'ltx', /^\/backup\/app holds a replica of Litestream v0\.5/],
      [`0000/${LTX_NAME}`, 'ltx', /^\/backup\/app holds a replica of Litestream v0\.5/],
      [`./0009/${LTX_NAME}`, 'ltx', /^\/backup\/app holds a replica of Litestream v0\.5/],
      [`db/ltx/9/${LTX_NAME}`, 'ltx', /^\/backup\/app\/db holds a replica of Litestream v0\.5/],
      [`db/generations/${G}/${SEGMENT}`, 'below', /is no replica, but a folder of it is/],
      [SEGMENT, 'above', /is a folder of a replica/],
      [`${G}/snapshots/00000000.snapshot.lz4`, 'above', /is a folder of a replica/],
      [`generations/${G}/snapshots/00000000.snapshot.zst`, 'unknown', /does not know/],
      ['rivulet-format.json', 'unknown', /does not know/],
      ['db.sqlite.age', 'objects', /files that another program encrypted, such as db\.sqlite\.age/],
    ];
    for (const [key, kind, message] of cases) {
      const other = found(['rivulet-lease.json', 'notes.txt', key]);
      if (kind !== 'objects') assert.equal(other?.key, key);
      assert.equal(other?.kind, kind, key);
      if (kind !== 'objects') assert.match(other?.message ?? '', message);
      assert.match(found([key])?.message ?? '', message);
    }
  });

  it('names the path that was meant, also where a location ends with its endpoint', () => {
    const hint = (key: string, location: string): string | undefined => found([key], location)?.hint;
    assert.equal(hint(`db/generations/${G}/${SEGMENT}`, '/backup'), 'Did you mean /backup/db?');
    assert.equal(
      hint(`a/db/generations/${G}/${SEGMENT}`, 's3://b at h:9'),
      'Did you mean s3://b/a/db at h:9?',
    );
    assert.equal(hint(SEGMENT, `/backup/generations/${G}`), 'Did you mean /backup?');
    assert.equal(hint(`${G}/${SEGMENT}`, 's3://b/db/generations at h'), 'Did you mean s3://b/db at h?');
  });

  it('is nothing but the lease of a replica whose data is gone', () => {
    assert.equal(found(['rivulet-lease.json'])?.kind, 'lease');
    assert.equal(found(['rivulet-lease/0000000001'])?.kind, 'lease');
  });

  it('is nothing where there are only marks, hidden files and probes', () => {
    assert.equal(found([]), undefined);
    assert.equal(found(['.DS_Store', '.cache/x', 'rivulet-check-00ff/a']), undefined);
    assert.equal(otherContentsOf([{ key: 'folder', sizeBytes: 0 }], '/backup'), undefined);
  });
});

describe('a look at a store', () => {
  it('does not enter lost+found, which only root may read', async () => {
    const store = new MemoryStore();
    store.put('lost+found/x', Buffer.from('x'));
    assert.equal(await lookForOther(store), undefined);
    store.put(`ltx/0/${LTX_NAME}`, Buffer.from('x'));
    assert.equal((await lookForOther(store))?.kind, 'ltx');
  });

  it('refuses a listing that would say that nothing is there, and leaves a lease alone', async () => {
    const store = new MemoryStore();
    store.put('rivulet-lease.json', Buffer.from('x'));
    await assertNothingElse(store, { generations: [] });
    store.put('app.db.bak', Buffer.from('x'));
    await assert.rejects(assertNothingElse(store, { generations: [] }), { code: 'REPLICA_UNREADABLE' });
  });

  it('finds LTX files beside generations, and when the newest of them was stored', async () => {
    const store = new MemoryStore();
    store.put(`generations/${G}/${SEGMENT}`, Buffer.from('x'));
    assert.equal(await lookForLtx(store), undefined);
    store.put(`0000/${LTX_NAME}`, Buffer.from('x'), 2_000);
    store.put('0009/0000000000000001-0000000000000001.ltx', Buffer.from('x'), 1_000);
    assert.equal((await lookForLtx(store))?.updatedAtMs, 2_000);
    const refusing = new FaultyStore(store);
    refusing.fault = ({ key }) => (key.startsWith('generations/') ? undefined : 'fail');
    assert.equal(await lookForLtx(refusing), undefined);
    await assert.rejects(lookForOther(refusing), { code: 'STORAGE_FAILED' });
  });
});
