/** Replicas of somebody who wants to fill a disk: small objects that speak of large databases. */
import assert from 'node:assert/strict';
import { closeSync, existsSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { decodeFrame } from '../../src/codec/decode-frame.ts';
import { encodeFrame } from '../../src/codec/encode-frame.ts';
import { encodeAnnotation, findAnnotation } from '../../src/generations/annotation.ts';
import { segmentKey } from '../../src/generations/names.ts';
import { assertFree } from '../../src/restore/free-space.ts';
import { buildInto, restore } from '../../src/restore/restore.ts';
import { provePoint } from '../../src/verify/prove-point.ts';
import { encodeFrameHeader, frameBytes, startChain } from '../../src/wal/frames.ts';
import { parseWalHeader, WAL_HEADER_BYTES } from '../../src/wal/wal-header.ts';
import { lastPoint, ReplicaMaker } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';

const PAGE = 4096;
const MIB = 1024 * 1024;

function smallReplica(annotated: boolean): { maker: ReplicaMaker; snapshot: string } {
  const maker = new ReplicaMaker(new MemoryStore(), { annotated });
  maker.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
  maker.segment();
  const snapshot = maker.snapshot();
  maker.exec('INSERT INTO t VALUES (2)');
  maker.segment();
  return { maker, snapshot };
}

/** Puts a log in place whose only transaction speaks of so many pages. */
function claimPages({ store, generation }: ReplicaMaker, pageCount: number, pageNumber: number): void {
  const key = segmentKey(generation, { index: 0, offsetBytes: 0 });
  const { content } = decodeFrame(store.bytesOf(key), { maxBytes: MIB });
  const bytes = content.slice(0, WAL_HEADER_BYTES + frameBytes(PAGE));
  const chain = startChain(parseWalHeader(bytes));
  encodeFrameHeader(chain, bytes, WAL_HEADER_BYTES, { pageNumber, commitPageCount: pageCount });
  for (const one of store.keys()) if (one.includes('/wal/')) store.objects.delete(one);
  store.put(key, encodeFrame(bytes));
}

async function restored(store: MemoryStore): Promise<Buffer> {
  using scratch = new Scratch();
  const outputPath = scratch.file('out');
  try {
    await restore({ store, target: {}, outputPath });
    return readFileSync(outputPath);
  } catch (error) {
    assert.ok(!existsSync(outputPath) && !existsSync(`${outputPath}.tmp`));
    throw error;
  }
}

/** How long the file became on the way to the error. */
async function sizeOnTheWay(store: MemoryStore): Promise<number> {
  using scratch = new Scratch();
  const fd = openSync(scratch.file('out'), 'wx+');
  try {
    const openOverflow = (): number => openSync(scratch.file('overflow'), 'wx+');
    const output = { fd, folder: scratch.path, openOverflow };
    await assert.rejects(buildInto(output, { store, target: {} }), { code: 'CHAIN_BROKEN' });
    return fstatSync(fd).size;
  } finally {
    closeSync(fd);
  }
}

describe('a replica that speaks of more than it holds', () => {
  it('a commit of terabytes is refused, and is damage', async () => {
    for (const pageNumber of [1, 250_000_000]) {
      using maker = smallReplica(false).maker;
      claimPages(maker, 250_000_000, pageNumber);
      await assert.rejects(restored(maker.store), { code: 'CHAIN_BROKEN', message: /has 250000000 pages/ });
      const proof = await provePoint({
        store: maker.store,
        target: {},
        hasExactSizes: true,
        clock: { ...systemClock, sleep: async () => undefined },
      });
      assert.equal(proof.outcome, 'broken');
    }
  });

  it('says which object it is', async () => {
    using maker = smallReplica(false).maker;
    claimPages(maker, 250_000_000, 1);
    await assert.rejects(restored(maker.store), {
      message:
        /00000000_00000000\.wal\.lz4 is wrong: a transaction says that the database has 250000000 pages, and there are 2;/,
    });
  });

  it('a snapshot is decoded no further than it says that it goes', async () => {
    const { maker, snapshot } = smallReplica(true);
    using _maker = maker;
    const { store } = maker;
    const bomb = encodeFrame(Buffer.alloc(64 * MIB));
    store.put(snapshot, Buffer.concat([store.bytesOf(snapshot), bomb]));
    await assert.rejects(restored(store), {
      code: 'CHAIN_BROKEN',
      message: /holds more than the 8192 bytes/,
    });
    assert.ok((await sizeOnTheWay(store)) <= 8192);
  });

  it('a snapshot that cannot be as large as it says is refused before anything is written', async () => {
    const { maker, snapshot } = smallReplica(true);
    using _maker = maker;
    const { store } = maker;
    const { content, annotations } = decodeFrame(store.bytesOf(snapshot), { maxBytes: MIB });
    const annotation = findAnnotation(annotations, snapshot);
    assert.ok(annotation?.kind === 'snapshot');
    const large = encodeAnnotation({ ...annotation, pageCount: 250_000_000 });
    store.put(snapshot, encodeFrame(content, { annotation: large }));
    await assert.rejects(restored(store), { code: 'CHAIN_BROKEN', message: /cannot hold the 1024000000000/ });
    assert.equal(await sizeOnTheWay(store), 0);
  });

  it('what is behind the size in the header of a snapshot without annotation is left out', async () => {
    const { maker, snapshot } = smallReplica(false);
    using _maker = maker;
    const { store } = maker;
    const { content } = decodeFrame(store.bytesOf(snapshot), { maxBytes: MIB });
    store.put(snapshot, encodeFrame(Buffer.concat([content, Buffer.alloc(32 * MIB, 1)])));
    assert.equal(Buffer.compare(await restored(store), lastPoint(maker).database), 0);
    for (const key of store.keys()) if (key.includes('/wal/')) store.objects.delete(key);
    const alone = await restored(store);
    assert.equal(alone.length, content.length);
  });

  it('a database whose header tells no valid size is restored whole', async () => {
    const { maker, snapshot } = smallReplica(false);
    using _maker = maker;
    const { store } = maker;
    const content = Buffer.from(decodeFrame(store.bytesOf(snapshot), { maxBytes: MIB }).content);
    // As a program leaves it that did not know the field.
    content.writeUInt32BE(1, 28);
    content.writeUInt32BE(content.readUInt32BE(24) + 1, 24);
    store.put(snapshot, encodeFrame(content));
    for (const key of store.keys()) if (key.includes('/wal/')) store.objects.delete(key);
    assert.equal(Buffer.compare(await restored(store), content), 0);
  });

  it('a database for which there is no room is told with both numbers', () => {
    assertFree(tmpdir(), 1);
    assert.throws(
      () => assertFree(tmpdir(), 2 ** 50),
      (error: { code: string; message: string; details: { neededBytes: number; freeBytes: number } }) => {
        assert.equal(error.code, 'OUTPUT_UNWRITABLE');
        assert.equal(error.details.neededBytes, 2 ** 50);
        assert.ok(error.details.freeBytes > 0);
        assert.match(error.message, /needs 1125899906842624 bytes in .*, and \d+ are free/);
        return true;
      },
    );
  });

  it('a database that really grew, shrank and grew again restores', async () => {
    using maker = new ReplicaMaker(new MemoryStore(), { pageSizeBytes: 512, annotated: false });
    maker.exec('CREATE TABLE t (a)');
    maker.segment();
    maker.snapshot();
    maker.exec('INSERT INTO t VALUES (zeroblob(3000000))');
    maker.segment();
    maker.nextIndex();
    maker.exec('DELETE FROM t; VACUUM; CREATE TABLE u (a); INSERT INTO u VALUES (zeroblob(5000000))');
    maker.segment();
    const bytes = await restored(maker.store);
    assert.equal(Buffer.compare(bytes, lastPoint(maker).database), 0);
  });
});
