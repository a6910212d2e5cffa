import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Age } from '../../src/codec/age/age.ts';
import { encryptedStore } from '../../src/storage/encrypted.ts';
import { LEASE_KEY } from '../../src/storage/open-register.ts';
import type { ObjectStore, ReadOptions } from '../../src/storage/object-store.ts';
import { noise } from '../codec/samples.ts';
import { ageOf, newKeyPair, type KeyPair } from '../support/age-keys.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { gather } from './conformance.ts';

const MARK = Buffer.from('age-encryption.org/v1\n');

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function readAll(store: ObjectStore, key: string, options?: ReadOptions): Promise<Buffer> {
  return Buffer.concat(await gather(store.read(key, options)));
}

describe('an encrypted store', () => {
  let keys: KeyPair;
  let age: Age;
  let blind: Age;

  before(async () => {
    keys = await newKeyPair();
    age = await ageOf({ recipients: [keys.recipient], identities: [keys.identity] });
    blind = await ageOf({ recipients: [keys.recipient] });
  });

  it('stores nothing in the clear, and gives back what was written', async () => {
    const memory = new MemoryStore();
    const store = encryptedStore(memory, age);
    for (const content of [noise(0), noise(10), noise(200_000)]) {
      await store.write('whole', content);
      await store.write('streamed', pieces(content, 777));
      for (const key of ['whole', 'streamed']) {
        const stored = Buffer.from(await memory.readBytes(key));
        assert.ok(stored.subarray(0, MARK.length).equals(MARK));
        assert.ok(content.length === 0 || !stored.includes(content.subarray(0, 10)));
        const info = (await gather(store.list(''))).find((one) => one.key === key);
        assert.equal(info?.sizeBytes, stored.length, 'a listing tells what is stored');
        const sizeHintBytes = stored.length;
        assert.ok(Buffer.from(await store.readBytes(key, { sizeHintBytes })).equals(content));
        assert.ok((await readAll(store, key, { sizeHintBytes })).equals(content));
        assert.ok(Buffer.from((await store.readVersioned(key)).bytes).equals(content));
      }
    }
  });

  it('reads parts of the content', async () => {
    const store = encryptedStore(new MemoryStore(), age);
    const content = noise(150_000);
    await store.write('object', content);
    for (const offsetBytes of [0, 1, 65_535, 65_536, 65_537, 149_999, 150_000, 200_000]) {
      assert.ok((await readAll(store, 'object', { offsetBytes })).equals(content.subarray(offsetBytes)));
      for (const lengthBytes of [0, 1, 65_536, 149_000, 150_001]) {
        const part = await readAll(store, 'object', { offsetBytes, lengthBytes });
        assert.ok(part.equals(content.subarray(offsetBytes, offsetBytes + lengthBytes)));
      }
    }
  });

  it('conditional writes are those of the store below', async () => {
    const store = encryptedStore(new MemoryStore(), age);
    const { version = '' } = await store.write('object', noise(5), { onlyIf: 'absent' });
    await assert.rejects(store.write('object', noise(6), { onlyIf: 'absent' }), { code: 'STORAGE_EXISTS' });
    await store.write('object', noise(7), { onlyIf: { version } });
    await assert.rejects(store.write('object', noise(8), { onlyIf: { version } }), {
      code: 'STORAGE_EXISTS',
    });
    assert.equal((await store.readVersioned('object')).bytes.length, 7);
  });

  it('with recipients only, reading an encrypted object says which key is missing', async () => {
    const store = encryptedStore(new MemoryStore(), blind);
    await store.write('a/object', noise(100));
    const missing = { code: 'AGE_KEY_MISSING', message: /^a\/object: / };
    await assert.rejects(store.readBytes('a/object'), missing);
    await assert.rejects(readAll(store, 'a/object'), missing);
    await assert.rejects(store.readVersioned('a/object'), missing);
    await assert.rejects(store.readBytes('a/none'), { code: 'STORAGE_NOT_FOUND' });
  });

  it('without a recipient it stores nothing', async () => {
    const memory = new MemoryStore();
    const store = encryptedStore(memory, await ageOf({ identities: [keys.identity] }));
    await assert.rejects(store.write('object', noise(1)), { code: 'AGE_INVALID', message: /no recipient/ });
    await assert.rejects(store.write('object', pieces(noise(9), 2)), { code: 'AGE_INVALID' });
    assert.deepEqual(memory.keys(), []);
  });

  it('an object that is not encrypted is read as it is, and told of once', async () => {
    const memory = new MemoryStore();
    const told: string[] = [];
    for (const reader of [age, blind]) {
      const store = encryptedStore(memory, reader, { onPlain: (key) => told.push(key) });
      for (const content of [noise(0), noise(5), noise(22), noise(300_000)]) {
        await memory.write('old', content);
        assert.ok(Buffer.from(await store.readBytes('old')).equals(content));
        assert.ok((await readAll(store, 'old')).equals(content));
      }
    }
    assert.deepEqual(told, ['old', 'old']);
  });

  it('what was damaged is an error that names the object', async () => {
    const memory = new MemoryStore();
    const store = encryptedStore(memory, age);
    await store.write('object', noise(70_000));
    const stored = await memory.readBytes('object');
    await memory.write('object', stored.subarray(0, stored.length - 1));
    await assert.rejects(readAll(store, 'object'), { code: 'AGE_INVALID', message: /^object: .*damaged/ });
    const other = encryptedStore(memory, await ageOf({ identities: [(await newKeyPair()).identity] }));
    await assert.rejects(other.readBytes('object'), { code: 'AGE_KEY_WRONG', message: /^object: / });
  });

  it('when the body of a write throws, nothing appears and the same error comes out', async () => {
    const memory = new MemoryStore();
    const failure = new Error('no more');
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield noise(100_000);
      throw failure;
    }
    await assert.rejects(encryptedStore(memory, age).write('object', broken()), failure);
    assert.deepEqual(memory.keys(), []);
  });

  it('the lease stays in the clear, for those without identities', async () => {
    const memory = new MemoryStore();
    const told: string[] = [];
    const store = encryptedStore(memory, blind, { onPlain: (key) => told.push(key) });
    await store.write(LEASE_KEY, noise(50));
    assert.ok(Buffer.from(memory.bytesOf(LEASE_KEY)).equals(noise(50)));
    for (const bytes of [await store.readBytes(LEASE_KEY), (await store.readVersioned(LEASE_KEY)).bytes]) {
      assert.ok(Buffer.from(bytes).equals(noise(50)));
    }
    assert.ok((await readAll(store, LEASE_KEY)).equals(noise(50)));
    assert.deepEqual(told, []);
  });
});
