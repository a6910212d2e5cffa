/** Chains whose objects are whole one by one, and wrong together. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { decodeFrame } from '../../src/codec/decode-frame.ts';
import { encodeFrame } from '../../src/codec/encode-frame.ts';
import { encodeAnnotation, findAnnotation } from '../../src/generations/annotation.ts';
import { segmentKey } from '../../src/generations/names.ts';
import { restore } from '../../src/restore/restore.ts';
import { encodeFrameHeader, frameBytes, scanFrames, startChain } from '../../src/wal/frames.ts';
import { parseWalHeader, WAL_HEADER_BYTES } from '../../src/wal/wal-header.ts';
import { lastPoint, ReplicaMaker } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';

const PAGE = 4096;

/** Two logs of one segment each, and nothing in them that says what belongs together. */
function twoLogs(): ReplicaMaker {
  const maker = new ReplicaMaker(new MemoryStore(), { annotated: false });
  maker.exec(
    'CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB); INSERT INTO t (body) VALUES (randomblob(3000))',
  );
  maker.segment();
  maker.snapshot();
  maker.nextIndex();
  maker.exec('INSERT INTO t (body) VALUES (randomblob(300))');
  maker.segment();
  return maker;
}

function keyOf({ generation }: ReplicaMaker, index: number): string {
  return segmentKey(generation, { index, offsetBytes: 0 });
}

function contentOf(store: MemoryStore, key: string): Uint8Array {
  return decodeFrame(store.bytesOf(key), { maxBytes: 2 ** 24 }).content;
}

async function restored(store: MemoryStore): Promise<Buffer> {
  using scratch = new Scratch();
  await restore({ store, target: {}, outputPath: scratch.file('out') });
  return readFileSync(scratch.file('out'));
}

describe('a chain of objects that are whole', () => {
  it('a log that is there twice is refused', async () => {
    using maker = twoLogs();
    const { store } = maker;
    store.put(keyOf(maker, 1), store.bytesOf(keyOf(maker, 0)));
    await assert.rejects(restored(store), {
      code: 'CHAIN_BROKEN',
      message: /copy of a log that came earlier/,
    });
  });

  it('a snapshot of a log that went on otherwise is refused', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    maker.exec(
      'CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB); INSERT INTO t (body) VALUES (randomblob(3000))',
    );
    maker.segment();
    const key = maker.snapshot();
    maker.exec('INSERT INTO t (body) VALUES (randomblob(300))');
    maker.segment();
    const { store } = maker;
    assert.equal((await restored(store)).compare(lastPoint(maker).database), 0);
    const { content, annotations } = decodeFrame(store.bytesOf(key), { maxBytes: 2 ** 24 });
    const annotation = findAnnotation(annotations, key);
    assert.ok(annotation?.kind === 'snapshot' && annotation.checksum !== undefined);
    const [first, second] = annotation.checksum;
    const other = encodeAnnotation({ ...annotation, checksum: [first, (second ^ 1) >>> 0] });
    store.put(key, encodeFrame(content, { annotation: other }));
    await assert.rejects(restored(store), {
      code: 'CHAIN_BROKEN',
      message: /another log than the one that .* was made with/,
    });
  });

  it('a segment that stops inside a frame is refused', async () => {
    using maker = twoLogs();
    const { store } = maker;
    for (const index of [0, 1]) {
      const changed = store.clone();
      const content = contentOf(store, keyOf(maker, index));
      changed.put(keyOf(maker, index), encodeFrame(content.subarray(0, content.length - 100)));
      await assert.rejects(restored(changed), { code: 'CHAIN_BROKEN', message: /ends inside a frame/ });
    }
  });

  it('a transaction that its log did not finish never takes place, whatever the next log commits', async () => {
    using maker = twoLogs();
    const { store } = maker;
    const key = keyOf(maker, 0);
    const log = contentOf(store, key);
    const longer = Buffer.concat([log, Buffer.alloc(frameBytes(PAGE), 0x55)]);
    const { chain } = scanFrames(startChain(parseWalHeader(log)), log, WAL_HEADER_BYTES);
    encodeFrameHeader(chain, longer, log.length, { pageNumber: 1, commitPageCount: 0 });
    store.put(key, encodeFrame(longer));
    assert.ok((await restored(store)).equals(lastPoint(maker).database));
  });
});
