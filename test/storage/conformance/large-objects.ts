/** Objects that are streamed in parts and never held whole. */
import assert from 'node:assert/strict';
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import type { Hash } from 'node:crypto';
import type { ObjectStore, ReadOptions } from '../../../src/storage/object-store.ts';
import { chunks, infos, listed } from './store-calls.ts';
import type { DeclareTest, Expectations } from './store-calls.ts';

/** Fits no power of two, so that chunks and parts never end together. */
const CHUNK_BYTES = 300_007;

export function largeObjects(test: DeclareTest, { bigObjectBytes }: Expectations): void {
  test('gives back a large streamed object, whole and in ranges', async (store) => {
    const key = randomBytes(32);
    const written = createHash('sha256');
    const info = await store.write('a/large', hashed(noise(key, bigObjectBytes), written));
    assert.equal(info.sizeBytes, bigObjectBytes);
    assert.equal((await infos(store))[0]?.sizeBytes, bigObjectBytes);
    const digest = written.digest('hex');
    assert.equal(await digestOf(store, 'a/large'), digest);
    assert.equal(await digestOf(store, 'a/large', { sizeHintBytes: bigObjectBytes }), digest);
    const offsetBytes = Math.floor(bigObjectBytes / 3) + 1;
    for (const range of [{ offsetBytes }, { offsetBytes, lengthBytes: Math.floor(bigObjectBytes / 3) }])
      assert.equal(await digestOf(store, 'a/large', range), await digestOfNoise(key, bigObjectBytes, range));
  });

  test('writes several large objects at once', async (store) => {
    const sizeBytes = Math.floor(bigObjectBytes / 2) + 1;
    const digests = await Promise.all(
      [0, 1, 2].map(async (i) => {
        const written = createHash('sha256');
        await store.write(`a/${i}`, hashed(noise(randomBytes(32), sizeBytes), written));
        return written.digest('hex');
      }),
    );
    for (const [i, digest] of digests.entries()) assert.equal(await digestOf(store, `a/${i}`), digest);
  });

  test('takes a large body in one chunk', async (store) => {
    const bytes = randomBytes(Math.floor(bigObjectBytes / 2) + 3);
    async function* one(): AsyncGenerator<Uint8Array> {
      yield bytes;
    }
    await store.write('streamed', one());
    await store.write('bytes', bytes);
    const digest = createHash('sha256').update(bytes).digest('hex');
    for (const key of ['streamed', 'bytes']) assert.equal(await digestOf(store, key), digest, key);
  });

  test('takes many tiny chunks', async (store) => {
    const bytes = randomBytes(20_000);
    await store.write('object', chunks(bytes, 3));
    assert.ok(Buffer.from(await store.readBytes('object')).equals(bytes));
  });

  test('leaves nothing of a large body that throws midway', async (store) => {
    const failure = new Error('the source broke');
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* noise(randomBytes(32), Math.floor(bigObjectBytes * 0.8));
      throw failure;
    }
    await assert.rejects(store.write('a/large', broken()), (error) => error === failure);
    assert.deepEqual(await listed(store, ''), []);
    await store.write('kept', Buffer.from('old'));
    await assert.rejects(store.write('kept', broken()), (error) => error === failure);
    assert.equal(Buffer.from(await store.readBytes('kept')).toString(), 'old');
  });

  test('leaves nothing of a large body that is aborted midway', async (store) => {
    const controller = new AbortController();
    const reason = new Error('enough');
    async function* aborted(): AsyncGenerator<Uint8Array> {
      yield* noise(randomBytes(32), Math.floor(bigObjectBytes * 0.8));
      controller.abort(reason);
      yield* noise(randomBytes(32), Math.floor(bigObjectBytes * 0.2));
    }
    const writing = store.write('a/large', aborted(), { signal: controller.signal });
    await assert.rejects(writing, (error) => error === reason);
    assert.deepEqual(await listed(store, ''), []);
  });

  test('closes a body that it gives up', async (store) => {
    const controller = new AbortController();
    const reason = new Error('enough');
    let isClosed = false;
    async function* body(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          yield randomBytes(1000);
          controller.abort(reason);
        }
      } finally {
        isClosed = true;
      }
    }
    const writing = store.write('object', body(), { signal: controller.signal });
    await assert.rejects(writing, (error) => error === reason);
    assert.ok(isClosed, 'the body may hold a file or a transaction open');
  });

  test('ends a read in the middle, with the reason of the signal', async (store) => {
    await store.write('large', noise(randomBytes(32), bigObjectBytes));
    for (const abort of [inTheLoop, whileWaiting]) {
      const controller = new AbortController();
      const reason = new Error('enough');
      let gotBytes = 0;
      const reading = async (): Promise<void> => {
        for await (const chunk of store.read('large', { signal: controller.signal })) {
          gotBytes += chunk.length;
          abort(controller, reason);
        }
      };
      await assert.rejects(reading(), (error) => error === reason);
      if (abort === inTheLoop) assert.ok(gotBytes < bigObjectBytes, 'it was read to the end');
    }
  });
}

function inTheLoop(controller: AbortController, reason: Error): void {
  controller.abort(reason);
}

function whileWaiting(controller: AbortController, reason: Error): void {
  queueMicrotask(() => controller.abort(reason));
}

/** Bytes that look random, the same for the same key; each chunk has its own memory. */
async function* noise(key: Uint8Array, sizeBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  for (let left = sizeBytes; left > 0; left -= CHUNK_BYTES)
    yield cipher.update(Buffer.alloc(Math.min(CHUNK_BYTES, left)));
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  hash: Hash,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}

async function digestOf(store: ObjectStore, key: string, options: ReadOptions = {}): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of store.read(key, options)) hash.update(chunk);
  return hash.digest('hex');
}

async function digestOfNoise(
  key: Uint8Array,
  sizeBytes: number,
  { offsetBytes, lengthBytes = sizeBytes }: { offsetBytes: number; lengthBytes?: number },
): Promise<string> {
  const hash = createHash('sha256');
  let at = 0;
  for await (const chunk of noise(key, sizeBytes)) {
    const from = Math.max(0, offsetBytes - at);
    hash.update(chunk.subarray(Math.min(from, chunk.length), Math.max(from, offsetBytes + lengthBytes - at)));
    at += chunk.length;
  }
  return hash.digest('hex');
}
