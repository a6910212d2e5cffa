/** What goes over the wire: nothing that look-alikes of S3 might refuse. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import type { S3StoreOptions } from '../../../src/storage/s3/options.ts';
import { LoopbackS3 } from '../../support/loopback-s3.ts';
import { openS3 } from '../../support/s3-store.ts';
import type { S3UnderTest } from '../../support/s3-store.ts';

const MIB = 1024 * 1024;

async function withStore<T>(
  options: Partial<S3StoreOptions>,
  run: (opened: S3UnderTest, server: LoopbackS3) => Promise<T>,
): Promise<T> {
  await using server = await LoopbackS3.start();
  await using opened = openS3({ endpoint: server.endpoint, path: 'a/replica', ...options });
  return await run(opened, server);
}

async function* chunks(bytes: Uint8Array, size = 100_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('S3 on the wire', () => {
  it('sends no checksum trailer, no chunked signature and no wait for 100 Continue', async () => {
    await withStore({}, async ({ store }, server) => {
      await store.write('small', Buffer.from('x'));
      await store.write('large', chunks(randomBytes(20 * MIB)), { onlyIf: 'absent' });
      await store.readBytes('small');
      await store.remove(['small', 'large']);
      assert.ok(server.requests.length > 7);
      for (const { headers, operation } of server.requests) {
        const names = Object.keys(headers);
        assert.deepEqual(
          names.filter((name) =>
            /^x-amz-(sdk-)?checksum|^x-amz-trailer|^x-amz-decoded|^expect$|^transfer-enc/.test(name),
          ),
          [],
          operation,
        );
        assert.doesNotMatch(headers['content-encoding'] ?? '', /aws-chunked/);
        assert.match(headers['x-amz-content-sha256'] ?? '', /^[0-9a-f]{64}$/, operation);
        assert.doesNotMatch(headers['authorization'] ?? '', /accept-encoding/i);
      }
    });
  });

  it('sends batches of removals with the MD5 of their body, and only that', async () => {
    await withStore({}, async ({ store }, server) => {
      server.put('a/replica/1', 'x');
      await store.remove(['1', '2']);
      const { headers, bodyBytes } = server.last('DeleteObjects')!;
      assert.equal(Buffer.from(headers['content-md5'] ?? '', 'base64').length, 16);
      assert.match(headers['authorization'] ?? '', /SignedHeaders=[^,]*content-md5/);
      assert.equal(Number(headers['content-length']), bodyBytes);
    });
    await withStore({ requireContentMd5: false }, async ({ store }, server) => {
      await store.remove(['1', '2']);
      assert.equal(server.last('DeleteObjects')?.headers['content-md5'], undefined);
    });
  });

  it('writes small bodies in one request, also streamed ones', async () => {
    await withStore({}, async ({ store, requests }, server) => {
      const bytes = randomBytes(8 * MIB - 1);
      await store.write('streamed', chunks(bytes));
      await store.write('bytes', randomBytes(16 * MIB));
      await store.write('empty', chunks(Buffer.alloc(0)));
      assert.deepEqual(
        server.requests.map(({ operation }) => operation),
        ['PutObject', 'PutObject', 'PutObject'],
      );
      assert.deepEqual([...requests], [['PUT', 3]]);
      assert.ok(server.objects().get('a/replica/streamed')?.bytes.equals(bytes));
    });
  });

  it('writes large bodies in parts, and says how many requests that took', async () => {
    await withStore({ partSizeBytes: 5 * MIB }, async ({ store, requests }, server) => {
      const bytes = randomBytes(16 * MIB + 1);
      const info = await store.write('large', chunks(bytes));
      assert.equal(info.sizeBytes, bytes.length);
      assert.equal(server.count('UploadPart'), 4);
      assert.deepEqual(Object.fromEntries(requests), { PUT: 6, HEAD: 1 });
      assert.ok(server.objects().get('a/replica/large')?.bytes.equals(bytes));
      assert.equal(server.objects().get('a/replica/large')?.etag, info.version);
      assert.deepEqual(server.uploads(), []);
    });
  });

  it('names the bucket in the path or in the host', async () => {
    await withStore({}, async ({ store }, server) => {
      await store.write('b c/ü', Buffer.from('x'));
      assert.equal(server.last('PutObject')?.path, '/bucket/a/replica/b%20c/%C3%BC');
    });
    await using server = await LoopbackS3.start();
    const endpoint = server.endpoint.replace('127.0.0.1', 'localhost');
    await using opened = openS3({ endpoint, forcePathStyle: false });
    await opened.store.write('object', Buffer.from('x'));
    const { headers, path } = server.last('PutObject')!;
    assert.match(headers['host'] ?? '', /^bucket\.localhost:/);
    assert.equal(path, '/object');
  });

  it('asks for storage class and encryption where an object is made', async () => {
    const options = { storageClass: 'STANDARD_IA', sseKmsKeyId: 'a-key', partSizeBytes: 5 * MIB };
    await withStore(options, async ({ store }, server) => {
      await store.write('small', Buffer.from('x'));
      await store.write('large', chunks(randomBytes(6 * MIB)));
      for (const operation of ['PutObject', 'CreateMultipartUpload'] as const) {
        const { headers } = server.last(operation)!;
        assert.equal(headers['x-amz-storage-class'], 'STANDARD_IA');
        assert.equal(headers['x-amz-server-side-encryption'], 'aws:kms');
        assert.equal(headers['x-amz-server-side-encryption-aws-kms-key-id'], 'a-key');
      }
      assert.equal(server.last('UploadPart')?.headers['x-amz-storage-class'], undefined);
    });
  });

  it("sends a customer's key with everything that touches an object's bytes", async () => {
    const key = randomBytes(32);
    const options = { sseCustomerKey: key.toString('base64'), partSizeBytes: 5 * MIB };
    await withStore(options, async ({ store }, server) => {
      await store.write('small', Buffer.from('x'));
      await store.write('large', chunks(randomBytes(6 * MIB)));
      await store.readBytes('small');
      await store.remove(['small']);
      const name = 'x-amz-server-side-encryption-customer';
      for (const { operation, headers } of server.requests) {
        const isAboutBytes = operation !== 'DeleteObject';
        assert.equal(headers[`${name}-algorithm`], isAboutBytes ? 'AES256' : undefined, operation);
        if (!isAboutBytes) continue;
        assert.equal(headers[`${name}-key`], key.toString('base64'), operation);
        assert.equal(headers[`${name}-key-md5`], createHash('md5').update(key).digest('base64'), operation);
      }
    });
  });

  it('leaves the hash of bodies out when told to', async () => {
    await withStore({ signPayload: false }, async ({ store }, server) => {
      await store.write('small', Buffer.from('x'));
      assert.equal(server.last('PutObject')?.headers['x-amz-content-sha256'], 'UNSIGNED-PAYLOAD');
    });
  });

  it('keeps one connection for one request after another', async () => {
    await withStore({}, async ({ store }, server) => {
      let connections = 0;
      server.onConnection = () => connections++;
      for (let i = 0; i < 20; i++) await store.write(`${i}`, Buffer.from('x'));
      assert.equal(connections, 1);
    });
  });

  it('goes through a proxy that the environment names', async () => {
    await using proxy = await LoopbackS3.start();
    const before = process.env['HTTP_PROXY'];
    process.env['HTTP_PROXY'] = proxy.endpoint;
    try {
      await using opened = openS3({ endpoint: 'http://s3.example.invalid' });
      await opened.store.write('object', Buffer.from('x'));
      assert.equal(proxy.last('PutObject')?.headers['host'], 's3.example.invalid');
    } finally {
      if (before === undefined) delete process.env['HTTP_PROXY'];
      else process.env['HTTP_PROXY'] = before;
    }
  });
});
