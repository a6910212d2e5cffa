/** Keys that may do what replication needs under one prefix, and nothing else, as services understand that. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRivuletError } from '../../../src/base/errors.ts';
import { mayRetry } from '../../../src/storage/storage-error.ts';
import { LoopbackS3 } from '../../support/loopback-s3.ts';
import type { Fault, Operation } from '../../support/loopback-s3/faults.ts';
import { openS3 } from '../../support/s3-store.ts';
import type { S3UnderTest } from '../../support/s3-store.ts';

const DENIED = { answer: { status: 403, code: 'AccessDenied' } };

async function withStore(run: (opened: S3UnderTest, server: LoopbackS3) => Promise<void>): Promise<void> {
  await using server = await LoopbackS3.start();
  await using opened = openS3({ endpoint: server.endpoint, path: 'db' });
  await run(opened, server);
}

/** 403 for objects that are not there, as where listing is allowed under a prefix only. */
function hideMissing(server: LoopbackS3): void {
  server.misbehave({
    on: ({ operation, key }) =>
      (operation === 'GetObject' || operation === 'HeadObject') && !server.objects().has(key),
    fault: DENIED,
  });
}

describe('S3 with the least privilege', () => {
  it('tells by a listing that an object is missing which it may not ask for', async () => {
    await withStore(async ({ store }, server) => {
      server.put('db/lease.json.other', 'x');
      hideMissing(server);
      const isMissing = { code: 'STORAGE_NOT_FOUND' };
      await assert.rejects(store.readVersioned('lease.json'), isMissing);
      await assert.rejects(store.readBytes('lease.json'), isMissing);
      await assert.rejects(async () => {
        for await (const _ of store.read('lease.json')) assert.fail('there is nothing');
      }, isMissing);
      assert.equal(server.last('ListObjectsV2')?.query.get('prefix'), 'db/lease.json');
    });
  });

  it('writes what must not be there where conditions are unknown and missing objects are forbidden', async () => {
    await withStore(async ({ store }, server) => {
      hideMissing(server);
      const on = ({ headers }: { headers: Readonly<Record<string, string>> }): boolean =>
        headers['if-none-match'] !== undefined;
      server.misbehave({ on, fault: { answer: { status: 501, code: 'NotImplemented' } } });
      await store.write('a', Buffer.from('x'), { onlyIf: 'absent' });
      await assert.rejects(store.write('a', Buffer.from('y'), { onlyIf: 'absent' }), {
        code: 'STORAGE_EXISTS',
      });
    });
  });

  it('takes no refusal for a missing object where the listing shows it or is refused as well', async () => {
    await withStore(async ({ store }, server) => {
      server.put('db/a', 'x');
      server.misbehave({ on: 'GetObject', fault: DENIED });
      await assert.rejects(store.readBytes('a'), { code: 'STORAGE_DENIED', message: /cannot read a from/ });
      server.misbehave({ on: 'ListObjectsV2', times: 1, fault: DENIED });
      await assert.rejects(store.readBytes('b'), { code: 'STORAGE_DENIED', message: /cannot read b from/ });
      const isBusy = { answer: { status: 503, code: 'SlowDown' } };
      server.misbehave({ on: 'ListObjectsV2', times: 1, fault: isBusy });
      await assert.rejects(store.readBytes('b'), (error) => mayRetry(error));
      await assert.rejects(store.readBytes('b'), { code: 'STORAGE_NOT_FOUND' });
    });
  });

  for (const [title, fault] of [
    ['403', DENIED],
    ['400 with a reason', { answer: { status: 400, code: 'MissingContentMD5' } }],
    ['411', { answer: { status: 411, code: 'MissingContentLength' } }],
  ] as const satisfies readonly (readonly [string, Fault])[]) {
    it(`removes one by one where a batch is refused with ${title}, and asks for none again`, async () => {
      await withStore(async ({ store }, server) => {
        const keys = Array.from({ length: 1_200 }, (_, n) => `k/${n}`);
        for (const key of keys) server.put(`db/${key}`, 'x');
        server.misbehave({ on: 'DeleteObjects', fault });
        await store.remove(keys);
        await store.remove(['k/0', 'k/1']);
        assert.equal(server.objects().size, 0);
        assert.equal(server.count('DeleteObjects'), 1);
      });
    });
  }

  it('tries a few removals where nothing may be removed, and batches again later', async () => {
    await withStore(async ({ store }, server) => {
      const keys = Array.from({ length: 500 }, (_, n) => `k/${n}`);
      for (const key of keys) server.put(`db/${key}`, 'x');
      const removals: readonly Operation[] = ['DeleteObject', 'DeleteObjects'];
      server.misbehave({ on: removals, fault: DENIED });
      await assert.rejects(store.remove(keys), (error) => isRivuletError(error, 'STORAGE_DENIED'));
      assert.ok(server.count('DeleteObject') <= 8, 'a few single ones');
      server.behave();
      await store.remove(keys);
      assert.equal(server.count('DeleteObjects'), 2);
      assert.equal(server.objects().size, 0);
    });
  });

  it('asks for a batch again when it failed in a way that passes', async () => {
    await withStore(async ({ store }, server) => {
      server.misbehave({
        on: 'DeleteObjects',
        times: 1,
        fault: { answer: { status: 503, code: 'SlowDown' } },
      });
      await assert.rejects(store.remove(['a', 'b']), (error) => mayRetry(error));
      assert.equal(server.count('DeleteObject'), 0);
      await store.remove(['a', 'b']);
      assert.equal(server.count('DeleteObjects'), 2);
    });
  });
});
