/** What an error says about a place or keys that are not what they should be. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RivuletError } from '../../../src/base/errors.ts';
import type { AwsKeys } from '../../../src/storage/aws-keys.ts';
import { failed } from '../../../src/storage/s3/failed.ts';
import { readFailure } from '../../../src/storage/s3/failure.ts';
import { resolveProfile } from '../../../src/storage/s3/options.ts';
import type { S3StoreOptions } from '../../../src/storage/s3/options.ts';
import { mayRetry } from '../../../src/storage/storage-error.ts';
import { CEPH_KEYS } from '../../support/ceph-rgw.ts';
import { LoopbackS3 } from '../../support/loopback-s3.ts';
import type { Fault } from '../../support/loopback-s3/faults.ts';
import { fixedKeys, openS3 } from '../../support/s3-store.ts';

interface Answered {
  readonly status?: number;
  readonly code?: string;
  readonly message?: string;
  readonly headers?: Record<string, string>;
}

/** The error for an answer as the SDK tells of it. */
function errorFor(
  { status, code = '', message = '', headers = {} }: Answered,
  options: Partial<S3StoreOptions>,
  keys: AwsKeys = CEPH_KEYS,
): RivuletError {
  const answer = {
    Code: code,
    $metadata: { httpStatusCode: status },
    $response: { statusCode: status, headers },
  };
  const cause = Object.assign(new Error(message), status === undefined ? { code } : answer);
  const profile = resolveProfile({ bucket: 'bkt', path: 'app', ...options } as S3StoreOptions);
  const region = profile.region ?? 'us-east-1';
  const more = { nowMs: 0, areKeysExpired: false, region, profile, keys };
  return failed('cannot list x of', readFailure(cause), more);
}

const REFUSALS: readonly Answered[] = [
  { status: 403, code: 'InvalidAccessKeyId' },
  { status: 403, code: 'SignatureDoesNotMatch' },
  { status: 403, code: 'AccessDenied' },
  { status: 404, code: 'NoSuchBucket' },
  { status: 301, code: 'PermanentRedirect' },
];

describe('S3 hints: where a request went', () => {
  it('a location without an endpoint says that it was AWS', () => {
    for (const answer of REFUSALS) {
      const { message } = errorFor(answer, { region: 'eu-west-1' });
      assert.match(message, /of s3:\/\/bkt\/app: \w+ \(\d+\) from s3\.eu-west-1\.amazonaws\.com/);
      assert.doesNotMatch(errorFor(answer, { endpoint: 'https://s3.example.com' }).message, /amazonaws/);
    }
    const china = errorFor({ status: 403, code: 'AccessDenied' }, { region: 'cn-north-1' });
    assert.match(china.message, /from s3\.cn-north-1\.amazonaws\.com\.cn/);
  });

  it('a host that was taken as a bucket is asked about, and other buckets are not', () => {
    for (const bucket of ['minio.example.com', 'storage.internal', 'localhost'])
      for (const answer of REFUSALS) {
        const { hint } = errorFor(answer, { bucket });
        assert.match(hint ?? '', /name of a bucket at AWS \(s3\.us-east-1\.amazonaws\.com\).*`endpoint`/);
        assert.ok(hint?.includes(`s3://BUCKET/path?endpoint=https://${bucket}`), hint);
      }
    for (const bucket of ['my-bucket', 'backups.2024', 'arn:aws:s3:us-east-1:1:accesspoint/a.b'])
      assert.doesNotMatch(errorFor(REFUSALS[2]!, { bucket }).hint ?? '', /host of another service/);
    assert.doesNotMatch(errorFor({ status: 503, code: 'SlowDown' }, { bucket: 'a.b.cc' }).hint ?? '', /AWS/);
  });

  it('an endpoint that holds the name of the bucket is named with the one to give', () => {
    for (const [endpoint, bare] of [
      ['https://s3.example.com:9000/bkt', 'https://s3.example.com:9000'],
      ['https://s3.example.com/bkt/', 'https://s3.example.com'],
      ['https://s3.example.com/proxy/bkt', 'https://s3.example.com/proxy'],
      ['https://bkt.ams3.digitaloceanspaces.com', 'https://ams3.digitaloceanspaces.com'],
      ['https://bkt.s3.example.com/bkt', 'https://s3.example.com'],
    ] as const)
      for (const answer of [...REFUSALS, { status: 404, code: 'NoSuchKey' }, { code: 'ENOTFOUND' }]) {
        const { hint } = errorFor(answer, { endpoint });
        assert.ok(hint?.includes(`\`endpoint: ${bare}\``), `${endpoint}: ${hint}`);
      }
    for (const endpoint of ['https://s3.example.com/other', 'https://bkt2.example.com', 'https://s3.bkt'])
      assert.doesNotMatch(errorFor(REFUSALS[2]!, { endpoint }).hint ?? '', /is added to it/, endpoint);
  });

  it('a bucket in the wrong part of the request: says which key to set', () => {
    const endpoint = 'https://cos.example.com';
    for (const answer of [
      { status: 403, code: 'PathStyleDomainForbidden' },
      { status: 403, code: 'SecondLevelDomainForbidden' },
      { status: 400, code: 'InvalidRequest', message: 'Please use virtual hosted-style requests.' },
      { status: 403, code: 'AccessDenied', message: 'Path-style access is not allowed here.' },
    ])
      assert.match(errorFor(answer, { endpoint }).hint ?? '', /`force-path-style: false`/, answer.code);
    const virtual = { endpoint, forcePathStyle: false };
    assert.match(errorFor({ code: 'ENOTFOUND' }, virtual).hint ?? '', /`force-path-style: true`/);
    const altName = { code: 'ERR_TLS_CERT_ALTNAME_INVALID' };
    assert.match(errorFor(altName, virtual).hint ?? '', /`force-path-style: true`/);
    assert.doesNotMatch(errorFor({ code: 'ENOTFOUND' }, { endpoint }).hint ?? '', /force-path-style/);
  });
});

describe('S3 hints: another region', () => {
  const endpoint = 'https://s3.example.com';

  it('is named when the service names it, with whatever status', () => {
    for (const status of [301, 400, 403])
      for (const answer of [
        { status, headers: { 'x-amz-bucket-region': 'eu-north-1' } },
        { status, code: 'X', message: "The region 'us-east-2' is wrong; expecting 'eu-north-1'" },
      ]) {
        const { hint } = errorFor(answer, { endpoint, region: 'us-east-2' });
        assert.match(hint ?? '', /region "eu-north-1", and was asked for "us-east-2"/);
      }
  });

  it('is asked for when the service only says that this one is wrong', () => {
    for (const answer of [
      { status: 403, code: 'InvalidRegion' },
      { status: 403, code: 'SignatureDoesNotMatch', message: 'Credential scope is not valid' },
      { status: 400, code: 'AuthorizationHeaderMalformed' },
    ]) {
      assert.match(
        errorFor(answer, { endpoint, region: 'here' }).hint ?? '',
        /the region "here": set `region`/,
      );
      assert.match(errorFor(answer, { endpoint }).hint ?? '', /"us-east-1", which is assumed: set `region`/);
    }
  });

  it('is one of two reasons where a signature does not match and no region is given', () => {
    const answer = { status: 403, code: 'SignatureDoesNotMatch' };
    assert.match(errorFor(answer, { endpoint }).hint ?? '', /secret key.*"us-east-1" was assumed/);
    assert.doesNotMatch(errorFor(answer, { endpoint, region: 'here' }).hint ?? '', /assumed/);
  });

  it('is gone on with when the answer was 403, and nobody has given one', async () => {
    await using server = await LoopbackS3.start();
    await using opened = openS3({ endpoint: server.endpoint, region: undefined });
    const fields = { Region: 'eu-north-1' };
    server.misbehave({ times: 1, fault: { answer: { status: 403, code: 'AccessDenied', fields } } });
    await opened.store.write('a', Buffer.from('x'));
    assert.match(server.last('PutObject')?.headers['authorization'] ?? '', /\/eu-north-1\/s3\//);
  });
});

describe('S3 hints: keys', () => {
  it('with line breaks are not sent, and the error says which and shows none', async () => {
    await using server = await LoopbackS3.start();
    for (const [broken, name] of [
      [{ accessKeyId: 'AKIDNOTTOBESEEN\n' }, 'access key id'],
      [{ secretAccessKey: 'hunter2\r\n' }, 'secret access key'],
      [{ sessionToken: 'hunter2\u0000' }, 'session token'],
    ] as const) {
      const keys = fixedKeys({ ...CEPH_KEYS, ...broken });
      await using opened = openS3({ endpoint: server.endpoint, keys });
      await assert.rejects(opened.store.write('a', Buffer.from('x')), (error) => {
        assert.ok(error instanceof RivuletError && error.code === 'CREDENTIALS_FAILED');
        assert.ok(error.message.startsWith(`the ${name} for s3://bucket`), error.message);
        assert.match(error.hint ?? '', /echo/);
        assert.doesNotMatch(`${error.message} ${error.hint}`, /NOTTOBESEEN|hunter2/);
        return !mayRetry(error);
      });
    }
    assert.equal(server.requests.length, 0);
  });

  it('with a blank at an end are asked about when they are refused', () => {
    for (const code of ['SignatureDoesNotMatch', 'InvalidAccessKeyId', 'AccessDenied']) {
      const keys = { ...CEPH_KEYS, secretAccessKey: 'hunter2 ' };
      const { hint } = errorFor({ status: 403, code }, { endpoint: 'https://s3.example.com' }, keys);
      assert.match(hint ?? '', /^The secret access key begins or ends with a space/);
    }
  });
});

describe('S3 errors of any shape', () => {
  const element = (name: string, ...values: string[]): string =>
    values.map((value) => `<${name}>${value}</${name}>`).join('');
  const bodies: Readonly<Record<string, string>> = {
    'repeated elements': `<Error>${element('Code', 'A', 'B')}${element('Message', 'x', 'y')}${element('Region', 'r', 's')}${element('RequestId', '1', '2')}</Error>`,
    'nested elements': `<Error>${element('Code', '<a>b</a>')}${element('Message', '<b>c</b>')}</Error>`,
    'two errors': `<Error>${element('Code', 'A')}</Error><Error>${element('Code', 'B')}</Error>`,
    'an error in another element': `<Response><Errors><Error>${element('Code', 'A')}</Error></Errors></Response>`,
    'an empty error': '<Error></Error>',
    'a broken error': '<Error><Code>AccessDen',
    'attributes only': '<Error Code="AccessDenied" Message="no"/>',
    HTML: '<html><head><title>403</title></head><body><h1>Forbidden</h1></body></html>',
    'broken HTML': '<!DOCTYPE html><html><body><br><p>No & never',
    'plain text': 'You shall not pass',
    JSON: '{"error": {"code": "AccessDenied"}}',
    nothing: '',
    bytes: '\u0000\u0001\u{fffd}',
    'a document type': '<!DOCTYPE e [<!ENTITY a "b">]><Error><Code>&a;</Code></Error>',
  };
  for (const [title, body] of Object.entries(bodies))
    it(`${title}: one sentence, whatever was asked`, async () => {
      await using server = await LoopbackS3.start();
      for (const type of ['application/xml', 'text/html; charset=utf-8', ''])
        for (const status of [200, 301, 400, 403, 404, 409, 500, 503]) {
          await using opened = openS3({ endpoint: server.endpoint });
          const { store } = opened;
          server.behave();
          const fault: Fault = { answer: { status, body, headers: { 'content-type': type } } };
          server.misbehave({ fault });
          const calls: readonly (() => Promise<unknown>)[] = [
            async () => store.listFolders(''),
            async () => store.readBytes('a'),
            async () => store.write('a', Buffer.from('x')),
            async () => store.write('a', Buffer.from('x'), { onlyIf: 'absent' }),
            async () => store.remove(['a', 'b']),
            async () => store.remove(['a']),
          ];
          for (const call of calls) {
            const error = await call().then(
              () => undefined,
              (thrown: unknown) => thrown,
            );
            // An answer of 200 may be as good as any, and what is not there is removed.
            if (error === undefined && (status === 200 || status === 404)) continue;
            assert.ok(error instanceof RivuletError, `${status} ${type}: ${String(error)}`);
            assert.doesNotMatch(error.message, /@aws-sdk|Deserialization|is not a function|\$response/);
            assert.doesNotMatch(error.message, /\n|\[object/);
          }
        }
    });

  it('listings with repeated elements', async () => {
    const contents = (more: string): string =>
      `<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified>${more}</Contents></ListBucketResult>`;
    for (const body of [
      contents('<Key>b</Key>'),
      contents('<Size>2</Size>'),
      contents('<LastModified>2026-01-01T00:00:00Z</LastModified>'),
      contents('<Key><x>1</x></Key>'),
      '<ListBucketResult><IsTruncated>false</IsTruncated><IsTruncated>true</IsTruncated></ListBucketResult>',
      '<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken><NextContinuationToken>b</NextContinuationToken></ListBucketResult>',
      '<ListBucketResult><IsTruncated>false</IsTruncated><CommonPrefixes><Prefix>a/</Prefix><Prefix>b/</Prefix></CommonPrefixes></ListBucketResult>',
      '<DeleteResult><Error><Key>a</Key><Key>b</Key><Code>A</Code><Code>B</Code></Error></DeleteResult>',
      '<DeleteResult><Deleted><Key>a</Key><Key>b</Key></Deleted></DeleteResult>',
    ]) {
      await using server = await LoopbackS3.start();
      await using opened = openS3({ endpoint: server.endpoint });
      server.misbehave({ times: 2, fault: { answer: { status: 200, body } } });
      for (const call of [
        async () => {
          for await (const _ of opened.store.list('')) continue;
        },
        async () => opened.store.listFolders(''),
        async () => opened.store.remove(['a', 'b']),
      ]) {
        const error = await call().catch((thrown: unknown) => thrown);
        if (error === undefined || Array.isArray(error)) continue;
        assert.ok(error instanceof RivuletError, body);
        assert.doesNotMatch(error.message, /@aws-sdk|is not a function|\[object/);
      }
    }
  });
});
