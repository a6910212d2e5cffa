/** The S3 backend against Ceph's RADOS gateway. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { isRivuletError } from '../../src/base/errors.ts';
import type { AwsKeys, AwsKeySource } from '../../src/storage/aws-keys.ts';
import { mayRetry } from '../../src/storage/storage-error.ts';
import { conformance, gather } from '../storage/conformance.ts';
import type { StoreUnderTest } from '../storage/conformance.ts';
import { cephAvailable, startCephRgw } from '../support/ceph-rgw.ts';
import type { CephRgw } from '../support/ceph-rgw.ts';
import { fixedKeys, openS3 } from '../support/s3-store.ts';
import type { S3UnderTest } from '../support/s3-store.ts';

const MIB = 1024 * 1024;

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

  it('streams a large object with little memory', async () => {
    await using opened = open();
    const sizeBytes = 320 * MIB;
    const before = await settledMemory();
    let peakBytes = 0;
    async function* body(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < sizeBytes; at += MIB) {
        peakBytes = Math.max(peakBytes, memoryBytes());
        yield Buffer.alloc(MIB, at / MIB);
      }
    }
    const info = await opened.store.write('large', body(), { onlyIf: 'absent' });
    assert.equal(info.sizeBytes, sizeBytes);
    assert.equal(opened.requests.get('PUT'), 42);
    const grownBytes = peakBytes - before;
    // Four parts under way, the next one, what it is joined from, and what nobody has collected yet.
    assert.ok(grownBytes < 120 * MIB, `${Math.round(grownBytes / MIB)} MiB`);
    let at = 0;
    for await (const chunk of opened.store.read('large')) {
      for (const place of [0, chunk.length - 1])
        assert.equal(chunk[place], Math.floor((at + place) / MIB) % 256);
      at += chunk.length;
    }
    assert.equal(at, sizeBytes);
  });

  it('leaves no parts of what failed or was aborted', async () => {
    await using opened = open();
    const reason = new Error('enough');
    const controller = new AbortController();
    async function* body(end: () => void): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 60; i++) {
        yield Buffer.alloc(MIB, i);
        if (i === 40) end();
      }
    }
    const failing = opened.store.write('failed', body(fail));
    await assert.rejects(failing, (error) => error === reason);
    const { signal } = controller;
    const aborted = opened.store.write(
      'aborted',
      body(() => controller.abort(reason)),
      { signal },
    );
    await assert.rejects(aborted, (error) => error === reason);
    assert.ok((opened.requests.get('PUT') ?? 0) > 6, 'parts had been sent');
    assert.deepEqual(await uploads(), []);
    assert.deepEqual(opened.logger.messages(), []);

    function fail(): void {
      throw reason;
    }
  });

  it('goes on with other keys when those it has expire', async () => {
    const keys = new Rotating(gateway);
    await using opened = open({ keys });
    await opened.store.write('before', Buffer.from('x'));
    const [first] = keys.given;
    await sleep(3_500);
    await Promise.all([
      opened.store.write('after', Buffer.from('x')),
      opened.store.readBytes('before'),
      gather(opened.store.list('')),
    ]);
    assert.equal(keys.given.length, 2);
    assert.notEqual(keys.given[1]?.accessKeyId, first?.accessKeyId);
    assert.deepEqual((await gather(opened.store.list(''))).map(({ key }) => key).sort(), ['after', 'before']);
  });

  it('uploads in parts while its keys expire again and again', async () => {
    const keys = new Rotating(gateway);
    await using opened = open({ keys, concurrency: 2 });
    async function* body(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 8; i++) {
        yield Buffer.alloc(8 * MIB, i);
        await sleep(1_000);
      }
    }
    const info = await opened.store.write('large', body());
    assert.equal(info.sizeBytes, 64 * MIB);
    assert.ok(keys.given.length >= 3, `${keys.given.length} sets of keys`);
    assert.deepEqual(await uploads(), []);
  });

  it('says that keys have expired, and nothing of them', async () => {
    const expired = await gateway.assumeRole(1);
    await sleep(1_500);
    await using opened = open({ keys: fixedKeys(expired) });
    for (const call of [async () => opened.store.readBytes('a'), async () => gather(opened.store.list(''))])
      await assert.rejects(call(), (error) => {
        assert.ok(isRivuletError(error, 'CREDENTIALS_FAILED'));
        assert.doesNotMatch(inspect(error), new RegExp(expired.secretAccessKey));
        return true;
      });
  });

  it('says what is wrong with bucket and keys', async () => {
    await using elsewhere = open({ bucket: 'no-such-bucket' });
    const calls = [
      async () => gather(elsewhere.store.list('')),
      async () => elsewhere.store.listFolders(''),
      async () => elsewhere.store.readBytes('a'),
      async () => elsewhere.store.write('a', Buffer.from('x')),
      async () => elsewhere.store.remove(['a', 'b']),
    ];
    for (const call of calls)
      await assert.rejects(call(), { code: 'STORAGE_DENIED', message: /NoSuchBucket/, hint: /make buckets/ });
    await using stranger = open({ keys: fixedKeys({ accessKeyId: 'nobody', secretAccessKey: 'x' }) });
    await assert.rejects(gather(stranger.store.list('')), (error) =>
      isRivuletError(error, 'STORAGE_DENIED', 'CREDENTIALS_FAILED'),
    );
  });

  it('goes on after an outage', async () => {
    await using opened = open();
    await opened.store.write('a', Buffer.from('1'));
    await gateway.stop();
    try {
      await assert.rejects(opened.store.readBytes('a'), (error) => mayRetry(error));
    } finally {
      await gateway.start();
    }
    assert.equal(Buffer.from(await opened.store.readBytes('a')).toString(), '1');
  });

  /** Uploads in parts that are neither finished nor removed. */
  async function uploads(): Promise<unknown[]> {
    const client = gateway.client();
    try {
      return (await client.send(new ListMultipartUploadsCommand({ Bucket: 'bucket' }))).Uploads ?? [];
    } finally {
      client.destroy();
    }
  }
});

/** Keys of 3 s, new ones only when somebody says that the present ones are refused. */
class Rotating implements AwsKeySource {
  readonly given: AwsKeys[] = [];
  readonly #gateway: CephRgw;
  #present: Promise<AwsKeys> | undefined;

  constructor(gateway: CephRgw) {
    this.#gateway = gateway;
  }

  async current(): Promise<AwsKeys> {
    this.#present ??= this.#gateway.assumeRole(3);
    const keys = await this.#present;
    if (!this.given.includes(keys)) this.given.push(keys);
    return keys;
  }

  async renew(used: AwsKeys): Promise<boolean> {
    if (used === (await this.#present)) this.#present = undefined;
    return true;
  }
}

function memoryBytes(): number {
  const { external, heapUsed } = process.memoryUsage();
  return external + heapUsed;
}

async function settledMemory(): Promise<number> {
  await sleep(200);
  return memoryBytes();
}
