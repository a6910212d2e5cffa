/** `rivulet check` of an S3 destination, as people see it, against Ceph's gateway. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { ListObjectsV2Command, PutBucketPolicyCommand } from '@aws-sdk/client-s3';
import { run } from '../compat/support/tools.ts';
import { CEPH_KEYS, startCephRgw, whyNoCeph } from '../support/ceph-rgw.ts';
import type { CephRgw } from '../support/ceph-rgw.ts';
import { fixedKeys, openS3 } from '../support/s3-store.ts';
import { Scratch } from '../support/scratch.ts';
import { gather } from '../storage/conformance.ts';
import type { AwsKeys } from '../../src/storage/aws-keys.ts';

/** In seconds, says the command's help. */
const SECONDS_MAX = 8;

interface Answer {
  readonly code: number | null;
  /** By step. */
  readonly steps: Readonly<Record<string, { verdict: string; detail: string; code?: string; hint?: string }>>;
  readonly text: string;
}

function environmentOf(keys: AwsKeys): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    AWS_SESSION_TOKEN: keys.sessionToken ?? '',
  };
}

async function check(url: string, keys: AwsKeys): Promise<Answer> {
  const startedMs = performance.now();
  const { code, out, err } = await run('rivulet', ['check', '-json', url], { env: environmentOf(keys) });
  const seconds = (performance.now() - startedMs) / 1_000;
  assert.ok(seconds < SECONDS_MAX, `it took ${seconds} s\n${out}`);
  for (const secret of [keys.secretAccessKey, keys.sessionToken]) {
    if (secret !== undefined) assert.ok(!(out + err).includes(secret), 'a secret is shown');
  }
  const { findings } = JSON.parse(out) as { findings: { step: string; verdict: string; detail: string }[] };
  return { code, steps: Object.fromEntries(findings.map((one) => [one.step, one])), text: out };
}

function verdictsOf({ steps }: Answer): Record<string, string> {
  return Object.fromEntries(Object.entries(steps).map(([step, { verdict }]) => [step, verdict]));
}

const ALL_WELL = {
  credentials: 'ok',
  list: 'ok',
  'missing object': 'ok',
  write: 'ok',
  read: 'ok',
  'conditional write': 'ok',
  clock: 'ok',
  delete: 'ok',
};

describe('check on Ceph', { skip: whyNoCeph() ?? false }, () => {
  let ceph: CephRgw;
  const urlOf = (bucket: string): string => `s3://${bucket}/db?endpoint=${ceph.endpoint}`;
  before(async () => {
    ceph = await startCephRgw();
    for (const bucket of ['well', 'keeps']) await ceph.createBucket(bucket);
  });
  after(async () => {
    await ceph[Symbol.asyncDispose]();
  });

  async function keysIn(bucket: string): Promise<string[]> {
    const client = ceph.client();
    try {
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
      return Contents.map(({ Key = '' }) => Key);
    } finally {
      client.destroy();
    }
  }

  it('good keys: everything will work, and nothing is left', async () => {
    const answer = await check(urlOf('well'), CEPH_KEYS);
    assert.deepEqual(verdictsOf(answer), ALL_WELL, answer.text);
    assert.equal(answer.code, 0);
    assert.match(answer.steps['credentials']?.detail ?? '', /^from the environment.*; without an end$/);
    assert.deepEqual(await keysIn('well'), []);
  });

  it('temporary keys', async () => {
    const answer = await check(urlOf('well'), await ceph.assumeRole(900));
    assert.deepEqual(verdictsOf(answer), ALL_WELL, answer.text);
    assert.match(answer.steps['credentials']?.detail ?? '', /temporary, and nobody says until when$/);
  });

  it('wrong keys: denied, with what to look at', async () => {
    const answer = await check(urlOf('well'), { ...CEPH_KEYS, secretAccessKey: 'hunter2hunter2' });
    assert.equal(answer.code, 1);
    assert.equal(answer.steps['list']?.code, 'STORAGE_DENIED', answer.text);
    assert.equal(answer.steps['write']?.code, 'STORAGE_DENIED');
    assert.equal(answer.steps['read']?.verdict, 'skipped');
    assert.ok((answer.steps['list']?.hint ?? '') !== '', answer.text);
  });

  it('keys that have expired: denied', async () => {
    const keys = await ceph.assumeRole(1);
    await sleep(2_500);
    const answer = await check(urlOf('well'), keys);
    assert.equal(answer.code, 1);
    assert.equal(answer.steps['list']?.code, 'STORAGE_DENIED', answer.text);
  });

  it('no keys at all: says what was tried, once', async () => {
    const env = { AWS_EC2_METADATA_DISABLED: 'true', HOME: '/nonexistent', AWS_ACCESS_KEY_ID: '' };
    const { code, out } = await run('rivulet', ['check', urlOf('well')], { env });
    assert.equal(code, 1);
    assert.match(out, /FAILED {3}credentials: .*\[CREDENTIALS_FAILED\]/);
    assert.doesNotMatch(out, /list:/);
  });

  it('a bucket that is not there', async () => {
    const answer = await check(urlOf('nowhere'), CEPH_KEYS);
    assert.equal(answer.code, 1);
    assert.equal(answer.steps['list']?.verdict, 'failed');
    assert.match(answer.steps['list']?.detail ?? '', /nowhere/);
    assert.match(answer.text, /bucket/i);
  });

  it('a server that is not there', async () => {
    const answer = await check('s3://well/db?endpoint=http://127.0.0.1:9', CEPH_KEYS);
    assert.equal(answer.code, 1);
    assert.match(answer.steps['list']?.detail ?? '', /127\.0\.0\.1:9|ECONNREFUSED/);
  });

  it('the policy that it prints, as that of a bucket: everything will work, and retention removes', async () => {
    const keys = await ceph.createUser('least');
    const url = urlOf('least');
    await ceph.createBucket('least');
    const { out } = await run('rivulet', ['check', '-iam-policy', url], { env: environmentOf(keys) });
    const { Version, Statement } = JSON.parse(out) as { Version: string; Statement: object[] };
    const Principal = { AWS: ['arn:aws:iam:::user/least'] };
    const Policy = JSON.stringify({ Version, Statement: Statement.map((one) => ({ ...one, Principal })) });
    const client = ceph.client();
    try {
      await client.send(new PutBucketPolicyCommand({ Bucket: 'least', Policy }));
    } finally {
      client.destroy();
    }
    const answer = await check(url, keys);
    assert.deepEqual(verdictsOf(answer), ALL_WELL, answer.text);
    assert.equal(answer.code, 0);
    assert.deepEqual(await keysIn('least'), []);
    using directory = new Scratch();
    const path = join(directory.path, 'app.db');
    const database = new DatabaseSync(path);
    database.exec('PRAGMA journal_mode = wal; CREATE TABLE t(x); INSERT INTO t VALUES (1)');
    database.close();
    const once = ['replicate', '-once', path, url];
    const stored = await run('rivulet', once, { env: environmentOf(keys) });
    assert.equal(stored.code, 0, stored.err);
    const output = join(directory.path, 'restored.db');
    const restored = await run('rivulet', ['restore', '-o', output, url], { env: environmentOf(keys) });
    assert.equal(restored.code, 0, restored.err);
    await using opened = openS3({
      endpoint: ceph.endpoint,
      bucket: 'least',
      path: 'db',
      keys: fixedKeys(keys),
    });
    const held = (await gather(opened.store.list(''))).map(({ key }) => key);
    assert.ok(held.length > 1, held.join());
    await opened.store.remove(held);
    assert.deepEqual(await keysIn('least'), []);
  });

  it('no permission to delete: only that fails, and it says which object is left', async () => {
    const client = ceph.client();
    const Policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Deny',
          Principal: '*',
          Action: ['s3:DeleteObject'],
          Resource: ['arn:aws:s3:::keeps/*'],
        },
      ],
    });
    try {
      await client.send(new PutBucketPolicyCommand({ Bucket: 'keeps', Policy }));
    } finally {
      client.destroy();
    }
    const answer = await check(urlOf('keeps'), CEPH_KEYS);
    assert.equal(answer.code, 1);
    assert.deepEqual(verdictsOf(answer), { ...ALL_WELL, delete: 'failed' }, answer.text);
    assert.equal(answer.steps['delete']?.code, 'STORAGE_DENIED');
    assert.equal((await keysIn('keeps')).length > 0, true);
  });
});
