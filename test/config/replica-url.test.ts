import assert from 'node:assert/strict';
import { test } from 'node:test';

import { formatReplicaUrl, isUrl, parseReplicaUrl } from '../../src/config/replica-url.ts';
import { restoreUrl } from '../../src/config/restore-url.ts';
import { parseS3Host } from '../../src/config/s3-host.ts';
import type { S3Destination } from '../../src/config/settings.ts';
import { firstReplica, parse, withReplica } from './support.ts';

test('a URL is what begins with word characters and ://', () => {
  for (const text of ['file:///a', 's3://b', 'x_1://', 'FILE:///a']) assert.ok(isUrl(text), text);
  for (const text of ['/a', 'C:\\a', 'C:/a', 'a.db', 'file:/a', '://a', 'a b://c', 'é://x', '']) {
    assert.ok(!isUrl(text), text);
  }
});

test('file URLs become the directories that v0.3.13 uses', () => {
  const directories: Record<string, string> = {
    'file:///abs': '/abs',
    'FILE:///abs/': '/abs',
    'file://rel/p': '/rel/p',
    'file:///a b': '/a%20b',
    'file:///c%20d': '/c%20d',
    'file:///ä(1)!': '/%C3%A4%281%29%21',
    'file:///p[1](2)': '/p[1](2)',
    'file:///q?x=1#y': '/q?x=1#y',
    'file:///e/../f//g/': '/f/g',
    'file:///~/x': '/~/x',
    'file:////a': '/a',
    'file:///100%/x': '/100%/x',
    'file://': '/',
  };
  for (const [url, path] of Object.entries(directories)) {
    assert.deepEqual(parseReplicaUrl(url), { type: 'file', path }, url);
  }
});

test('the host of an s3 URL tells the service', () => {
  const hosts: Record<
    string,
    readonly [string | undefined, string | undefined, string | undefined, boolean]
  > = {
    bkt: ['bkt', undefined, undefined, false],
    'my.bucket.example': ['my.bucket.example', undefined, undefined, false],
    localhost: [undefined, 'us-east-1', 'http://localhost', true],
    'b.localhost:9000': ['b', 'us-east-1', 'http://localhost:9000', true],
    'b.s3.us-west-000.backblazeb2.com': ['b', 'us-west-000', 'https://s3.us-west-000.backblazeb2.com', true],
    's3.us-west-000.backblazeb2.com': [
      undefined,
      'us-west-000',
      'https://s3.us-west-000.backblazeb2.com',
      true,
    ],
    'b.s3.filebase.com': ['b', undefined, 'https://s3.filebase.com', true],
    'b.nyc3.digitaloceanspaces.com': ['b', 'nyc3', 'https://nyc3.digitaloceanspaces.com', true],
    'a.b.nyc3.digitaloceanspaces.com': ['a.b', 'nyc3', 'https://nyc3.digitaloceanspaces.com', true],
    'b.s3.fr-par.scw.cloud': ['b', 'fr-par', 'https://s3.fr-par.scw.cloud', true],
    'b.us-east-1.linodeobjects.com:8443': [
      'b',
      'us-east-1',
      'https://us-east-1.linodeobjects.com:8443',
      true,
    ],
    'b.s3.eu-west-1.amazonaws.com': ['b', 'eu-west-1', undefined, false],
    'b.s3.amazonaws.com': ['b', undefined, undefined, false],
    '': [undefined, undefined, undefined, false],
  };
  for (const [host, [bucket, region, endpoint, forcePathStyle]] of Object.entries(hosts)) {
    assert.deepEqual(parseS3Host(host), { bucket, region, endpoint, forcePathStyle }, host);
  }
});

test('bucket and server URLs are taken apart', () => {
  assert.deepEqual(parseReplicaUrl('gcs://b/x/y/'), { type: 'gcs', path: 'x/y', bucket: 'b' });
  assert.deepEqual(parseReplicaUrl('abs://acc@con/x%20y'), {
    type: 'abs',
    path: 'x y',
    bucket: 'con',
    accountName: 'acc',
  });
  assert.deepEqual(parseReplicaUrl('sftp://u:p%40ss:w@h:2222/data/x'), {
    type: 'sftp',
    path: '/data/x',
    host: 'h:2222',
    user: 'u',
    password: 'p@ss:w',
  });
  const bare = parseReplicaUrl('s3://bkt');
  assert.ok(!('problem' in bare) && bare.path === '' && bare.bucket === 'bkt');
});

test('says what is wrong with a URL without repeating a password', () => {
  for (const text of ['/a', '', 'file:/a', 'gss://b/x', 'sfpt://u:hunter2@h/x', '://x']) {
    const parsed = parseReplicaUrl(text);
    assert.ok('problem' in parsed, text);
    assert.ok(!parsed.problem.includes('hunter2'));
  }
  const gs = parseReplicaUrl('gss://b/x');
  assert.match('problem' in gs ? gs.problem : '', /did you mean `gcs:\/\/`\?$/);
});

test('a destination is shown as a URL without secrets', () => {
  const urls: Record<string, string> = {
    'file:///a/b': 'file:///a/b',
    's3://b.localhost:9000/x': 's3://b/x',
    'gcs://b': 'gcs://b',
    'abs://acc@con/x': 'abs://acc@con/x',
    'sftp://u:hunter2@h:22/data': 'sftp://u@h:22/data',
  };
  for (const [url, shown] of Object.entries(urls)) {
    assert.equal(formatReplicaUrl(firstReplica(parse(withReplica(`url: ${url}`))).destination), shown);
  }
});

/** Without what is not given. */
function given(section: object): object {
  return Object.fromEntries(Object.entries(section).filter(([, value]) => value !== undefined));
}

function s3(...lines: string[]): S3Destination {
  const { destination } = firstReplica(parse(withReplica(...lines)));
  assert.ok(destination.type === 's3');
  return destination;
}

test('s3 settings: keys, URL and endpoint together', () => {
  const own = s3('type: s3', 'bucket: b', 'path: /p/', 'endpoint: minio:9000', 'skip-verify: true');
  assert.deepEqual(given(own), {
    type: 's3',
    bucket: 'b',
    path: 'p',
    endpoint: 'https://minio:9000',
    region: 'us-east-1',
    forcePathStyle: true,
    skipVerify: true,
    maxConcurrentRequests: 16,
    bandwidthLimitBytes: 0,
    onAuthFailure: 'retry',
  });
  assert.equal(
    s3('type: s3', 'bucket: b', 'endpoint: http://m', 'force-path-style: false').forcePathStyle,
    false,
  );
  assert.equal(s3('url: s3://b/x', 'force-path-style: true').forcePathStyle, true);
  assert.equal(s3('url: s3://b.localhost/x', 'force-path-style: false').forcePathStyle, true);
  assert.equal(s3('url: s3://b/x').region, undefined);
  assert.equal(s3('url: s3://b.nyc3.digitaloceanspaces.com/x', 'region: other').region, 'other');
});

test('s3 credentials: the replica, then the file, then the environment', () => {
  const text = [
    'access-key-id: TOP',
    'secret-access-key: TOPSECRET',
    'dbs:',
    '  - path: /a',
    '    replicas:',
    '      - {name: own, url: "s3://b/1", access-key-id: OWN, secret-access-key: OWNSECRET}',
    '      - {name: shared, url: "s3://b/2"}',
  ].join('\n');
  const keys = parse(text).config.databases[0]?.replicas.map(({ destination }) =>
    destination.type === 's3' ? [destination.accessKeyId, destination.secretAccessKey] : [],
  );
  assert.deepEqual(keys, [
    ['OWN', 'OWNSECRET'],
    ['TOP', 'TOPSECRET'],
  ]);
});

test('Litestream’s variables give credentials unless AWS’s are set', () => {
  const litestream = { LITESTREAM_ACCESS_KEY_ID: 'L', LITESTREAM_SECRET_ACCESS_KEY: 'S' };
  const read = (environment: NodeJS.ProcessEnv): unknown => {
    const { destination } = firstReplica(parse(withReplica('url: s3://b/x'), environment));
    return destination.type === 's3' && [destination.accessKeyId, destination.secretAccessKey];
  };
  assert.deepEqual(read(litestream), ['L', 'S']);
  assert.deepEqual(read({ ...litestream, AWS_ACCESS_KEY_ID: 'A' }), [undefined, undefined]);
  const azure = parse(withReplica('url: abs://a@c/x'), { LITESTREAM_AZURE_ACCOUNT_KEY: 'K' });
  const { destination } = firstReplica(azure);
  assert.equal(destination.type === 'abs' && destination.accountKey, 'K');
});

test('the URL to restore from leads to the same service', () => {
  for (const url of [
    's3://b.localhost:9000/x',
    's3://b.s3.fr-par.scw.cloud/x/y',
    's3://b.t3.storage.dev/x',
    's3://b/x?endpoint=http://h:1&region=eu&force-path-style=false',
    's3://arn:aws:s3:eu-west-1:123456789012:accesspoint/point/x',
    's3://b/x',
    'gcs://b/x?endpoint=http://h:1',
    'abs://a@c/x?endpoint=http://127.0.0.1:10000/a',
    'sftp://u@h:22/x',
    'file:///r',
  ]) {
    const { destination } = firstReplica(parse(withReplica(`url: "${url}"`)));
    const again = firstReplica(parse(withReplica(`url: "${restoreUrl(destination)}"`)));
    assert.deepEqual(again.destination, destination, restoreUrl(destination));
  }
});
