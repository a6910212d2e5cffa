/** Keys that expire or are exchanged while requests are made. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RivuletError } from '../../../src/base/errors.ts';
import type { AwsKeys, AwsKeySource } from '../../../src/storage/aws-keys.ts';
import { mayRetry } from '../../../src/storage/storage-error.ts';
import { LoopbackS3 } from '../../support/loopback-s3.ts';
import { openS3 } from '../../support/s3-store.ts';
import { gather } from '../conformance.ts';

/** Gives keys `key-1`, `key-2`, ... each until somebody asks for another. */
class Turning implements AwsKeySource {
  renewals: AwsKeys[] = [];
  expiresAtMs: number | undefined;
  readonly #last: number;
  #number = 1;

  constructor(last: number) {
    this.#last = last;
  }

  async current(): Promise<AwsKeys> {
    const accessKeyId = `key-${this.#number}`;
    return { accessKeyId, secretAccessKey: 's', sessionToken: 't', expiresAtMs: this.expiresAtMs };
  }

  async renew(used: AwsKeys): Promise<boolean> {
    this.renewals.push(used);
    if (used.accessKeyId !== `key-${this.#number}`) return true;
    if (this.#number === this.#last) return false;
    this.#number++;
    return true;
  }
}

describe('S3 keys', () => {
  for (const code of ['AccessDenied', 'ExpiredToken', 'InvalidAccessKeyId', 'SignatureDoesNotMatch']) {
    it(`asks for other keys when these are refused with ${code}, and goes on`, async () => {
      await using server = await LoopbackS3.start();
      const keys = new Turning(3);
      await using opened = openS3({ endpoint: server.endpoint, keys });
      await opened.store.write('a', Buffer.from('x'));
      server.refusesKeys = (id) => (id === 'key-1' ? code : undefined);
      await Promise.all([
        opened.store.write('b', Buffer.from('x')),
        opened.store.readBytes('a'),
        gather(opened.store.list('')),
      ]);
      assert.ok(keys.renewals.every(({ accessKeyId }) => accessKeyId === 'key-1'));
      const before = server.requests.length;
      await opened.store.write('c', Buffer.from('x'));
      assert.equal(server.requests.length, before + 1, 'the new keys are used from now on');
      assert.match(server.last('PutObject')?.headers['authorization'] ?? '', /Credential=key-2\//);
    });
  }

  it('knows an expired token by the answer without a body that HEAD gets', async () => {
    await using server = await LoopbackS3.start();
    const keys = new Turning(2);
    await using opened = openS3({ endpoint: server.endpoint, keys, partSizeBytes: 5 * 1024 * 1024 });
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(6 * 1024 * 1024);
      server.misbehave({ on: 'HeadObject', times: 1, fault: { answer: { status: 400 } } });
    }
    await opened.store.write('a', body(), { onlyIf: 'absent' });
    assert.equal(keys.renewals.length, 1);
  });

  it('says that keys have expired when there are no others', async () => {
    await using server = await LoopbackS3.start();
    const keys = new Turning(1);
    keys.expiresAtMs = Date.now() - 1;
    await using opened = openS3({ endpoint: server.endpoint, keys });
    server.refusesKeys = () => 'AccessDenied';
    await assert.rejects(opened.store.readBytes('a'), (error) => {
      assert.ok(error instanceof RivuletError);
      assert.equal(error.code, 'CREDENTIALS_FAILED');
      assert.equal(mayRetry(error), true, 'their source may have others soon');
      assert.match(error.hint ?? '', /expired/);
      assert.doesNotMatch(JSON.stringify([error.message, error.details]), /key-1/);
      return true;
    });
    assert.equal(keys.renewals.length, 1, 'it is asked once');
  });

  it('says that it is denied when the keys are well', async () => {
    await using server = await LoopbackS3.start();
    await using opened = openS3({ endpoint: server.endpoint, keys: new Turning(1) });
    server.refusesKeys = () => 'AccessDenied';
    await assert.rejects(opened.store.write('a', Buffer.from('x')), { code: 'STORAGE_DENIED' });
  });
});
