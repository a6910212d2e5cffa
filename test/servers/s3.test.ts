/** The S3 backend against Ceph's RADOS gateway. */
import { randomUUID } from 'node:crypto';
import { after, before, describe } from 'node:test';
import { gather } from '../storage/conformance.ts';
import { conformance } from '../storage/conformance.ts';
import type { StoreUnderTest } from '../storage/conformance.ts';
import { cephAvailable, startCephRgw } from '../support/ceph-rgw.ts';
import type { CephRgw } from '../support/ceph-rgw.ts';
import { openS3 } from '../support/s3-store.ts';
import type { S3UnderTest } from '../support/s3-store.ts';

describe('S3 on Ceph', cephAvailable(), () => {
  let gateway: CephRgw;

  before(async () => {
    gateway = await startCephRgw();
    await gateway.createBucket('bucket');
  });

  after(async () => gateway[Symbol.asyncDispose]());

  /** A store of its own: a fresh prefix of the one bucket. */
  function open(more: Parameters<typeof openS3>[0] = {}): S3UnderTest {
    return openS3({ endpoint: gateway.endpoint, bucket: 'bucket', path: `test/${randomUUID()}`, ...more });
  }

  async function makeStore(): Promise<StoreUnderTest> {
    const { store } = open();
    const dispose = async (): Promise<void> => {
      await store.remove((await gather(store.list(''))).map(({ key }) => key));
      await store.close();
    };
    return { store, dispose };
  }

  conformance('s3', makeStore, { writeTimeToleranceMs: 2_000 });
});
