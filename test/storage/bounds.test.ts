/** Servers that never end, and objects that are not what a listing said: bodies, listings, errors, leases. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { AbsObjectStore } from '../../src/storage/abs/abs-object-store.ts';
import { boundedStore } from '../../src/storage/bounded-body.ts';
import { FileObjectStore } from '../../src/storage/file/file-object-store.ts';
import { forwardingStore } from '../../src/storage/forwarding.ts';
import { GcsObjectStore } from '../../src/storage/gcs/gcs-object-store.ts';
import { ListingLimits } from '../../src/storage/listing-limits.ts';
import { networkStore } from '../../src/storage/network-store.ts';
import type { BackendTools } from '../../src/storage/backend.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { openRegister } from '../../src/storage/open-register.ts';
import { S3ObjectStore } from '../../src/storage/s3/s3-object-store.ts';
import { CEPH_KEYS } from '../support/ceph-rgw.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { fixedKeys } from '../support/s3-store.ts';
import { Scratch } from '../support/scratch.ts';
import { gather } from './conformance.ts';

const MIB = 1024 * 1024;
const TOO_LONG = { code: 'REPLICA_INVALID' };
/** What an endless server gives at most: a test that reads on fails, and ends. */
const ENDLESS_BYTES = 512 * MIB;

/** A server on loopback that answers every request with what never ends. */
class EndlessServer implements AsyncDisposable {
  sentBytes = 0;
  status = 200;
  /** What a listing is answered with; endless when undefined. */
  listing: ((page: number) => { readonly type: string; readonly text: string }) | undefined;
  #pages = 0;
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    const url = request.url ?? '';
    const headers = { etag: '"x"', 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT', 'x-ms-request-id': 'r' };
    const isListing = /list-type|comp=list|\/o\?/.test(url);
    if (isListing && this.listing !== undefined) {
      const { type, text } = this.listing(this.#pages++);
      response.writeHead(200, { ...headers, 'content-type': type }).end(text);
      return;
    }
    // The client of Azure refuses an object without a length by itself.
    const length = url.startsWith('/account') && !isListing ? { 'content-length': ENDLESS_BYTES } : {};
    response.writeHead(this.status, { ...headers, ...length });
    // The client goes away: that is what is tested.
    await pipeline(Readable.from(this.#body()), response).catch(() => undefined);
  }

  async *#body(): AsyncGenerator<Uint8Array> {
    const chunk = Buffer.alloc(MIB, 'A');
    for (; this.sentBytes < ENDLESS_BYTES; this.sentBytes += chunk.length) yield chunk;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const BACKENDS: Readonly<Record<string, (endpoint: string, tools: BackendTools) => ObjectStore>> = {
  s3: (endpoint, tools) =>
    new S3ObjectStore({
      bucket: 'bucket',
      keys: fixedKeys(CEPH_KEYS),
      region: 'us-east-1',
      endpoint,
      forcePathStyle: true,
      tools,
    }),
  gcs: (endpoint, tools) => {
    const authorization = { headers: {}, source: {} };
    return new GcsObjectStore(
      {
        bucket: 'bucket',
        path: '',
        endpoint,
        authorization: {
          current: async () => authorization,
          accepted: () => undefined,
          renew: () => false,
        },
      },
      tools,
    );
  },
  abs: (endpoint, tools) =>
    new AbsObjectStore(
      {
        accountName: 'account',
        container: 'bucket',
        path: '',
        endpoint: `${endpoint}/account`,
        accountKey: Buffer.from('key').toString('base64'),
      },
      tools,
    ),
};

function openOn(endpoint: string, make: (typeof BACKENDS)[string]): ObjectStore {
  return networkStore((tools) => make(endpoint, tools), {
    clock: systemClock,
    logger: silentLogger,
    retry: { attemptsMax: 2, firstWaitMs: 1, waitMaxMs: 1 },
  });
}

for (const [name, make] of Object.entries(BACKENDS)) {
  describe(`${name}: a server that never ends`, () => {
    const scene = async (
      work: (store: ObjectStore, server: EndlessServer) => Promise<void>,
    ): Promise<void> => {
      await using server = new EndlessServer();
      const store = openOn(await server.start(), make);
      try {
        await work(store, server);
      } finally {
        await store.close();
      }
    };

    it('an object ends where the listing said, whole, streamed and in ranges', async () => {
      await scene(async (store, server) => {
        await assert.rejects(store.readBytes('a', { sizeHintBytes: 200 }), TOO_LONG);
        await assert.rejects(gather(store.read('a', { sizeHintBytes: 200 })), TOO_LONG);
        await assert.rejects(store.readVersioned('a', { maxBytes: 65_536 }));
        const ranged = await gather(store.read('a', { sizeHintBytes: 20 * MIB }));
        assert.equal(Buffer.concat(ranged).length, 20 * MIB);
        assert.equal(Buffer.concat(await gather(store.read('a', { lengthBytes: 10 }))).length, 10);
        assert.ok(server.sentBytes < ENDLESS_BYTES, `${server.sentBytes} bytes were taken`);
      });
    });

    it('an object of which nobody told the size ends, too', async () => {
      await scene(async (store, server) => {
        await assert.rejects(store.readBytes('a'), TOO_LONG);
        assert.ok(server.sentBytes < ENDLESS_BYTES / 2, `${server.sentBytes} bytes were taken`);
      });
    });

    it('listings and errors end', async () => {
      await scene(async (store, server) => {
        await assert.rejects(gather(store.list('')), { code: 'STORAGE_FAILED' });
        await assert.rejects(store.listFolders(''), { code: 'STORAGE_FAILED' });
        server.status = 500;
        await assert.rejects(store.readBytes('a', { sizeHintBytes: 200 }), { code: 'STORAGE_FAILED' });
        assert.ok(server.sentBytes < ENDLESS_BYTES, `${server.sentBytes} bytes were taken`);
      });
    });
  });
}

describe('a listing without an end', () => {
  it('is given up after too many pages without a name, and after too many names', () => {
    const empty = new ListingLimits('s3://bucket');
    const endless = { code: 'STORAGE_FAILED', message: /a listing of s3:\/\/bucket does not end/ };
    for (let page = 0; page < 10_000; page++) empty.page(0);
    empty.page(1);
    for (let page = 0; page < 10_000; page++) empty.page(0);
    assert.throws(() => empty.page(0), endless);
    const full = new ListingLimits('s3://bucket');
    for (let page = 0; page < 10_000; page++) full.page(1_000);
    assert.throws(() => full.page(1), { ...endless, details: { retry: false, throttled: false } });
  });

  it('of pages that never have a name is given up', async () => {
    await using server = new EndlessServer();
    server.listing = (page) => ({
      type: 'application/json',
      text: JSON.stringify({ nextPageToken: `page-${page}` }),
    });
    const store = openOn(await server.start(), BACKENDS['gcs']!);
    await assert.rejects(gather(store.list('')), { message: /does not end: 10000 pages without a name/ });
    await store.close();
  });
});

describe('an object that is not what a listing said', () => {
  it('is read no further where a stream goes on', async () => {
    const inner = new MemoryStore();
    inner.put('a', Buffer.alloc(1000));
    const store = boundedStore(inner);
    await assert.rejects(gather(store.read('a', { sizeHintBytes: 999 })), TOO_LONG);
    await assert.rejects(gather(store.read('a', { sizeHintBytes: 999, offsetBytes: 10 })), TOO_LONG);
    for (const options of [
      {},
      { sizeHintBytes: 1000 },
      { sizeHintBytes: 1000, offsetBytes: 10 },
      { sizeHintBytes: 999, lengthBytes: 999 },
      { lengthBytes: 0 },
    ])
      await gather(store.read('a', options));
  });

  it('a pipe under its name holds nobody up', { timeout: 10_000 }, async () => {
    using scratch = new Scratch();
    assert.equal(spawnSync('mkfifo', [scratch.file('pipe')]).status, 0);
    const store = new FileObjectStore(scratch.file('.'));
    await assert.rejects(gather(store.read('pipe')), { code: 'STORAGE_FAILED', message: /no regular file/ });
    await assert.rejects(store.readBytes('pipe'), { code: 'STORAGE_FAILED' });
  });
});

describe('a lease that cannot be used says what to do', () => {
  const hint = /remove it; it is made again/;

  it('when it is too large', async () => {
    const store = new MemoryStore();
    store.put('rivulet-lease.json', Buffer.alloc(65_537));
    await assert.rejects(openRegister(store)!.read(), {
      code: 'REPLICA_INVALID',
      hint,
      message: /rivulet-lease\.json/,
    });
    using scratch = new Scratch();
    mkdirSync(scratch.file('rivulet-lease'));
    const path = scratch.file('rivulet-lease/0000000000000001.json');
    writeFileSync(path, '');
    truncateSync(path, 5 * 1024 ** 3);
    const register = openRegister(new FileObjectStore(scratch.file('.')))!;
    await assert.rejects(register.read(), { code: 'REPLICA_INVALID', hint, message: /has 5368709120 bytes/ });
  });

  it('when its number is the last one', async () => {
    using scratch = new Scratch();
    mkdirSync(scratch.file('rivulet-lease'));
    writeFileSync(scratch.file('rivulet-lease/9999999999999999.json'), '{}');
    const register = openRegister(new FileObjectStore(scratch.file('.')))!;
    await assert.rejects(register.read(), { code: 'REPLICA_INVALID', hint, message: /none can follow it/ });
  });

  it('when it is a pipe', { timeout: 10_000 }, async () => {
    using scratch = new Scratch();
    mkdirSync(scratch.file('rivulet-lease'));
    assert.equal(spawnSync('mkfifo', [scratch.file('rivulet-lease/0000000000000001.json')]).status, 0);
    const register = openRegister(new FileObjectStore(scratch.file('.')))!;
    assert.equal(await register.read(), undefined);
    await assert.rejects(register.swap(undefined, Buffer.from('{}')), {
      code: 'REPLICA_INVALID',
      hint,
      message: /is no object that can be read/,
    });
  });

  it('when there are thousands of it', async () => {
    const store = new MemoryStore();
    const row = Array.from(
      { length: 10_001 },
      (_, i) => `rivulet-lease/${String(i + 1).padStart(16, '0')}.json`,
    );
    for (const key of row) store.put(key, Buffer.from('{}'));
    const creating = forwardingStore(store, { conditions: 'create-only' });
    await assert.rejects(openRegister(creating)!.read(), {
      code: 'REPLICA_INVALID',
      hint,
    });
  });
});
