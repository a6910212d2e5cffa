/** Answers of object stores, through the backends that speak to them, and host keys of SFTP servers. */
import assert from 'node:assert/strict';
import { AbsObjectStore } from '../../src/storage/abs/abs-object-store.ts';
import { GcsObjectStore } from '../../src/storage/gcs/gcs-object-store.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { parsePinnedKey } from '../../src/storage/sftp/host-key.ts';
import { entriesFor, keyTypeOf, parseKnownHosts } from '../../src/storage/sftp/known-hosts.ts';
import { recordingTools } from '../support/backend-tools.ts';
import { openS3 } from '../support/s3-store.ts';
import { fixedToken } from '../storage/gcs/gcs-scene.ts';
import { type Answer, answerText, fuzzServer, splitAnswer } from './server.ts';
import { bytesOf, type FuzzTarget, textOf } from './target.ts';

const STORAGE_CODES = [
  'STORAGE_FAILED',
  'STORAGE_DENIED',
  'STORAGE_NOT_FOUND',
  'STORAGE_EXISTS',
  'CREDENTIALS_FAILED',
] as const;
/** How often the changed answer is given; then there is nothing more, so that a listing ends. */
const CHANGED_ANSWERS = 3;

type Opened = { readonly store: ObjectStore; readonly nothing: Answer };

/** Everything that a listing yields is an object: with a key, a size and a time. */
async function listThrough(input: Uint8Array, type: string, open: (port: number) => Opened): Promise<void> {
  const server = await fuzzServer();
  const { status, body } = splitAnswer(input);
  const { store, nothing } = open(server.port);
  server.answer = ({ number }) => (number <= CHANGED_ANSWERS ? { status, type, body } : nothing);
  try {
    for await (const { key, sizeBytes, modifiedAt } of store.list('generations/')) {
      assert.equal(typeof key, 'string');
      assert.ok(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0, `a size of ${sizeBytes}`);
      assert.ok(!Number.isNaN(modifiedAt.getTime()), `the time of ${key} is none`);
    }
    for (const name of await store.listFolders('generations/'))
      assert.ok(typeof name === 'string' && name !== '');
  } finally {
    await store.close();
  }
}

// ---- S3 ------------------------------------------------------------------------------------------------------------

const S3_NOTHING =
  '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
  '<Name>bucket</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>';
const S3_PAGE = `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix>generations/</Prefix>
<KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>
<Contents><Key>generations%2Fa</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;x&quot;</ETag><Size>12</Size></Contents>
<Contents><Key>generations%2Fb</Key><LastModified>2026-01-01T00:00:01.000Z</LastModified><Size>0</Size></Contents>
<CommonPrefixes><Prefix>generations%2F00112233445566aa%2F</Prefix></CommonPrefixes></ListBucketResult>`;
const S3_ERROR =
  '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce</Message><RequestId>r</RequestId></Error>';
const XML_WORDS = [
  '<Contents>',
  '</Contents>',
  '<Key>',
  '</Key>',
  '<Size>-1</Size>',
  '<Size>1e99</Size>',
  '<LastModified>never</LastModified>',
  '<IsTruncated>true</IsTruncated>',
  '<NextContinuationToken>t</NextContinuationToken>',
  '<CommonPrefixes><Prefix></Prefix></CommonPrefixes>',
  '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
  '&b;',
  '%',
  '%2',
  '<Code>NoSuchBucket</Code>',
  '<Blob>',
  '<NextMarker>m</NextMarker>',
  '<Content-Length>-5</Content-Length>',
];

async function listS3(input: Uint8Array): Promise<void> {
  const nothing = { status: 200, type: 'application/xml', body: S3_NOTHING };
  await listThrough(input, 'application/xml', (port) => ({
    store: openS3({ endpoint: `http://127.0.0.1:${port}`, forcePathStyle: true }).store,
    nothing,
  }));
}

// ---- Google --------------------------------------------------------------------------------------------------------

const GCS_PAGE = JSON.stringify({
  kind: 'storage#objects',
  prefixes: ['path/generations/00112233445566aa/'],
  items: [
    { name: 'path/generations/a', size: '12', generation: '17', timeCreated: '2026-01-01T00:00:00.000Z' },
    { name: 'path/generations/b', size: '0', generation: '18', timeCreated: '2026-01-01T00:00:01.000Z' },
  ],
});
const GCS_ERROR = JSON.stringify({
  error: { code: 403, message: 'no', errors: [{ reason: 'forbidden', message: 'no' }] },
});
const GCS_WORDS = [
  '"nextPageToken":"t"',
  '"items":',
  '"prefixes":',
  '"size":"-1"',
  '"size":1e99',
  '"timeCreated":"x"',
  '"name":5',
  '"error":',
  '{}',
  '[]',
  'null',
  ',',
];

async function listGcs(input: Uint8Array): Promise<void> {
  const nothing = { status: 200, type: 'application/json', body: '{}' };
  await listThrough(input, 'application/json', (port) => ({
    store: new GcsObjectStore(
      {
        bucket: 'bucket',
        path: 'path',
        endpoint: `http://127.0.0.1:${port}`,
        authorization: fixedToken('token-1'),
      },
      recordingTools({ attemptsMax: 2 }),
    ),
    nothing,
  }));
}

// ---- Azure ---------------------------------------------------------------------------------------------------------

const ABS_NOTHING =
  '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://x/" ContainerName="container"><Blobs /><NextMarker /></EnumerationResults>';
const ABS_PAGE = `<?xml version="1.0" encoding="utf-8"?>
<EnumerationResults ServiceEndpoint="http://x/" ContainerName="container"><Prefix>path/generations/</Prefix><Blobs>
<Blob><Name>path/generations/a</Name><Properties><Creation-Time>Thu, 01 Jan 2026 00:00:00 GMT</Creation-Time>
<Last-Modified>Thu, 01 Jan 2026 00:00:00 GMT</Last-Modified><Etag>0x1</Etag><Content-Length>12</Content-Length>
<BlobType>BlockBlob</BlobType></Properties><Metadata><hdi_isfolder>false</hdi_isfolder></Metadata></Blob>
<BlobPrefix><Name>path/generations/00112233445566aa/</Name></BlobPrefix>
</Blobs><NextMarker /></EnumerationResults>`;
const ABS_ERROR =
  '<?xml version="1.0"?><Error><Code>AuthenticationFailed</Code><Message>no</Message></Error>';

async function listAbs(input: Uint8Array): Promise<void> {
  const nothing = { status: 200, type: 'application/xml', body: ABS_NOTHING };
  await listThrough(input, 'application/xml', (port) => ({
    store: new AbsObjectStore(
      {
        accountName: 'account',
        accountKey: Buffer.alloc(32, 7).toString('base64'),
        container: 'container',
        endpoint: `http://127.0.0.1:${port}/account`,
        path: 'path',
      },
      recordingTools({ attemptsMax: 2 }),
    ),
    nothing,
  }));
}

// ---- SFTP ----------------------------------------------------------------------------------------------------------

const ED25519 = 'AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f';

function readKnownHosts(input: Uint8Array): void {
  const text = textOf(input);
  const known = parseKnownHosts(text, 'known_hosts');
  for (const { keyType, key, source } of known) {
    assert.equal(keyTypeOf(key), keyType);
    assert.match(source, /^known_hosts:\d+$/);
  }
  for (const [host, port] of [
    ['example.com', 22],
    ['example.com', 2222],
    ['::1', 22],
    ['*', 22],
  ] as const) {
    for (const entry of entriesFor(known, host, port)) assert.ok(known.includes(entry));
  }
}

export const STORAGE_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'storage/s3-listing',
    codes: STORAGE_CODES,
    samples: () => [
      answerText(200, S3_PAGE),
      answerText(200, S3_NOTHING),
      answerText(503, S3_ERROR),
      answerText(403, S3_ERROR),
    ],
    words: XML_WORDS,
    read: listS3,
    memory: { perByte: 512, besides: 16 * 1024 * 1024 },
  },
  {
    name: 'storage/gcs-listing',
    codes: STORAGE_CODES,
    samples: () => [answerText(200, GCS_PAGE), answerText(403, GCS_ERROR), answerText(200, '{}')],
    words: GCS_WORDS,
    read: listGcs,
  },
  {
    name: 'storage/abs-listing',
    codes: STORAGE_CODES,
    samples: () => [answerText(200, ABS_PAGE), answerText(200, ABS_NOTHING), answerText(403, ABS_ERROR)],
    words: XML_WORDS,
    read: listAbs,
    memory: { perByte: 512, besides: 16 * 1024 * 1024 },
  },
  {
    name: 'storage/known-hosts',
    codes: [],
    samples: () => [
      bytesOf(
        `# hosts\nexample.com,192.0.2.* ssh-ed25519 ${ED25519} me\n@revoked *.example.com ssh-ed25519 ${ED25519}\n` +
          `[example.com]:2222,!bad?.example.com ssh-ed25519 ${ED25519}\n|1|AAECAwQFBgcICQoLDA0ODxAREhM=|AAECAwQFBgcICQoLDA0ODxAREhM= ssh-ed25519 ${ED25519}\n`,
      ),
    ],
    words: [
      '@cert-authority ',
      '@revoked ',
      '*',
      '?',
      '!',
      '|1|',
      'ssh-rsa ',
      'ssh-ed25519 ',
      '[',
      ']:22',
      ',',
    ],
    read: readKnownHosts,
  },
  {
    name: 'storage/pinned-host-key',
    codes: [],
    refusesWith: (error) => error instanceof RangeError && error.message.length < 1_000,
    samples: () => [
      bytesOf(`ssh-ed25519 ${ED25519} comment`),
      bytesOf(`example.com ssh-ed25519 ${ED25519}`),
      bytesOf('SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU'),
    ],
    words: ['SHA256:', 'MD5:', 'ssh-rsa ', ' ', '='],
    read: (input) => void parsePinnedKey(textOf(input)),
  },
];
