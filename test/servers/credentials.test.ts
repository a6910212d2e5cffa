/** Sources of credentials against the real thing: a key in SoftHSM, and roles that Ceph's STS gives. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { openKeySource } from '../../src/credentials/open.ts';
import type { CredentialSettings, IotSettings } from '../../src/credentials/settings.ts';
import type { AwsKeys } from '../../src/storage/aws-keys.ts';
import { failureOf, startEndpoint } from '../credentials/support.ts';
import type { Endpoint } from '../credentials/support.ts';
import { CEPH_ROLE_ARN, cephAvailable, startCephRgw } from '../support/ceph-rgw.ts';
import type { CephRgw } from '../support/ceph-rgw.ts';
import { makeIdentity } from '../support/certificates.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Scratch } from '../support/scratch.ts';
import { SoftHsm, whyNoSoftHsm } from '../support/softhsm.ts';

const TOOLS = { clock: systemClock, logger: silentLogger };

describe('a device key in an HSM', { skip: whyNoSoftHsm() ?? false }, () => {
  const authority = makeIdentity({ name: 'Test authority' });
  const server = makeIdentity({ name: 'localhost', issuer: authority });
  const device = makeIdentity({ name: 'device-1', issuer: authority });
  let hsm: SoftHsm;
  let endpoint: Endpoint;
  let scratch: Scratch;
  let base: Omit<IotSettings, 'privateKey'>;
  let keyUri: string;

  before(async () => {
    hsm = new SoftHsm();
    keyUri = hsm.import('devkey', device.key);
    endpoint = await startEndpoint(
      (_request, response) =>
        response.end(
          JSON.stringify({
            credentials: {
              accessKeyId: 'ASIA',
              secretAccessKey: 's',
              sessionToken: 't',
              expiration: '2099-01-01T00:00:00Z',
            },
          }),
        ),
      {
        cert: server.certificate,
        key: server.key,
        ca: authority.certificate,
        requestCert: true,
        rejectUnauthorized: true,
      },
    );
    scratch = new Scratch();
    writeFileSync(scratch.file('device.crt'), device.certificate);
    writeFileSync(scratch.file('ca.crt'), authority.certificate);
    writeFileSync(scratch.file('pin'), `${hsm.pin}\n`);
    base = {
      source: 'iot',
      endpoint: `localhost:${endpoint.port}`,
      roleAlias: 'backup',
      certificateFile: scratch.file('device.crt'),
      caFile: scratch.file('ca.crt'),
      pkcs11Module: hsm.module,
    };
  });

  after(async () => {
    await endpoint[Symbol.asyncDispose]();
    hsm[Symbol.dispose]();
    scratch[Symbol.dispose]();
  });

  async function fetch(more: Partial<IotSettings> & { readonly privateKey: string }): Promise<AwsKeys> {
    const environment = { ...process.env, ...hsm.environment };
    await using keeper = openKeySource({ ...base, ...more }, { ...TOOLS, environment });
    return await keeper.current();
  }

  it('opens with the PIN in the URI, in a file that the URI names, and in a PIN file', async () => {
    assert.equal((await fetch({ privateKey: `${keyUri}?pin-value=${hsm.pin}` })).accessKeyId, 'ASIA');
    const pinFile = scratch.file('pin');
    assert.equal((await fetch({ privateKey: `${keyUri}?pin-source=file:${pinFile}` })).accessKeyId, 'ASIA');
    assert.equal((await fetch({ privateKey: keyUri, pinFile })).accessKeyId, 'ASIA');
  });

  const FAILURES: readonly [
    title: string,
    more: () => Partial<IotSettings> & { privateKey: string },
    message: RegExp,
  ][] = [
    ['a wrong PIN', () => ({ privateKey: `${keyUri}?pin-value=86420975` }), /the HSM refused the PIN/],
    ['no PIN', () => ({ privateKey: keyUri }), /asks for a PIN and there is none/],
    [
      'a key that is not there',
      () => ({ privateKey: `pkcs11:token=dev;object=nope;type=private?pin-value=${hsm.pin}` }),
      /has no private key pkcs11:token=dev;object=nope;type=private/,
    ],
    [
      'a token that is not plugged in',
      () => ({ privateKey: `pkcs11:token=other;object=devkey;type=private?pin-value=${hsm.pin}` }),
      /no token that is plugged in is the one of pkcs11:token=other/,
    ],
    [
      'a PKCS#11 library that is not there',
      () => ({ privateKey: `${keyUri}?pin-value=${hsm.pin}`, pkcs11Module: '/nonexistent.so' }),
      /the PKCS#11 library \/nonexistent\.so cannot be loaded/,
    ],
    [
      'an endpoint that is away',
      () => ({ privateKey: `${keyUri}?pin-value=${hsm.pin}`, endpoint: 'localhost:1' }),
      /nobody listens there/,
    ],
    [
      'an endpoint that is not trusted',
      () => ({ privateKey: `${keyUri}?pin-value=${hsm.pin}`, caFile: scratch.file('device.crt') }),
      /its certificate is not trusted here/,
    ],
  ];
  for (const [title, more, message] of FAILURES) {
    it(`says so: ${title}`, async () => {
      const error = await failureOf(fetch(more()));
      assert.match(error.message, message);
      assert.doesNotMatch(JSON.stringify([error, error.message, error.stack, error.hint]), /739164|86420975/);
    });
  }

  it('never tries a refused PIN twice, until it changes', async () => {
    const pinFile = scratch.file('changing-pin');
    writeFileSync(pinFile, '86420975\n');
    const logger = new RecordingLogger();
    const environment = { ...process.env, ...hsm.environment };
    await using keeper = openKeySource(
      { ...base, privateKey: keyUri, pinFile },
      { clock: systemClock, logger, environment },
    );
    assert.match((await failureOf(keeper.current())).message, /the HSM refused the PIN/);
    assert.match((await failureOf(keeper.current())).message, /refused this PIN before/);
    writeFileSync(pinFile, `${hsm.pin}\n`);
    assert.equal((await keeper.current()).accessKeyId, 'ASIA', 'the engine works again after a failure');
    assert.doesNotMatch(JSON.stringify(logger.lines), /739164|86420975/);
  });
});

describe('roles from a real STS', cephAvailable(), () => {
  let ceph: CephRgw;
  before(async () => {
    ceph = await startCephRgw();
  });
  after(async () => {
    await ceph[Symbol.asyncDispose]();
  });

  function role(base: CredentialSettings, durationSeconds: number): CredentialSettings {
    const { endpoint, region } = ceph;
    return { source: 'assume-role', roleArn: CEPH_ROLE_ARN, endpoint, region, durationSeconds, base };
  }

  const LASTING: CredentialSettings = {
    source: 'static',
    accessKeyId: 'testkey',
    secretAccessKey: 'testsecret',
  };

  it('gives keys that the gateway takes, and other ones before they end', async () => {
    const logger = new RecordingLogger();
    await using keeper = openKeySource(role(LASTING, 5), { clock: systemClock, logger });
    const seen = new Set<string>();
    for (const endMs = Date.now() + 7_000; Date.now() < endMs; await sleep(100)) {
      const keys = await keeper.current();
      assert.ok(keys.expiresAtMs! > Date.now());
      seen.add(keys.sessionToken!);
    }
    assert.ok(seen.size >= 3 && seen.size <= 6, `${seen.size} sets of keys in 7 s`);
    assert.deepEqual(new Set(logger.messages()), new Set(['credentials are at hand']));
  });

  it('says what the service said, without the keys that asked', async () => {
    await using keeper = openKeySource(role({ ...LASTING, secretAccessKey: 'not-the-secret' }, 5), TOOLS);
    const error = await failureOf(keeper.current());
    assert.match(
      error.message,
      /no credentials from the role arn:aws:iam:::role\/S3Access: .*\(status 403\)/,
    );
    assert.doesNotMatch(JSON.stringify([error.message, error.stack, error]), /not-the-secret/);
  });

  it('asks with the keys that its own source has now', async () => {
    using scratch = new Scratch();
    const path = scratch.file('base.env');
    writeFileSync(path, 'AWS_ACCESS_KEY_ID=testkey\nAWS_SECRET_ACCESS_KEY=rotated-away\n');
    await using keeper = openKeySource(role({ source: 'env-file', path }, 60), TOOLS);
    await failureOf(keeper.current());
    writeFileSync(path, 'AWS_ACCESS_KEY_ID=testkey\nAWS_SECRET_ACCESS_KEY=testsecret\n');
    await sleep(150);
    assert.ok((await keeper.current()).sessionToken!.length > 0);
  });
});
