/** The Azure backend against Azurite. */
import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { after, before, describe, it } from 'node:test';
import {
  ContainerSASPermissions,
  StorageSharedKeyCredential,
  generateBlobSASQueryParameters,
} from '@azure/storage-blob';
import type { ContainerClient } from '@azure/storage-blob';
import type { RivuletError } from '../../src/base/errors.ts';
import { AbsObjectStore } from '../../src/storage/abs/abs-object-store.ts';
import type { AbsObjectStoreOptions } from '../../src/storage/abs/abs-object-store.ts';
import { conformance, gather } from '../storage/conformance.ts';
import { failureOf } from '../support/failure-of.ts';
import { Azurite, whyNoAzurite } from '../support/azurite.ts';
import { recordingTools } from '../support/backend-tools.ts';

const skip = whyNoAzurite();
const CONTAINER = 'replicas';
const MIB = 1024 * 1024;

describe('Azure Blob Storage on Azurite', { skip, timeout: 300_000 }, () => {
  let azurite: Azurite;
  let container: ContainerClient;

  before(async () => {
    azurite = await Azurite.start();
    container = await azurite.makeContainer(CONTAINER);
  });
  after(async () => azurite[Symbol.asyncDispose]());

  const optionsOf = (given: Partial<AbsObjectStoreOptions> = {}): AbsObjectStoreOptions => ({
    container: CONTAINER,
    endpoint: azurite.endpoint,
    accountKey: azurite.accountKey,
    path: `tests/${randomUUID()}`,
    ...given,
  });
  /** A token for the container with those permissions. */
  const signature = (permissions: string, lifeMs = 60_000): string =>
    generateBlobSASQueryParameters(
      {
        containerName: CONTAINER,
        permissions: ContainerSASPermissions.parse(permissions),
        startsOn: new Date(Date.now() - 600_000),
        expiresOn: new Date(Date.now() + lifeMs),
      },
      new StorageSharedKeyCredential(azurite.accountName, azurite.accountKey),
    ).toString();
  const signed = (sasToken: AbsObjectStoreOptions['sasToken']): AbsObjectStoreOptions =>
    optionsOf({ sasToken, accountKey: undefined });

  it('a slash at the beginning of the path is part of the names of blobs, as v0.3.13 has it', async () => {
    const path = `tests/${randomUUID()}`;
    const rooted = new AbsObjectStore(optionsOf({ path: `/${path}` }), recordingTools());
    const plain = new AbsObjectStore(optionsOf({ path }), recordingTools());
    await rooted.write('a/x', Buffer.from('data'));
    assert.equal(await container.getBlobClient(`/${path}/a/x`).exists(), true);
    const keys: string[] = [];
    for await (const { key } of rooted.list('a/')) keys.push(key);
    assert.deepEqual(keys, ['a/x']);
    assert.equal(Buffer.from(await rooted.readBytes('a/x')).toString(), 'data');
    assert.deepEqual(await plain.listFolders(''), []);
  });

  conformance(
    'abs',
    async () => {
      const store = new AbsObjectStore(optionsOf(), recordingTools());
      return { store, dispose: async () => store.close() };
    },
    { backslashes: false },
  );

  describe('identities', () => {
    it('works with a SAS token, with or without its question mark', async () => {
      for (const token of [signature('rcwdl'), `?${signature('rcwdl')}`]) {
        const store = new AbsObjectStore(signed(token), recordingTools());
        await store.write('a/object', Buffer.from('x'));
        await store.write('a/large', pieces(10, MIB));
        assert.equal((await gather(store.list(''))).length, 2);
        assert.equal((await store.readBytes('a/object')).length, 1);
        await store.remove(['a/object', 'a/large']);
      }
    });

    it('takes the SAS token where a key is given as well', async () => {
      const tools = recordingTools();
      const store = new AbsObjectStore(optionsOf({ sasToken: signature('r') }), tools);
      await assert.rejects(store.write('object', Buffer.from('x')), { code: 'STORAGE_DENIED' });
    });

    it('says what a SAS token does not allow, and does not show it', async () => {
      const token = signature('r');
      const store = new AbsObjectStore(signed(token), recordingTools());
      const error = await failureOf(store.write('a/b', Buffer.from('x')));
      assert.equal(error.code, 'STORAGE_DENIED');
      assert.match(
        error.message,
        /cannot write a\/b to abs:\/\/rivulet@replicas\/tests\/.*AuthorizationPermissionMismatch/,
      );
      assert.match(error.hint ?? '', /Storage Blob Data Contributor/);
      assert.equal(error.details['retry'], false);
      assertHides(error, new URLSearchParams(token).get('sig') ?? '');
    });

    it('says that a SAS token has expired', async () => {
      const store = new AbsObjectStore(signed(signature('rcwdl', -1_000)), recordingTools());
      const error = await failureOf(gather(store.list('')));
      assert.equal(error.code, 'CREDENTIALS_FAILED');
      assert.equal(error.details['retry'], false);
      assert.match(error.hint ?? '', /expired/);
    });

    it('says that a key is wrong, and does not show it', async () => {
      const accountKey = randomBytes(32).toString('base64');
      const store = new AbsObjectStore(optionsOf({ accountKey }), recordingTools());
      const calls = [
        async () => store.write('a', Buffer.from('x')),
        async () => store.readBytes('a'),
        async () => gather(store.list('')),
        async () => store.remove(['a']),
      ];
      for (const call of calls) {
        const error = await failureOf(call());
        assert.equal(error.code, 'CREDENTIALS_FAILED');
        assert.equal(error.details['retry'], false);
        assertHides(error, accountKey);
      }
    });

    it('asks for the key again when it was refused, in the middle of an upload too', async () => {
      const old = randomBytes(32).toString('base64');
      let key = azurite.accountKey;
      let asked = 0;
      const tools = recordingTools();
      const accountKey = async (): Promise<string> => {
        asked++;
        return key;
      };
      const store = new AbsObjectStore(optionsOf({ accountKey }), tools);
      await store.write('first', Buffer.from('x'));
      await store.write('second', Buffer.from('x'));
      assert.equal(asked, 1, 'a key that works is not asked for again');

      key = old;
      const other = new AbsObjectStore(optionsOf({ accountKey }), tools);
      await assert.rejects(gather(other.list('')), { code: 'CREDENTIALS_FAILED' });
      key = azurite.accountKey;
      const written = await other.write('large', pieces(10, MIB));
      assert.equal(written.sizeBytes, 10 * MIB);
      assert.ok(tools.logger.matching('there are other ones now').length > 0);
      assert.equal((await other.readBytes('large')).length, 10 * MIB);
    });

    it('does not believe that a key changed when it did not', async () => {
      const accountKey = randomBytes(32).toString('base64');
      const store = new AbsObjectStore(optionsOf({ accountKey: async () => accountKey }), recordingTools());
      const error = await failureOf(gather(store.list('')));
      assert.equal(error.details['retry'], false);
    });
  });

  describe('a container that is missing', () => {
    it('never looks like an empty one', async () => {
      const store = new AbsObjectStore(optionsOf({ container: 'missing' }), recordingTools());
      const calls = {
        list: async () => gather(store.list('')),
        folders: async () => store.listFolders(''),
        read: async () => store.readBytes('a'),
        versioned: async () => store.readVersioned('a'),
        write: async () => store.write('a', Buffer.from('x')),
        streamed: async () => store.write('a', pieces(9, MIB)),
        remove: async () => store.remove(['a']),
      };
      for (const [name, call] of Object.entries(calls)) {
        const error = await failureOf(call());
        assert.equal(error.code, 'STORAGE_DENIED', name);
        assert.match(error.message, /ContainerNotFound/, name);
        assert.match(error.hint ?? '', /Create the container/, name);
        assert.equal(error.details['retry'], false, name);
      }
    });
  });

  describe('large objects', () => {
    it('streams with bounded memory', async () => {
      const store = new AbsObjectStore(optionsOf(), recordingTools());
      const sizeMiB = 192;
      const hash = createHash('sha256');
      let peakBytes = 0;
      async function* body(): AsyncGenerator<Uint8Array> {
        for (let i = 0; i < sizeMiB; i++) {
          const chunk = Buffer.alloc(MIB, i);
          hash.update(chunk);
          yield chunk;
          peakBytes = Math.max(peakBytes, process.memoryUsage().arrayBuffers);
        }
      }
      const beforeBytes = process.memoryUsage().arrayBuffers;
      const written = await store.write('large', body());
      assert.equal(written.sizeBytes, sizeMiB * MIB);
      const read = createHash('sha256');
      for await (const chunk of store.read('large')) read.update(chunk);
      assert.equal(read.digest('hex'), hash.digest('hex'));
      assert.ok(peakBytes - beforeBytes < 96 * MIB, `${Math.round((peakBytes - beforeBytes) / MIB)} MiB`);
      await store.remove(['large']);
    });

    it('leaves blocks that nobody sees when it is given up, and can be written afterwards', async () => {
      const options = optionsOf();
      const store = new AbsObjectStore(options, recordingTools());
      const failure = new Error('the source broke');
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield* pieces(9, MIB);
        // Long enough for the first blocks to arrive.
        await new Promise((resolve) => setTimeout(resolve, 500));
        throw failure;
      }
      await assert.rejects(
        store.write('a/large', broken(), { onlyIf: 'absent' }),
        (error) => error === failure,
      );
      assert.deepEqual(await gather(store.list('')), []);
      const uncommitted = await gather(
        container.listBlobsFlat({ prefix: `${options.path}/`, includeUncommitedBlobs: true }),
      );
      assert.deepEqual(
        uncommitted.map(({ name }) => name),
        [`${options.path}/a/large`],
      );
      await store.write('a/large', pieces(9, MIB), { onlyIf: 'absent' });
      assert.equal((await gather(store.list('')))[0]?.sizeBytes, 9 * MIB);
    });

    it('goes on over blocks that an upload of Litestream v0.3.13 left behind', async () => {
      const options = optionsOf();
      const blob = container.getBlockBlobClient(`${options.path}/object`);
      await blob.stageBlock(randomBytes(64).toString('base64'), Buffer.from('left'), 4);
      const store = new AbsObjectStore(options, recordingTools());
      await store.write('object', pieces(9, MIB), { onlyIf: 'absent' });
      assert.equal((await store.readBytes('object')).length, 9 * MIB);
    });

    it('counts its requests', async () => {
      const tools = recordingTools();
      const store = new AbsObjectStore(optionsOf(), tools);
      await store.write('small', Buffer.from('x'));
      await store.write('streamed', pieces(2, 1000));
      await store.write('large', pieces(9, MIB));
      await store.readBytes('small');
      await gather(store.list(''));
      await store.remove(['small', 'streamed', 'large']);
      const counts = Object.groupBy(tools.requests, (kind) => kind);
      // Three blocks and their list for the large one.
      assert.equal(counts.PUT?.length, 1 + 1 + 4);
      assert.equal(counts.GET?.length, 1);
      assert.equal(counts.LIST?.length, 1);
      assert.equal(counts.DELETE?.length, 3);
    });
  });

  it('tells the time of creation, which a change of properties does not move', async () => {
    const options = optionsOf();
    const store = new AbsObjectStore(options, recordingTools());
    const written = await store.write('object', Buffer.from('x'));
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await container.getBlockBlobClient(`${options.path}/object`).setMetadata({ note: 'touched' });
    const [info] = await gather(store.list(''));
    assert.deepEqual(info?.modifiedAt, written.modifiedAt);
  });

  it('fails in a way that may pass while the server is away', async () => {
    const lonely = await Azurite.start();
    try {
      await lonely.makeContainer(CONTAINER);
      const store = new AbsObjectStore(
        optionsOf({ endpoint: lonely.endpoint, accountKey: lonely.accountKey }),
        recordingTools(),
      );
      await store.write('object', Buffer.from('x'));
      await lonely.stop();
      const error = await failureOf(store.write('object', Buffer.from('x')));
      assert.equal(error.code, 'STORAGE_FAILED');
      assert.equal(error.details['retry'], true);
      assert.match(error.message, /ECONNREFUSED|ECONNRESET/);
    } finally {
      await lonely[Symbol.asyncDispose]();
    }
  });
});

async function* pieces(count: number, sizeBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let i = 0; i < count; i++) yield Buffer.alloc(sizeBytes, i);
}

/** A secret stands nowhere in an error, however deep a logger looks. */
function inspected(error: unknown): string {
  return inspect(error, { depth: 10, showHidden: true });
}

function assertHides(error: RivuletError, secret: string): void {
  assert.ok(secret.length > 10);
  const shown = `${JSON.stringify(error.details)} ${error.message} ${error.hint} ${error.stack} ${inspected(error)}`;
  assert.ok(!shown.includes(secret));
  assert.ok(!shown.includes(encodeURIComponent(secret)));
}
