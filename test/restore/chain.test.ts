import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { isRivuletError } from '../../src/base/errors.ts';
import { decodeFrame } from '../../src/codec/decode-frame.ts';
import { encodeFrame } from '../../src/codec/encode-frame.ts';
import { segmentKey, snapshotKey } from '../../src/generations/names.ts';
import type { RestoreTarget } from '../../src/generations/restore-target.ts';
import type { RestoreProgress, RestoreSummary } from '../../src/restore/options.ts';
import { planOnly, restore } from '../../src/restore/restore.ts';
import { FileObjectStore } from '../../src/storage/file/file-object-store.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { ReplicaMaker, fillSmallReplica, lastPoint } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';

async function outcome(
  store: ObjectStore,
  target: RestoreTarget = {},
): Promise<{ summary: RestoreSummary; database: Buffer }> {
  using scratch = new Scratch();
  const outputPath = scratch.file('out');
  const summary = await restore({ store, target, outputPath });
  assert.deepEqual(scratch.names(), ['out']);
  return { summary, database: readFileSync(outputPath) };
}

function damage(store: MemoryStore, key: string): void {
  const bytes = store.bytesOf(key).slice();
  const middle = bytes.length >>> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  store.put(key, bytes);
}

describe('restore of a chain', () => {
  it('applies a transaction that is larger than memory may hold', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    maker.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)');
    maker.segment();
    maker.snapshot();
    maker.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 16000)
      INSERT INTO t (body) SELECT printf('%d %03800d', i, i) FROM n`);
    maker.exec('UPDATE t SET body = body || id WHERE id % 5 = 0');
    maker.segments(9);
    const { summary, database } = await outcome(maker.store);
    assert.ok(database.length > 60_000_000);
    assert.ok(database.equals(lastPoint(maker).database));
    assert.equal(summary.proven, true);
  });

  it('leaves out a transaction whose end is not there', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    maker.exec('CREATE TABLE t (body)');
    maker.segment();
    maker.snapshot();
    const before = lastPoint(maker);
    maker.exec(
      'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO t SELECT randomblob(3000) FROM n',
    );
    maker.segments(3);
    const last = maker.store.keys().at(-1) ?? '';
    await maker.store.remove([last]);
    const { summary, database } = await outcome(maker.store);
    assert.ok(database.equals(before.database));
    assert.deepEqual(summary.position, before.position);
    assert.equal(summary.segments, 3);
  });

  it('passes over a damaged snapshot when an older one leads to the same point', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    damage(maker.store, snapshotKey(maker.generation, 1));
    const { summary, database } = await outcome(maker.store);
    assert.equal(summary.snapshotIndex, 0);
    assert.ok(database.equals(lastPoint(maker).database));
  });

  it('takes a snapshot alone for a moment before its first segments', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    maker.exec('CREATE TABLE t (body); INSERT INTO t VALUES (randomblob(9000))');
    maker.segment();
    const { database } = lastPoint(maker);
    const snapshot = maker.snapshot();
    // As if the snapshot had been uploaded first, and the log only afterwards.
    const first = segmentKey(maker.generation, { index: 0, offsetBytes: 0 });
    const { timeMs } = maker.store.objects.get(snapshot) ?? assert.fail();
    maker.store.put(first, maker.store.bytesOf(first), timeMs + 5000);
    maker.store.nowMs += 10_000;
    maker.exec('INSERT INTO t VALUES (1)');
    maker.segment();
    const bare = await outcome(maker.store, { timestampMs: timeMs + 100 });
    assert.ok(bare.database.equals(database));
    assert.equal(bare.summary.segments, 0);
    assert.equal(bare.summary.proven, true);
    const both = await outcome(maker.store, { timestampMs: timeMs + 5000 });
    assert.equal(both.summary.segments, 1);
    assert.ok(both.database.equals(database));
  });

  it('restores a snapshot that is alone in the replica', async () => {
    for (const annotated of [true, false]) {
      using maker = new ReplicaMaker(new MemoryStore(), { annotated });
      maker.exec('CREATE TABLE t (body)');
      const key = maker.segment();
      maker.snapshot();
      await maker.store.remove([key]);
      const { summary, database } = await outcome(maker.store);
      assert.ok(database.equals(lastPoint(maker).database));
      assert.equal(summary.segments, 0);
      assert.equal(summary.proven, annotated);
    }
  });

  it('accepts the empty segment with which some writers end an index', async () => {
    using maker = new ReplicaMaker(new MemoryStore(), { annotated: false });
    maker.exec('CREATE TABLE t (body)');
    maker.segment();
    maker.snapshot();
    maker.store.put(segmentKey(maker.generation, maker.position), encodeFrame(new Uint8Array(0)));
    maker.nextIndex();
    maker.exec('INSERT INTO t VALUES (1)');
    maker.segment();
    const { database } = await outcome(maker.store);
    assert.ok(database.equals(lastPoint(maker).database));
  });

  it('restores older spans of a generation with a gap, and says what lies in the gap', async () => {
    const store = new MemoryStore();
    using maker = new ReplicaMaker(store);
    fillSmallReplica(maker, { promise: false });
    const first = maker.points.findLast(({ position }) => position.index === 0);
    // A destination that was away: index 0 of the first span, then everything from the snapshot of index 1 on.
    await store.remove([segmentKey(maker.generation, { index: 1, offsetBytes: 0 })]);
    const { database } = await outcome(store, { index: 0 });
    assert.ok(first !== undefined && database.equals(first.database));
    await assert.rejects(outcome(store), (error) => {
      assert.ok(isRivuletError(error, 'CHAIN_BROKEN'));
      assert.match(error.message, /wal\/00000001_00000000\.wal\.lz4 is missing/);
      assert.equal(error.details['flags'], `-generation ${maker.generation} -index 00000000`);
      return true;
    });
  });

  it('fails its integrity check on a replica that nobody can prove, and leaves nothing', async () => {
    using maker = new ReplicaMaker(new MemoryStore(), { annotated: false });
    fillSmallReplica(maker, { promise: false });
    // The last segment of a finished index: without annotations only the database can show that it is lost.
    const last = maker.store.keys().findLast((key) => key.includes('/wal/00000001_')) ?? '';
    await maker.store.remove([last]);
    using scratch = new Scratch();
    const work = restore({ store: maker.store, target: { index: 1 }, outputPath: scratch.file('out') });
    const result = await work.then(
      (summary) => summary.proven,
      (error) => (isRivuletError(error, 'INTEGRITY') ? 'INTEGRITY' : error),
    );
    assert.ok(result === false || result === 'INTEGRITY', String(result));
  });

  it('restores an exact position, also one inside a segment', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    const { store, generation, points } = maker;
    // The second and third segment of index 0 as one object.
    const [second, third] = store
      .keys()
      .filter((key) => key.includes('/wal/00000000_'))
      .slice(1);
    assert.ok(second !== undefined && third !== undefined);
    const contents = [second, third].map((key) => decodeFrame(store.bytesOf(key), { maxBytes: 1e9 }).content);
    store.put(second, encodeFrame(Buffer.concat(contents)));
    await store.remove([third]);
    for (const { position, database } of points) {
      const result = await outcome(store, { generation, ...position });
      assert.ok(result.database.equals(database), JSON.stringify(position));
      assert.deepEqual(result.summary.position, position);
    }
    const end = lastPoint(maker).position;
    const start = await outcome(store, { generation, index: 2, offsetBytes: 0 });
    assert.ok(points.some(({ database }) => database.equals(start.database)));
    const beyond = { generation, index: end.index, offsetBytes: end.offsetBytes + 1 };
    await assert.rejects(outcome(store, beyond), (error) => isRivuletError(error, 'CHAIN_BROKEN'));
    await assert.rejects(outcome(store, { offsetBytes: 32 }), (error) => isRivuletError(error, 'USAGE'));
  });

  it('takes frames that are stored twice, as v0.3.13 does at times, once', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    maker.exec('CREATE TABLE t (body)');
    maker.segment();
    maker.snapshot();
    const keys = [0, 1, 2].map(() => {
      maker.exec('INSERT INTO t VALUES (randomblob(9000))');
      return maker.segment();
    });
    const [first, second, third] = keys.map(
      (key) => decodeFrame(maker.store.bytesOf(key), { maxBytes: 1e9 }).content,
    );
    assert.ok(first !== undefined && second !== undefined && third !== undefined && keys[0] !== undefined);
    // The first object now reaches into the second one's place, to its end or only half-way.
    const frame = 4096 + 24;
    for (const twice of [second, second.subarray(0, frame)]) {
      maker.store.put(keys[0], encodeFrame(Buffer.concat([first, twice])));
      const { database } = await outcome(maker.store);
      assert.ok(database.equals(lastPoint(maker).database));
    }
    const other = Buffer.from(third.subarray(0, frame));
    for (const wrong of [other, Buffer.concat([second, other])]) {
      maker.store.put(keys[0], encodeFrame(Buffer.concat([first, wrong])));
      await assert.rejects(outcome(maker.store), (error) => isRivuletError(error, 'CHAIN_BROKEN'));
    }
  });

  it('tells its progress and its plan', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    using scratch = new Scratch();
    const told: RestoreProgress[] = [];
    const onProgress = (progress: RestoreProgress): void => void told.push(progress);
    const plan = await planOnly({ store: maker.store, target: {} });
    const summary = await restore({
      store: maker.store,
      target: {},
      outputPath: scratch.file('db'),
      onProgress,
    });
    const last = told.at(-1);
    assert.equal(last?.phase, 'finish');
    assert.equal(last?.objectsDone, plan.objects);
    assert.equal(last?.bytesDone, plan.bytes);
    assert.equal(summary.bytesFetched, plan.bytes);
    assert.equal(summary.resultingTimeMs, plan.resultingTimeMs);
  });

  it('reads a directory, and ignores garbage in it', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    using scratch = new Scratch();
    const files = new FileObjectStore(scratch.file('replica'));
    for (const key of maker.store.keys()) await files.write(key, maker.store.bytesOf(key));
    await files.write('generations/notes.txt', Buffer.from('x'));
    await files.write(`generations/${maker.generation}/wal/garbage`, Buffer.from('x'));
    const { summary, database } = await outcome(files);
    assert.ok(database.equals(lastPoint(maker).database));
    assert.equal(summary.proven, true);
  });
});
