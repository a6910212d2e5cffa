import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PART_BYTES_MAX, resolveProfile } from '../../../src/storage/s3/options.ts';
import type { S3Profile, S3StoreOptions } from '../../../src/storage/s3/options.ts';
import { partSizeAt } from '../../../src/storage/s3/part-sizes.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { fixedKeys, quickRetrier } from '../../support/s3-store.ts';

const MIB = 1024 * 1024;

function profile(options: Partial<S3StoreOptions>): S3Profile {
  return resolveProfile({
    bucket: 'bucket',
    keys: fixedKeys({ accessKeyId: 'a', secretAccessKey: 's' }),
    tools: { clock: systemClock, logger: silentLogger, onRequest: () => undefined, retrier: quickRetrier },
    ...options,
  });
}

describe('S3 options', () => {
  it('says where things are, without secrets', () => {
    assert.equal(profile({}).location, 's3://bucket');
    assert.equal(profile({ path: '/a/b/' }).location, 's3://bucket/a/b');
    assert.equal(
      profile({ path: 'a', endpoint: 'https://host:9000' }).location,
      's3://bucket/a at host:9000',
    );
    assert.equal(profile({ path: '/a/b/' }).prefix, 'a/b/');
    assert.equal(profile({}).prefix, '');
  });

  const services: readonly [string, Partial<S3Profile>, string][] = [
    [
      'https://s3.us-west-002.backblazeb2.com',
      { region: 'us-west-002', conditions: 'none', forcePathStyle: true },
      'Backblaze B2',
    ],
    ['https://account.r2.cloudflarestorage.com', { region: 'auto', concurrency: 2 }, 'Cloudflare R2'],
    ['https://fly.storage.tigris.dev', { region: 'auto', contentMd5: false }, 'Tigris'],
    ['https://fra1.digitaloceanspaces.com', { forcePathStyle: false }, 'DigitalOcean Spaces'],
    ['https://s3.fr-par.scw.cloud', { region: 'fr-par' }, 'Scaleway'],
    ['https://us-east-1.linodeobjects.com', { region: 'us-east-1' }, 'Linode'],
    ['https://fsn1.your-objectstorage.com', { region: 'fsn1' }, 'Hetzner'],
    ['https://s3.eu-central-1.wasabisys.com', { region: 'eu-central-1' }, 'Wasabi'],
    ['https://s3.wasabisys.com', { region: 'us-east-1' }, 'Wasabi'],
    ['https://s3.filebase.com', { region: 'us-east-1' }, 'Filebase'],
    ['https://ref.supabase.co/storage/v1/s3', { forcePathStyle: true }, 'Supabase'],
    ['https://storage.googleapis.com', { conditions: 'none' }, 'Google Cloud Storage (XML)'],
    ['https://gateway.storjshare.io', { region: 'us-east-1' }, 'Storj'],
    ['https://s3.eu-west-3.amazonaws.com', { region: 'eu-west-3', forcePathStyle: false }, 'AWS'],
    ['https://bucket.vpce-1.s3.eu-west-3.vpce.amazonaws.com', { region: 'eu-west-3' }, 'AWS'],
    [
      'http://localhost:9000',
      { region: undefined, forcePathStyle: true, conditions: 'compare-and-swap' },
      'S3-compatible',
    ],
    ['minio.example.com', { forcePathStyle: true }, 'S3-compatible'],
    ['https://s3.us-west-002.backblazeb2.com:8443', { conditions: 'compare-and-swap' }, 'S3-compatible'],
  ];
  for (const [endpoint, expected, name] of services) {
    it(`knows ${endpoint}`, () => {
      const known = profile({ endpoint });
      assert.equal(known.preset.name, name);
      for (const [field, value] of Object.entries(expected))
        assert.deepEqual(known[field as keyof S3Profile], value, field);
    });
  }

  it('lets options win over what is known of a service', () => {
    const given = profile({
      endpoint: 'https://a.r2.cloudflarestorage.com',
      region: 'x',
      concurrency: 7,
      forcePathStyle: false,
    });
    assert.deepEqual([given.region, given.concurrency, given.forcePathStyle], ['x', 7, false]);
  });

  it('refuses what cannot be', () => {
    const key = Buffer.alloc(32, 1).toString('base64');
    const wrong: Partial<S3StoreOptions>[] = [
      { partSizeBytes: 5 * MIB - 1 },
      { partSizeBytes: PART_BYTES_MAX + 1 },
      { endpoint: 'http://' },
      { sseCustomerKey: 'short' },
      { sseCustomerKey: key, sseCustomerAlgorithm: 'AES128' },
      { sseCustomerKey: key, sseKmsKeyId: 'k' },
      { sseCustomerKey: key, endpoint: 'http://s3.example.com' },
      { sseCustomerKey: key, endpoint: 'http://8.8.8.8:9000' },
    ];
    for (const options of wrong)
      assert.throws(() => profile(options), { code: 'CONFIG_INVALID' }, JSON.stringify(options));
    for (const endpoint of ['http://10.1.2.3:9000', 'http://[::1]:9000', 'https://s3.example.com', undefined])
      assert.equal(profile({ sseCustomerKey: key, endpoint }).customerKey['SSECustomerAlgorithm'], 'AES256');
  });
});

describe('sizes of parts', () => {
  const whole = (firstBytes: number, maxParts: number, equal = false): number => {
    let bytes = 0;
    for (let i = 0; i < maxParts; i++) bytes += partSizeAt(i, firstBytes, maxParts, equal);
    return bytes;
  };

  it('reach the largest object that there can be', () => {
    assert.ok(whole(8 * MIB, 10_000) >= 5 * 1024 * 1024 * MIB);
    assert.ok(whole(5 * MIB, 10_000) >= 4.5 * 1024 * 1024 * MIB);
    assert.ok(whole(8 * MIB, 1_000) >= 600 * 1024 * MIB);
  });

  it('never shrink, and stay what they are for the first half', () => {
    for (let i = 1; i < 10_000; i++) {
      const size = partSizeAt(i, 8 * MIB, 10_000, false);
      assert.ok(size >= partSizeAt(i - 1, 8 * MIB, 10_000, false));
      assert.ok(size <= PART_BYTES_MAX);
      if (i < 5_000) assert.equal(size, 8 * MIB);
    }
  });

  it('are equal where they have to be', () => {
    assert.equal(whole(8 * MIB, 10_000, true), 80_000 * MIB);
  });
});
