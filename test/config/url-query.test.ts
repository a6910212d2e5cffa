import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseReplicaUrl } from '../../src/config/replica-url.ts';
import type { ReplicaUrl } from '../../src/config/replica-url.ts';
import { REPLICA_KEYS } from '../../src/config/schema.ts';
import type { KeySpec } from '../../src/config/key-spec.ts';
import { firstReplica, parse, problemsOf, withReplica } from './support.ts';

function options(url: string): object | undefined {
  const parsed = parseReplicaUrl(url);
  return 'problem' in parsed ? assert.fail(parsed.problem) : parsed.options;
}

function problem(url: string): string {
  const parsed = parseReplicaUrl(url);
  return 'problem' in parsed ? parsed.problem : assert.fail(`${url} was accepted`);
}

test('the parameters of Litestream v0.5 are read, in both spellings', () => {
  const camel =
    's3://b/x?endpoint=http://h:9000&region=eu&forcePathStyle=false&skipVerify=true&signPayload=false' +
    '&requireContentMD5=false&storageClass=GLACIER_IR&partSize=10485760&concurrency=7';
  const hyphens =
    's3://b/x?endpoint=http%3A%2F%2Fh%3A9000&region=eu&force-path-style=false&skip-verify=true&sign-payload=false' +
    '&require-content-md5=false&storage-class=GLACIER_IR&part-size=10MiB&concurrency=7';
  const expected = {
    endpoint: 'http://h:9000',
    region: 'eu',
    forcePathStyle: false,
    skipVerify: true,
    signPayload: false,
    requireContentMd5: false,
    storageClass: 'GLACIER_IR',
    partSizeBytes: 10_485_760,
    concurrency: 7,
  };
  assert.deepEqual(options(camel), expected);
  assert.deepEqual(options(hyphens), expected);
});

test('a key wins over the URL, and the URL over a default', () => {
  const { destination } = firstReplica(
    parse(withReplica('url: "s3://b/x?region=url&partSize=6MiB&requestTimeout=5s"', 'region: key')),
  );
  assert.ok(destination.type === 's3');
  assert.equal(destination.region, 'key');
  assert.equal(destination.partSizeBytes, 6 * 2 ** 20);
  assert.equal(destination.requestTimeoutMs, 5_000);
});

test('an explicit path style in a URL counts, beside a host that has its own', () => {
  const styleOf = (...lines: string[]): boolean | undefined => {
    const { destination } = firstReplica(parse(withReplica(...lines)));
    return destination.type === 's3' ? destination.forcePathStyle : undefined;
  };
  assert.equal(styleOf('url: s3://b.localhost:9000/x?forcePathStyle=false'), false);
  assert.equal(styleOf('url: s3://b/x?endpoint=http://h&forcePathStyle=false'), false);
  assert.equal(styleOf('url: s3://b/x?endpoint=http://h'), true);
  assert.equal(styleOf('url: s3://b/x?endpoint=https://t3.storage.dev'), false);
});

test('what is unknown, repeated or of the wrong kind is an error that repeats no value', () => {
  assert.match(problem('s3://b/x?forcePathStile=1'), /did you mean `force-path-style`\?/);
  assert.match(problem('s3://b/x?secret=hunter2'), /unknown parameter/);
  assert.match(problem('s3://b/x?region=a&region=b'), /`region` twice/);
  assert.match(problem('s3://b/x?partSize=5MB'), /`part-size` must be 5MiB or more/);
  assert.match(problem('s3://b/x?skipVerify=perhaps'), /`skip-verify` expected true or false/);
  assert.match(problem('s3://b/x?access-key-id=A'), /unknown parameter/);
  assert.match(problem('s3://b/x#y'), /%23/);
  for (const url of [
    'sftp://u:pa?hunter2@h/x',
    'sftp://u:pa#hunter2@h/x',
    's3://b/x?hunter2',
    's3://b/x?hunter2=hunter2',
  ]) {
    assert.ok(!problem(url).includes('hunter2'), problem(url));
  }
});

test('no parameter is a secret, except the customer key that Litestream v0.5 has there', () => {
  const secrets = Object.values<KeySpec>(REPLICA_KEYS).filter(({ inUrl, secret }) => inUrl && secret);
  assert.deepEqual(
    secrets.map(({ key }) => key),
    ['sse-customer-key'],
  );
});

test('access-point ARNs are buckets', () => {
  const arn = 'arn:aws:s3:eu-west-1:123456789012:accesspoint/my-point';
  assert.deepEqual(parseReplicaUrl(`s3://${arn}/a/b`), { type: 's3', bucket: arn, path: 'a/b' });
  assert.deepEqual(parseReplicaUrl(`s3://${arn}`), { type: 's3', bucket: arn, path: '' });
  for (const lines of [[`url: s3://${arn}/x`], ['type: s3', `bucket: ${arn}`, 'path: x']]) {
    const { destination } = firstReplica(parse(withReplica(...lines)));
    assert.ok(destination.type === 's3');
    assert.deepEqual(
      [destination.bucket, destination.region, destination.endpoint, destination.forcePathStyle],
      [arn, 'eu-west-1', undefined, false],
    );
  }
  assert.match(problem('s3://arn:aws:sqs:eu-west-1:123456789012:queue/x'), /names no access point/);
});

test('keys in a URL are refused and not repeated', () => {
  const urls = [
    's3://AKIAHUNTER2:hunter2@bucket/x',
    's3://AKIAHUNTER2:hun/hunter2@bucket/x',
    's3://AKIAHUNTER2@bucket/x',
    's3://AKIAHUNTER2:hunter2',
    'gcs://hunter2@bucket/x',
    'abs://account:hunter2@container/x',
  ];
  for (const url of urls) {
    for (const text of [problem(url), problemsOf(withReplica(`url: "${url}"`)).join()]) {
      assert.match(text, /must not hold/);
      assert.ok(!/hunter2/i.test(text), text);
    }
  }
  for (const endpoint of ['https://AKIA:hunter2@host', 'AKIA:hunter2@host']) {
    const problems = problemsOf(withReplica('url: s3://b/x', `endpoint: ${endpoint}`));
    assert.ok(problems.length > 0 && !problems.join().includes('hunter2'), problems.join());
  }
});

test('a server without a bucket in its name has it in the path', () => {
  const urls: Record<string, readonly [string, string, string | undefined]> = {
    's3://localhost:9000/bkt/a/b': ['bkt', 'a/b', 'http://localhost:9000'],
    's3://127.0.0.1:9000/bkt': ['bkt', '', 'http://127.0.0.1:9000'],
    's3://192.168.1.5/bkt/x': ['bkt', 'x', 'http://192.168.1.5'],
    's3://[::1]:9000/bkt/x': ['bkt', 'x', 'http://[::1]:9000'],
    's3://minio:9000/bkt/x': ['bkt', 'x', 'http://minio:9000'],
    's3://bkt.minio:9000/x': ['bkt', 'x', 'http://minio:9000'],
    's3://bkt.127.0.0.1:9000/x': ['bkt', 'x', 'http://127.0.0.1:9000'],
    's3://bkt.minio.example.com:443/x': ['bkt', 'x', 'https://minio.example.com:443'],
    's3://s3.example.com:9000/bkt/x': ['bkt', 'x', 'http://s3.example.com:9000'],
    's3://s3.eu-west-1.amazonaws.com/bkt/x': ['bkt', 'x', undefined],
    's3://s3.us-west-000.backblazeb2.com/bkt/x': ['bkt', 'x', 'https://s3.us-west-000.backblazeb2.com'],
    's3://bkt/x': ['bkt', 'x', undefined],
  };
  for (const [url, expected] of Object.entries(urls)) {
    const { bucket, path, endpoint } = parseReplicaUrl(url) as ReplicaUrl;
    assert.deepEqual([bucket, path, endpoint], expected, url);
  }
});

test('later services are known by their host', () => {
  const account = '0123456789abcdef0123456789abcdef';
  const hosts: Record<string, readonly [string | undefined, string, boolean]> = {
    'b.s3.eu-central-1.wasabisys.com': ['eu-central-1', 'https://s3.eu-central-1.wasabisys.com', true],
    'b.s3.wasabisys.com': ['us-east-1', 'https://s3.wasabisys.com', true],
    [`b.${account}.r2.cloudflarestorage.com`]: ['auto', `https://${account}.r2.cloudflarestorage.com`, true],
    [`${account}.eu.r2.cloudflarestorage.com/b`]: [
      'auto',
      `https://${account}.eu.r2.cloudflarestorage.com`,
      true,
    ],
    'b.fly.storage.tigris.dev': ['auto', 'https://fly.storage.tigris.dev', false],
    'b.t3.storage.dev': ['auto', 'https://t3.storage.dev', false],
    'b.fsn1.your-objectstorage.com': ['fsn1', 'https://fsn1.your-objectstorage.com', true],
  };
  for (const [host, expected] of Object.entries(hosts)) {
    const { bucket, region, endpoint, forcePathStyle } = parseReplicaUrl(`s3://${host}`) as ReplicaUrl;
    assert.deepEqual([bucket, region, endpoint, forcePathStyle], ['b', ...expected], host);
  }
});

test('the region of a provider is known from its endpoint, too', () => {
  const regionOf = (endpoint: string, environment: NodeJS.ProcessEnv = {}): string | undefined => {
    const lines = endpoint === '' ? [] : [`endpoint: ${endpoint}`];
    const { destination } = firstReplica(parse(withReplica('url: s3://b/x', ...lines), environment));
    return destination.type === 's3' ? `${destination.region} ${destination.endpoint}` : undefined;
  };
  assert.equal(
    regionOf('s3.us-west-000.backblazeb2.com'),
    'us-west-000 https://s3.us-west-000.backblazeb2.com',
  );
  assert.equal(regionOf('http://minio:9000/'), 'us-east-1 http://minio:9000/');
  assert.equal(regionOf('', { LITESTREAM_S3_ENDPOINT: 'http://m:1' }), 'us-east-1 http://m:1');
  assert.equal(regionOf('http://n:2', { LITESTREAM_S3_ENDPOINT: 'http://m:1' }), 'us-east-1 http://n:2');
});
