/** What services and networks do to requests, and what becomes of it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { RivuletError } from '../../../src/base/errors.ts';
import type { S3StoreOptions } from '../../../src/storage/s3/options.ts';
import { mayRetry, retryAfterOf } from '../../../src/storage/storage-error.ts';
import { LoopbackS3 } from '../../support/loopback-s3.ts';
import type { Fault, Operation } from '../../support/loopback-s3/faults.ts';
import { openS3 } from '../../support/s3-store.ts';
import type { S3UnderTest } from '../../support/s3-store.ts';
import { gather } from '../conformance.ts';
import { until } from '../../support/until.ts';

const MIB = 1024 * 1024;

/** Of nobody but itself, for localhost, for a hundred years. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUSqCpIJyddR2bGfzlKEVXVTpOsYswCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTA3MDMxOFoYDzIxMjYxMDI4
MDcwMzE4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATbRIewNJPPaedGrHbqArGdbp+SkjEvqkiOhsRcmO6znEBhR8krmf76
rZH9boWDgb7DTUUE1pRuFwHQQ2I/Uf33o28wbTAdBgNVHQ4EFgQUMYRDQtRQlVMs
ieFPX7XhM1jV9OQwHwYDVR0jBBgwFoAUMYRDQtRQlVMsieFPX7XhM1jV9OQwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDRwAwRAIgYvaFKI9W7QTg9fqkCPH4U5wYCVTBHkhBAkIvlxP9FD0CIDf+
7+eE85GYxPq3576KJrlMHOb78iGxMmvCBSpKsg+Y
-----END CERTIFICATE-----`;
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgW44jkEwiy2B7AzoL
Q3IsgEOkNgn5I7pYiCH5xh7RCoihRANCAATbRIewNJPPaedGrHbqArGdbp+SkjEv
qkiOhsRcmO6znEBhR8krmf76rZH9boWDgb7DTUUE1pRuFwHQQ2I/Uf33
-----END PRIVATE KEY-----`;

async function withStore(
  options: Partial<S3StoreOptions>,
  run: (opened: S3UnderTest, server: LoopbackS3) => Promise<void>,
): Promise<void> {
  await using server = await LoopbackS3.start();
  await using opened = openS3({
    endpoint: server.endpoint,
    idleTimeoutMs: 30_000,
    partSizeBytes: 5 * MIB,
    ...options,
  });
  await run(opened, server);
}

/** The error that a call rejects with. */
async function errorOf(call: Promise<unknown>): Promise<RivuletError> {
  const error = await call.then(
    () => assert.fail('it did not fail'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof RivuletError, String(error));
  return error;
}

async function* chunks(bytes: Uint8Array, size = 500_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('S3 faults', () => {
  it('says what a busy service asks for', async () => {
    await withStore({}, async ({ store }, server) => {
      server.misbehave({
        times: 1,
        fault: { answer: { status: 503, code: 'SlowDown', headers: { 'retry-after': '7' } } },
      });
      const error = await errorOf(store.write('a', Buffer.from('x')));
      assert.equal(error.code, 'STORAGE_FAILED');
      assert.match(error.message, /^cannot write a to s3:\/\/bucket at 127\.0\.0\.1:\d+: SlowDown \(503\)/);
      assert.equal(mayRetry(error), true);
      assert.equal(retryAfterOf(error), 7_000);
      assert.equal(error.details['throttled'], true);
      assert.equal(error.details['status'], 503);
      assert.equal(error.details['serviceCode'], 'SlowDown');
      assert.match(String(error.details['requestId']), /loopback|^$/);
      assert.equal(server.count('PutObject'), 1, 'one call is one attempt');
    });
  });

  const answers: readonly [
    string,
    Fault,
    { code?: string; retry: boolean; message?: RegExp; hint?: RegExp },
  ][] = [
    ['500 without a body', { answer: { status: 500 } }, { retry: true, message: /HTTP \(500\)/ }],
    [
      '502 of a proxy',
      { answer: { status: 502, body: '<html><body>Bad Gateway</body></html>' } },
      { retry: true },
    ],
    ['200 of a proxy', { answer: { status: 200, body: '<html><body>Log in' } }, { retry: true }],
    ['429', { answer: { status: 429 } }, { retry: true }],
    ['408', { answer: { status: 408 } }, { retry: true }],
    ['400 RequestTimeout', { answer: { status: 400, code: 'RequestTimeout' } }, { retry: true }],
    ['409 OperationAborted', { answer: { status: 409, code: 'OperationAborted' } }, { retry: true }],
    ['501', { answer: { status: 501, code: 'NotImplemented' } }, { retry: false }],
    ['507', { answer: { status: 507, code: 'InsufficientStorage' } }, { retry: false, hint: /full/ }],
    [
      '404 NoSuchBucket',
      { answer: { status: 404, code: 'NoSuchBucket' } },
      { code: 'STORAGE_DENIED', retry: false, hint: /bucket/i },
    ],
    [
      '404 of a proxy',
      { answer: { status: 404, body: '<html>Not Found</html>' } },
      { retry: false, hint: /endpoint/ },
    ],
    [
      '403 AccessDenied',
      { answer: { status: 403, code: 'AccessDenied' } },
      { code: 'STORAGE_DENIED', retry: false, hint: /s3:ListBucket/ },
    ],
    [
      '403 InvalidAccessKeyId',
      { answer: { status: 403, code: 'InvalidAccessKeyId' } },
      { code: 'CREDENTIALS_FAILED', retry: false },
    ],
    [
      '403 SignatureDoesNotMatch',
      { answer: { status: 403, code: 'SignatureDoesNotMatch' } },
      { code: 'CREDENTIALS_FAILED', retry: false, hint: /secret/ },
    ],
    [
      '400 ExpiredToken',
      { answer: { status: 400, code: 'ExpiredToken' } },
      { code: 'CREDENTIALS_FAILED', retry: true, hint: /expired/ },
    ],
    [
      '400 KMS',
      { answer: { status: 400, code: 'KMS.DisabledException' } },
      { retry: false, hint: /kms:GenerateDataKey/ },
    ],
  ];
  for (const [title, fault, expected] of answers) {
    it(`never takes an answer for an empty place: ${title}`, async () => {
      await withStore({}, async ({ store }, server) => {
        server.misbehave({ fault });
        for (const call of [gather(store.list('')), store.listFolders('')]) {
          const error = await errorOf(call);
          assert.equal(error.code, expected.code ?? 'STORAGE_FAILED', error.message);
          assert.equal(mayRetry(error), expected.retry, error.message);
          if (expected.message !== undefined) assert.match(error.message, expected.message);
          if (expected.hint !== undefined) assert.match(error.hint ?? '', expected.hint);
        }
        assert.equal((await errorOf(store.readBytes('a'))).code, expected.code ?? 'STORAGE_FAILED');
      });
    });
  }

  it('notices that a body was cut off on the way back', async () => {
    const bytes = randomBytes(2 * MIB);
    const faults: Fault[] = [{ resetAnswerAfterBytes: MIB }, { truncateAnswerAtBytes: MIB }];
    for (const fault of faults) {
      await withStore({}, async ({ store }, server) => {
        server.put('a', bytes);
        server.misbehave({ on: 'GetObject', fault });
        for (const call of [
          async () => store.readBytes('a'),
          async () => gather(store.read('a')),
          async () => gather(store.read('a', { offsetBytes: 5 })),
        ]) {
          const error = await errorOf(call());
          assert.equal(mayRetry(error), true);
          assert.match(error.message, /broke off after|ended after/);
        }
      });
    }
  });

  it('notices that a body was cut off on the way there', async () => {
    await withStore({}, async ({ store }, server) => {
      server.misbehave({ on: 'PutObject', fault: { resetRequestAfterBytes: MIB } });
      for (const body of [randomBytes(4 * MIB), chunks(randomBytes(4 * MIB))])
        assert.equal(mayRetry(await errorOf(store.write('a', body))), true);
      assert.equal(server.objects().size, 0);
      assert.equal(
        server.count('PutObject'),
        1 + 3,
        'a whole body is sent once, a stream as often as may help',
      );
    });
  });

  it('gives up what makes no progress, and waits for what does', async () => {
    await withStore({ idleTimeoutMs: 1_000 }, async ({ store }, server) => {
      server.put('a', randomBytes(100_000));
      const hanging = server.misbehave({ times: 1, fault: { hang: true } });
      const error = await errorOf(store.readBytes('a'));
      assert.equal(hanging.hits, 1);
      assert.equal(mayRetry(error), true);
      assert.match(error.message, /no progress for 1000 ms/);
      server.misbehave({ fault: { dribble: { bytes: 5_000, pauseMs: 60 } } });
      assert.equal((await store.readBytes('a')).length, 100_000);
    });
  });

  it('keeps the connection of a reader that takes its time', async () => {
    await withStore({ idleTimeoutMs: 500 }, async ({ store }, server) => {
      server.put('a', randomBytes(4 * MIB));
      let gotBytes = 0;
      for await (const chunk of store.read('a')) {
        if (gotBytes === 0) await new Promise((resolve) => setTimeout(resolve, 1_200));
        gotBytes += chunk.length;
      }
      assert.equal(gotBytes, 4 * MIB);
    });
  });

  it('takes a range out of the whole, when something on the way does not know ranges', async () => {
    await withStore({}, async ({ store }, server) => {
      const bytes = randomBytes(300_000);
      server.put('a', bytes);
      server.ignoresRanges = true;
      const got = Buffer.concat(await gather(store.read('a', { offsetBytes: 100_001, lengthBytes: 50_000 })));
      assert.ok(got.equals(bytes.subarray(100_001, 150_001)));
    });
  });

  it('says what is wrong with the network', async () => {
    const cases: readonly [string, RegExp][] = [
      ['http://127.0.0.1:1', /host and port/],
      ['http://no-such-host.invalid', /DNS/],
    ];
    for (const [endpoint, hint] of cases) {
      await using opened = openS3({ endpoint });
      const error = await errorOf(opened.store.readBytes('a'));
      assert.equal(mayRetry(error), true);
      assert.match(error.hint ?? '', hint);
    }
    await using server = await LoopbackS3.start();
    await using opened = openS3({ endpoint: server.endpoint.replace('http:', 'https:') });
    assert.match((await errorOf(opened.store.readBytes('a'))).hint ?? '', /https on this port, or http/);
  });

  it('says in few words that a port speaks no TLS', async () => {
    const plain = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    await once(plain.listen(0, '127.0.0.1'), 'listening');
    await using _closing = { [Symbol.asyncDispose]: async () => void plain.close() };
    await using opened = openS3({ endpoint: `https://127.0.0.1:${(plain.address() as AddressInfo).port}` });
    const error = await errorOf(opened.store.readBytes('a'));
    assert.match(error.message, /: the connection cannot be encrypted: [a-z ]+$/);
    assert.match(error.hint ?? '', /https or http/);
  });

  it('tells which certificate it does not trust, and takes any when told to', async () => {
    await using server = await LoopbackS3.start();
    const tls = createTlsServer({ key: KEY, cert: CERTIFICATE }, (socket) => {
      const plain = connect(Number(new URL(server.endpoint).port), '127.0.0.1');
      socket.pipe(plain).pipe(socket);
      for (const end of [socket, plain]) end.on('error', () => void plain.destroy());
    });
    await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
    const endpoint = `https://localhost:${(tls.address() as AddressInfo).port}`;
    await using careful = openS3({ endpoint });
    await using careless = openS3({ endpoint, skipVerify: true });
    try {
      const error = await errorOf(careful.store.write('a', Buffer.from('x')));
      assert.equal(mayRetry(error), false);
      assert.match(error.hint ?? '', /`ca-file` or in SSL_CERT_FILE.*skip-verify/);
      await careless.store.write('a', Buffer.from('x'));
      assert.equal(server.count('PutObject'), 1);
    } finally {
      await Promise.all([careful.store.close(), careless.store.close()]);
      tls.close();
    }
  });

  it('compares versions also with services that want them without quotes', async () => {
    await withStore({}, async ({ store }, server) => {
      server.comparesEtags = 'bare';
      const first = await store.write('a', Buffer.from('1'));
      const second = await store.write('a', Buffer.from('2'), { onlyIf: { version: first.version! } });
      const stale = store.write('a', Buffer.from('3'), { onlyIf: { version: first.version! } });
      assert.equal((await errorOf(stale)).code, 'STORAGE_EXISTS');
      await store.write('a', Buffer.from('4'), { onlyIf: { version: second.version! } });
      assert.equal(server.count('HeadObject'), 1, 'the form is found out once');
      assert.equal(server.objects().get('a')?.bytes.toString(), '4');
    });
  });

  it('lets no listing lose objects', async () => {
    await withStore({}, async ({ store }, server) => {
      const keys = Array.from({ length: 40 }, (_, i) => `a/${i} +&ü%`);
      for (const key of keys) server.put(key, key);
      Object.assign(server.listing, { pageKeys: 7, order: (all: string[]) => all.toReversed() });
      const listed = async (): Promise<string[]> =>
        (await gather(store.list('a/'))).map(({ key }) => key).sort();
      assert.deepEqual(await listed(), keys.toSorted());
      assert.equal(server.count('ListObjectsV2'), 6);
      server.listing.ignoresEncoding = true;
      assert.deepEqual(await listed(), keys.toSorted());
      server.listing.losesToken = true;
      assert.equal(mayRetry(await errorOf(listed())), true);
    });
  });

  it('passes over what consoles leave for folders', async () => {
    await withStore({ path: 'replica' }, async ({ store }, server) => {
      for (const key of ['replica/', 'replica/a/', 'replica/a/b', 'replica2/c']) server.put(key, '');
      assert.deepEqual(
        (await gather(store.list(''))).map(({ key }) => key),
        ['a/b'],
      );
      assert.deepEqual(await store.listFolders(''), ['a']);
    });
  });

  it('says which objects could not be removed, and removes the others', async () => {
    await withStore({}, async ({ store }, server) => {
      const keys = Array.from({ length: 1_500 }, (_, i) => `k/${i}`);
      for (const key of keys) server.put(key, 'x');
      const refuseKeys = (key: string): string | undefined =>
        key.endsWith('7') ? 'AccessDenied' : undefined;
      server.misbehave({ on: 'DeleteObjects', times: 2, fault: { refuseKeys } });
      const error = await errorOf(store.remove(keys));
      assert.equal(error.code, 'STORAGE_DENIED');
      assert.match(
        error.message,
        /k\/7 \(AccessDenied\), k\/17 \(AccessDenied\), k\/27 \(AccessDenied\) and 147 more/,
      );
      assert.equal(server.objects().size, 150);
      server.misbehave({ on: 'DeleteObjects', fault: { refuseKeys: () => 'InternalError' } });
      assert.equal(mayRetry(await errorOf(store.remove(keys))), true);
    });
  });

  it('takes an answer of 200 to a removal for nothing unless it confirms', async () => {
    const bodies = [
      '<?xml version="1.0"?><Error><Code>InternalError</Code><Message>m</Message></Error>',
      '<?xml version="1.0"?><DeleteResult></DeleteResult>',
    ];
    for (const body of bodies) {
      await withStore({}, async ({ store }, server) => {
        server.misbehave({ on: 'DeleteObjects', times: 1, fault: { answer: { status: 200, body } } });
        const error = await errorOf(store.remove(['a', 'b']));
        assert.equal(mayRetry(error), true);
        await store.remove(['a', 'b']);
      });
    }
  });

  it('removes one by one where there are no batches', async () => {
    await withStore({}, async ({ store }, server) => {
      for (const key of ['a', 'b', 'c']) server.put(key, 'x');
      server.misbehave({ on: 'DeleteObjects', fault: { answer: { status: 501, code: 'NotImplemented' } } });
      await store.remove(['a', 'b']);
      await store.remove(['c', 'd']);
      assert.equal(server.objects().size, 0);
      assert.equal(server.count('DeleteObjects'), 1, 'it is asked once');
    });
  });

  it('removes all others where one of very many is refused, with batches and without', async () => {
    for (const hasBatches of [true, false]) {
      await withStore({}, async ({ store }, server) => {
        const keys = Array.from({ length: 1_001 }, (_, n) => `key-${n}`);
        for (const key of [keys[0], keys[1_000]]) server.put(key ?? '', 'x');
        const refuseKeys = (key: string): string | undefined =>
          key === 'key-0' ? 'AccessDenied' : undefined;
        const none = { answer: { status: 501, code: 'NotImplemented' } };
        server.misbehave({ on: 'DeleteObjects', fault: hasBatches ? { refuseKeys } : none });
        const denied = { answer: { status: 403, code: 'AccessDenied' } };
        server.misbehave({ on: ({ key }) => key === 'key-0', fault: denied });
        assert.equal((await errorOf(store.remove(keys))).code, 'STORAGE_DENIED');
        assert.deepEqual([...server.objects().keys()], ['key-0']);
      });
    }
  });

  it('uploads in parts through a storm of refusals, and leaves no parts when it is too much', async () => {
    await withStore({}, async ({ store }, server) => {
      const bytes = randomBytes(23 * MIB);
      const busy = { answer: { status: 503, code: 'SlowDown' } };
      for (const on of ['CreateMultipartUpload', 'CompleteMultipartUpload'] as const)
        server.misbehave({ on, times: 2, fault: busy });
      server.misbehave({ on: 'UploadPart', times: 2, fault: { resetRequestAfterBytes: 1_000_000 } });
      server.misbehave({ on: 'UploadPart', after: 1, times: 1, fault: { withoutHeaders: ['etag'] } });
      await store.write('large', chunks(bytes), { onlyIf: 'absent' });
      assert.ok(server.objects().get('large')?.bytes.equals(bytes));
      assert.deepEqual(server.uploads(), []);
      server.misbehave({ on: 'UploadPart', after: 2, fault: busy });
      assert.equal(mayRetry(await errorOf(store.write('more', chunks(bytes)))), true);
      assert.deepEqual(server.uploads(), []);
      assert.equal(server.objects().has('more'), false);
    });
  });

  it('leaves no upload behind that was cancelled while it began', async () => {
    await withStore({}, async ({ store }, server) => {
      const began = server.misbehave({ on: 'CreateMultipartUpload', fault: { delayMs: 200 } });
      const stop = new AbortController();
      const writing = store.write('a', chunks(randomBytes(12 * MIB)), { signal: stop.signal });
      const failure = writing.catch((error: unknown) => error);
      while (began.hits === 0) await sleep(5);
      const reason = new Error('enough');
      stop.abort(reason);
      assert.equal(await failure, reason);
      await until('it is given up', () => server.count('AbortMultipartUpload') > 0);
      await until('it is gone', () => server.uploads().length === 0);
      assert.equal(server.count('UploadPart', 'PutObject'), 0);
    });
  });

  it('tries more than once to remove the parts of what failed, and says when they stay', async () => {
    await withStore({}, async ({ store, logger }, server) => {
      server.misbehave({ on: 'UploadPart', fault: { answer: { status: 400, code: 'InvalidRequest' } } });
      const stubborn = server.misbehave({
        on: 'AbortMultipartUpload',
        times: 2,
        fault: { answer: { status: 500 } },
      });
      assert.equal(mayRetry(await errorOf(store.write('a', chunks(randomBytes(6 * MIB))))), false);
      assert.equal(stubborn.hits, 2);
      assert.deepEqual(server.uploads(), []);
      assert.deepEqual(logger.messages(), []);
      server.misbehave({ on: 'AbortMultipartUpload', fault: { answer: { status: 500 } } });
      await errorOf(store.write('a', chunks(randomBytes(6 * MIB))));
      assert.equal(logger.matching('parts of an upload that failed are left').length, 1);
    });
  });

  it('takes an error in an answer of 200 for an error', async () => {
    await withStore({}, async ({ store }, server) => {
      const body = '<?xml version="1.0"?>\n<Error><Code>InternalError</Code><Message>m</Message></Error>';
      const failing = server.misbehave({
        on: 'CompleteMultipartUpload',
        times: 2,
        fault: { answer: { status: 200, body } },
      });
      await store.write('a', chunks(randomBytes(6 * MIB)));
      assert.equal(failing.hits, 2);
      assert.equal(server.objects().get('a')?.bytes.length, 6 * MIB);
      server.misbehave({ on: 'CompleteMultipartUpload', fault: { answer: { status: 200, body } } });
      assert.equal(mayRetry(await errorOf(store.write('b', chunks(randomBytes(6 * MIB))))), true);
      assert.equal(server.objects().has('b'), false);
    });
  });

  it('knows its own object when the answer to the completion was lost', async () => {
    for (const onlyIf of [undefined, 'absent'] as const) {
      await withStore({}, async ({ store }, server) => {
        server.misbehave({ on: 'CompleteMultipartUpload', times: 1, fault: { loseAnswer: true } });
        const bytes = randomBytes(6 * MIB);
        const options = onlyIf === undefined ? {} : { onlyIf };
        const info = await store.write('a', chunks(bytes), options);
        assert.equal(info.sizeBytes, bytes.length);
        assert.equal(info.version, server.objects().get('a')?.etag);
      });
    }
    await withStore({}, async ({ store }, server) => {
      server.misbehave({
        on: 'CompleteMultipartUpload',
        times: 1,
        fault: { answer: { status: 500 } },
      });
      server.misbehave({
        on: 'CompleteMultipartUpload',
        fault: { answer: { status: 404, code: 'NoSuchUpload' } },
      });
      server.put('a', randomBytes(6 * MIB));
      const error = await errorOf(store.write('a', chunks(randomBytes(6 * MIB))));
      assert.match(error.message, /dropped the upload/);
    });
  });

  it('tries a short stream again by itself: its body cannot be asked for once more', async () => {
    await withStore({}, async ({ store }, server) => {
      const bytes = randomBytes(MIB);
      server.misbehave({ on: 'PutObject', times: 1, fault: { answer: { status: 503 } } });
      server.misbehave({ on: 'PutObject', times: 1, fault: { loseAnswer: true } });
      const written = await store.write('a', chunks(bytes), { onlyIf: 'absent' });
      assert.equal(written.foundWritten, true);
      assert.ok(server.objects().get('a')?.bytes.equals(bytes));
    });
  });

  it('tells a body to end when its upload cannot begin', async () => {
    await withStore({}, async ({ store }, server) => {
      server.misbehave({
        on: 'CreateMultipartUpload',
        fault: { answer: { status: 403, code: 'AccessDenied' } },
      });
      let hasEnded = false;
      async function* body(): AsyncGenerator<Uint8Array> {
        try {
          yield* chunks(randomBytes(12 * MIB));
        } finally {
          hasEnded = true;
        }
      }
      await errorOf(store.write('a', body()));
      assert.equal(hasEnded, true);
    });
  });

  it('repeats what has no conditions with a look, and says so once', async () => {
    await withStore({}, async ({ store, logger }, server) => {
      const refusing = { answer: { status: 501, code: 'NotImplemented' } } as const;
      server.misbehave({ on: ({ headers }) => headers['if-none-match'] !== undefined, fault: refusing });
      assert.equal(store.conditions, 'compare-and-swap');
      await store.write('a', Buffer.from('1'), { onlyIf: 'absent' });
      assert.equal(store.conditions, 'none');
      assert.equal(
        (await errorOf(store.write('a', Buffer.from('2'), { onlyIf: 'absent' }))).code,
        'STORAGE_EXISTS',
      );
      await store.write('b', chunks(randomBytes(6 * MIB)), { onlyIf: 'absent' });
      const again = store.write('b', chunks(randomBytes(6 * MIB)), { onlyIf: 'absent' });
      assert.equal((await errorOf(again)).code, 'STORAGE_EXISTS');
      assert.equal(logger.matching('does not know conditional writes').length, 1);
      assert.deepEqual(server.uploads(), []);
    });
  });

  it('does not rely on a completion that passes over conditions', async () => {
    await withStore({}, async ({ store }, server) => {
      server.misbehave({ on: 'CompleteMultipartUpload', fault: { ignoreConditions: true } });
      server.put('a', 'first');
      const error = await errorOf(store.write('a', chunks(randomBytes(6 * MIB)), { onlyIf: 'absent' }));
      assert.equal(error.code, 'STORAGE_EXISTS');
      assert.equal(server.objects().get('a')?.bytes.toString(), 'first');
      assert.deepEqual(server.uploads(), []);
    });
  });

  it('signs with the time of the service when its clock is another', async () => {
    const operations: Operation[] = ['PutObject', 'PutObject'];
    await withStore({}, async ({ store }, server) => {
      server.clockOffsetMs = 3_600_000;
      const info = await store.write('a', Buffer.from('x'));
      assert.deepEqual(
        server.requests.map(({ operation }) => operation),
        operations,
      );
      assert.ok(
        Math.abs(info.modifiedAt.getTime() - (Date.now() + 3_600_000)) < 5_000,
        'its clock, not ours',
      );
      await store.write('b', Buffer.from('x'));
      assert.equal(server.count('PutObject'), 3, 'it is remembered');
      server.misbehave({ fault: { answer: { status: 403, code: 'RequestTimeTooSkewed' } } });
      assert.match((await errorOf(store.readBytes('a'))).hint ?? '', /3[56]\d\d s behind/);
    });
  });

  it('finds the region when nobody told it, and names it when it was wrong', async () => {
    await withStore({ region: undefined }, async ({ store }, server) => {
      server.region = 'eu-central-1';
      await store.write('a', Buffer.from('x'));
      await store.readBytes('a');
      assert.deepEqual(
        server.requests.map(({ status }) => status),
        [400, 200, 200],
      );
    });
    await withStore({ region: 'eu-west-1' }, async ({ store }, server) => {
      server.region = 'eu-central-1';
      const error = await errorOf(store.write('a', Buffer.from('x')));
      assert.match(
        error.hint ?? '',
        /claims that the bucket is in the region "eu-central-1", and was asked for "eu-west-1"/,
      );
      assert.equal(mayRetry(error), false);
    });
    await withStore({ region: undefined }, async ({ store }, server) => {
      const answer = { status: 301, headers: { 'x-amz-bucket-region': 'ap-south-1' } };
      server.misbehave({ times: 1, fault: { answer } });
      await store.write('a', Buffer.from('x'));
      assert.match(server.last('PutObject')?.headers['authorization'] ?? '', /\/ap-south-1\/s3\//);
    });
  });
});
