/**
 * Encryption with age over any store. What is stored is what Litestream v0.3.13 stores: the object as it is without
 * encryption, as age; names are not changed, and listings tell the sizes of what is stored.
 *
 * The lease is left in the clear: whoever stands by must be able to read it, and it holds nothing of the database.
 *
 * This is the outermost wrapper: what lies below may resume a read or repeat a write, and has to do so on stored bytes.
 */
import type { Age } from '../codec/age/age.ts';
import { RivuletError } from '../base/errors.ts';
import { forwardingStore } from './forwarding.ts';
import type { ObjectStore } from './object-store.ts';
import { isLeaseKey } from './open-register.ts';

export interface EncryptedStoreOptions {
  /**
   * Told once, of the first object that is read and is not age: one that was stored before encryption was configured.
   * It is given back as it is. age does not tell who wrote an object, so refusing it would keep no forger away.
   */
  readonly onPlain?: (key: string) => void;
}

/**
 * `store`, with what is written encrypted to the recipients of `age`, and what is read decrypted with its identities.
 * Reading throws `AGE_KEY_MISSING`, `AGE_KEY_WRONG` or `AGE_INVALID`, too; writing without a recipient throws
 * `AGE_INVALID` and stores nothing.
 */
export function encryptedStore(
  store: ObjectStore,
  age: Age,
  options: EncryptedStoreOptions = {},
): ObjectStore {
  const envelope = new Envelope(age, options);
  return forwardingStore(store, {
    /** A part of an object is decrypted from its start: nothing in this program asks for one. */
    read(key, readOptions = {}) {
      if (isLeaseKey(key)) return store.read(key, readOptions);
      const { offsetBytes = 0, lengthBytes = Number.POSITIVE_INFINITY, ...whole } = readOptions;
      const content = envelope.opened(key, store.read(key, whole));
      return offsetBytes === 0 && lengthBytes === Number.POSITIVE_INFINITY
        ? content
        : partOf(content, offsetBytes, lengthBytes);
    },
    async readBytes(key, readOptions) {
      const bytes = await store.readBytes(key, readOptions);
      return isLeaseKey(key) ? bytes : envelope.openedBytes(key, bytes);
    },
    async readVersioned(key, readOptions) {
      const object = await store.readVersioned(key, readOptions);
      return isLeaseKey(key) ? object : { ...object, bytes: await envelope.openedBytes(key, object.bytes) };
    },
    async write(key, body, writeOptions) {
      const content = isLeaseKey(key) ? body : await envelope.sealed(key, body);
      return store.write(key, content, writeOptions);
    },
  });
}

class Envelope {
  readonly #age: Age;
  readonly #onPlain: (key: string) => void;
  #saidPlain = false;

  constructor(age: Age, { onPlain = () => undefined }: EncryptedStoreOptions) {
    this.#age = age;
    this.#onPlain = onPlain;
  }

  async sealed(key: string, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<typeof body> {
    const age = this.#age;
    if (!age.canEncrypt) {
      throw new RivuletError('AGE_INVALID', `${key} was not stored: there is no recipient to encrypt it to`, {
        hint: 'Give `age.recipients`: the public keys that belong to the identities.',
      });
    }
    return body instanceof Uint8Array ? age.encryptBytes(body) : age.encrypt(body);
  }

  async *opened(key: string, object: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* this.#age.decryptIfSealed(object, () => this.#foundPlain(key));
    } catch (error) {
      throw named(key, error);
    }
  }

  async openedBytes(key: string, object: Uint8Array): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.opened(key, once(object))) chunks.push(chunk);
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  }

  #foundPlain(key: string): void {
    if (this.#saidPlain) return;
    this.#saidPlain = true;
    this.#onPlain(key);
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

async function* partOf(
  content: AsyncIterable<Uint8Array>,
  offsetBytes: number,
  lengthBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let at = 0;
  const end = offsetBytes + lengthBytes;
  for await (const chunk of content) {
    const part = chunk.subarray(Math.max(0, offsetBytes - at), Math.max(0, end - at));
    at += chunk.length;
    if (part.length > 0) yield part;
    if (at >= end) return;
  }
}

/** What age says, with the object that it is about. */
function named(key: string, error: unknown): unknown {
  if (!(error instanceof RivuletError) || !error.code.startsWith('AGE_')) return error;
  return new RivuletError(error.code, `${key}: ${error.message}`, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    details: { ...error.details, key },
  });
}
