/** What answers of Azure mean, and options that are refused before anything is sent. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { AbsObjectStore } from '../../../src/storage/abs/abs-object-store.ts';
import type { AbsObjectStoreOptions } from '../../../src/storage/abs/abs-object-store.ts';
import { blockNames, blockSizeOf } from '../../../src/storage/abs/block-upload.ts';
import { failureOf } from '../../support/failure-of.ts';
import { recordingTools } from '../../support/backend-tools.ts';
import { chunks, gather } from '../conformance/store-calls.ts';

const KEY = Buffer.from('a key of the account').toString('base64');
const MIB = 1024 * 1024;

interface Told {
  readonly status: number;
  readonly code?: string;
  readonly headers?: Record<string, string>;
}

describe('an answer', () => {
  const cases: [
    string,
    Told,
    Partial<Record<'code' | 'retry' | 'throttled' | 'retryAfterMs', unknown>>,
    RegExp?,
  ][] = [
    [
      'busy',
      { status: 503, code: 'ServerBusy', headers: { 'retry-after': '9' } },
      { code: 'STORAGE_FAILED', retry: true, throttled: true, retryAfterMs: 9_000 },
    ],
    [
      'slow',
      { status: 500, code: 'OperationTimedOut' },
      { code: 'STORAGE_FAILED', retry: true, throttled: false },
    ],
    ['broken', { status: 500, code: 'InternalError' }, { code: 'STORAGE_FAILED', retry: true }],
    ['a proxy', { status: 502 }, { code: 'STORAGE_FAILED', retry: true }],
    ['too many', { status: 429 }, { code: 'STORAGE_FAILED', retry: true, throttled: true }],
    [
      'signature',
      { status: 403, code: 'AuthenticationFailed' },
      { code: 'CREDENTIALS_FAILED', retry: false },
      /clock/,
    ],
    [
      'no token',
      { status: 401, code: 'NoAuthenticationInformation' },
      { code: 'CREDENTIALS_FAILED', retry: false },
    ],
    [
      'role',
      { status: 403, code: 'AuthorizationPermissionMismatch' },
      { code: 'STORAGE_DENIED', retry: false },
      /Data Contributor/,
    ],
    [
      'firewall',
      { status: 403, code: 'AuthorizationFailure' },
      { code: 'STORAGE_DENIED', retry: false },
      /firewall/,
    ],
    [
      'keys forbidden',
      { status: 403, code: 'KeyBasedAuthenticationNotPermitted' },
      { code: 'STORAGE_DENIED', retry: false },
      /default identity/,
    ],
    [
      'immutable',
      { status: 409, code: 'BlobImmutableDueToPolicy' },
      { code: 'STORAGE_DENIED', retry: false },
      /immutability/,
    ],
    ['leased', { status: 412, code: 'LeaseIdMissing' }, { code: 'STORAGE_DENIED', retry: false }, /lease/],
    [
      'no container',
      { status: 404, code: 'ContainerNotFound' },
      { code: 'STORAGE_DENIED', retry: false },
      /Create the container/,
    ],
    ['exists', { status: 409, code: 'BlobAlreadyExists' }, { code: 'STORAGE_EXISTS' }],
    ['changed', { status: 412, code: 'ConditionNotMet' }, { code: 'STORAGE_EXISTS' }],
    ['nonsense', { status: 400, code: 'InvalidHeaderValue' }, { code: 'STORAGE_FAILED', retry: false }],
  ];
  for (const [name, told, expected, hint] of cases) {
    it(`means what it says: ${name}`, async () => {
      let requests = 0;
      await using server = await serving((request, response) => {
        requests++;
        request.resume();
        const headers = {
          ...told.headers,
          ...(told.code === undefined ? {} : { 'x-ms-error-code': told.code }),
        };
        response.writeHead(told.status, headers).end();
      });
      const error = await failureOf(storeAt(server).write('a', Buffer.from('x')));
      const { retry, throttled, retryAfterMs } = error.details;
      const got: Record<string, unknown> = { code: error.code, retry, throttled, retryAfterMs };
      for (const [field, value] of Object.entries(expected)) assert.equal(got[field], value, field);
      if (hint !== undefined) assert.match(error.hint ?? '', hint);
      assert.equal(requests, 1, 'the client must not try again by itself');
    });
  }

  it('is passed on without the request, which holds the signature', async () => {
    await using server = await serving((request, response) => {
      request.resume();
      response.writeHead(403, { 'x-ms-error-code': 'AuthorizationFailure' }).end();
    });
    const store = storeOf({
      endpoint: server.endpoint,
      accountKey: undefined,
      sasToken: 'sp=r&sig=verySecretSignature',
    });
    const error = await failureOf(store.readBytes('a'));
    for (let at: unknown = error; at instanceof Error; at = at.cause) {
      for (const name of Object.getOwnPropertyNames(at)) {
        const value = Reflect.get(at, name) as object | string;
        const shown = typeof value === 'string' ? value : JSON.stringify(value);
        assert.ok(!shown.includes('verySecretSignature'), name);
      }
      assert.ok(!('request' in at));
    }
  });

  it('that breaks off is not a short object', async () => {
    await using server = await serving((request, response) => {
      request.resume();
      response.writeHead(200, {
        'content-length': 1000,
        'last-modified': new Date().toUTCString(),
        etag: '"1"',
      });
      response.write(Buffer.alloc(400), () => request.socket.destroy());
    });
    const error = await failureOf(storeAt(server).readBytes('a'));
    assert.equal(error.code, 'STORAGE_FAILED');
    assert.equal(error.details['retry'], true);
  });

  it('whose connection was reset may come the next time', async () => {
    await using server = await serving((request) => request.socket.destroy());
    const error = await failureOf(storeAt(server).write('a', Buffer.from('x')));
    assert.equal(error.details['retry'], true);
  });
});

describe('an upload in blocks', () => {
  it('sends a block again, and believes its own work when the last answer was lost', async () => {
    const staged = new Map<string, number>();
    const resets = new Set<string>();
    let list: string[] = [];
    let commits = 0;
    const etag = '"made"';
    const modified = new Date().toUTCString();
    await using server = await serving((request, response) => {
      const url = new URL(request.url ?? '', 'http://localhost');
      const block = url.searchParams.get('blockid');
      let body = '';
      let lengthBytes = 0;
      request.on('data', (chunk: Buffer) => {
        lengthBytes += chunk.length;
        if (block === null) body += chunk.toString();
      });
      request.on('end', () => {
        if (block !== null && !resets.has(block)) {
          resets.add(block);
          request.socket.destroy();
        } else if (block !== null) {
          staged.set(block, lengthBytes);
          response.writeHead(201).end();
        } else if (request.method === 'GET') {
          const blocks = list.map((name) => `<Block><Name>${name}</Name><Size>1</Size></Block>`).join('');
          response
            .writeHead(200, { etag, 'last-modified': modified, 'content-type': 'application/xml' })
            .end(`<?xml version="1.0"?><BlockList><CommittedBlocks>${blocks}</CommittedBlocks></BlockList>`);
        } else if (++commits === 1) {
          list = [...body.matchAll(/<Latest>([^<]+)<\/Latest>/g)].map((match) => match[1] ?? '');
          request.socket.destroy();
        } else {
          response.writeHead(409, { 'x-ms-error-code': 'BlobAlreadyExists' }).end();
        }
      });
    });
    const bytes = Buffer.alloc(9 * MIB);
    const written = await storeAt(server).write('a', chunks(bytes, MIB), { onlyIf: 'absent' });
    assert.equal(written.version, etag);
    assert.equal(written.sizeBytes, bytes.length);
    assert.equal(commits, 2);
    assert.deepEqual(
      list.map((name) => staged.get(name)),
      [4 * MIB, 4 * MIB, MIB],
    );

    // Somebody else's blob is not taken for the own one.
    commits = 0;
    await using other = await serving((request, response) => {
      const isBlock = (request.url ?? '').includes('blockid=');
      request.resume();
      request.on('end', () => {
        if (isBlock) response.writeHead(201).end();
        else if (request.method === 'GET') {
          response
            .writeHead(200, { etag, 'last-modified': modified, 'content-type': 'application/xml' })
            .end('<?xml version="1.0"?><BlockList><CommittedBlocks /></BlockList>');
        } else if (++commits === 1) request.socket.destroy();
        else response.writeHead(409, { 'x-ms-error-code': 'BlobAlreadyExists' }).end();
      });
    });
    await assert.rejects(storeAt(other).write('a', chunks(bytes, MIB), { onlyIf: 'absent' }), {
      code: 'STORAGE_EXISTS',
    });
  });

  it('has room for a large database, in blocks that grow', () => {
    let totalBytes = 0;
    for (let i = 0; i < 50_000; i++) totalBytes += blockSizeOf(i);
    assert.ok(totalBytes > 1.2e12);
    assert.equal(blockSizeOf(0), 4 * MIB);
    assert.equal(blockSizeOf(49_999), 64 * MIB);
    assert.throws(() => blockSizeOf(50_000), RangeError);
  });

  it('names no block as another upload does, all in the length of Litestream v0.3.13', () => {
    const [one, other] = [blockNames(), blockNames()];
    const names = [0, 1, 49_999].flatMap((i) => [one(i), other(i)]);
    assert.equal(new Set(names).size, names.length);
    for (const name of names) assert.equal(Buffer.from(name, 'base64').length, 64);
  });
});

describe('options', () => {
  it('find the account in the endpoint', () => {
    const locationOf = (given: Partial<AbsObjectStoreOptions>): string => storeOf(given).location;
    assert.equal(locationOf({ endpoint: 'http://127.0.0.1:10000/account' }), 'abs://account@container/path');
    assert.equal(
      locationOf({ endpoint: 'https://account.blob.core.windows.net/' }),
      'abs://account@container/path',
    );
    assert.equal(
      locationOf({ accountName: 'given', endpoint: 'https://10.0.0.1' }),
      'abs://given@container/path',
    );
    assert.throws(() => storeOf({ endpoint: undefined }), RangeError);
  });

  it('are refused before anything is sent, and not shown', async () => {
    const refused: [Partial<AbsObjectStoreOptions>, RegExp][] = [
      [{ accountKey: 'not base64!' }, /not base64/],
      [{ accountKey: undefined, sasToken: 'sv=2024&sp=r' }, /no signature/],
      [{ accountKey: undefined, endpoint: 'http://127.0.0.1:1/account' }, /https only/],
    ];
    for (const [given, message] of refused) {
      const error = await failureOf(gather(storeOf(given).list('')));
      assert.equal(error.code, 'CREDENTIALS_FAILED');
      assert.match(error.message, message);
      assert.equal(error.details['retry'], false);
      assert.doesNotMatch(`${error.message} ${error.hint}`, /not base64!|sp=r/);
    }
  });

  it('name what failed to give a secret', async () => {
    const failure = new Error('the file is gone');
    const store = storeOf({ accountKey: async () => Promise.reject(failure) });
    const error = await failureOf(gather(store.list('')));
    assert.equal(error.code, 'CREDENTIALS_FAILED');
    assert.equal(error.cause, failure);
  });
});

interface Served extends AsyncDisposable {
  readonly endpoint: string;
}

async function serving(listener: RequestListener): Promise<Served> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/account`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function storeOf(given: Partial<AbsObjectStoreOptions>): AbsObjectStore {
  return new AbsObjectStore(
    {
      endpoint: 'http://127.0.0.1:1/account',
      accountKey: KEY,
      container: 'container',
      path: 'path',
      ...given,
    },
    recordingTools(),
  );
}

function storeAt({ endpoint }: Served): AbsObjectStore {
  return storeOf({ endpoint });
}
