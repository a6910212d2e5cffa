/** Sources that ask an endpoint, against servers on loopback that answer as the documentation of AWS says. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { text } from 'node:stream/consumers';

import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { openSource } from '../../src/credentials/open.ts';
import type { CredentialSettings } from '../../src/credentials/settings.ts';
import type { AwsKeys } from '../../src/storage/aws-keys.ts';
import { Scratch } from '../support/scratch.ts';
import { failureOf, startEndpoint } from './support.ts';

const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const EXPIRATION = '2099-06-01T12:00:00Z';
const KEYS: AwsKeys = {
  accessKeyId: 'ASIA',
  secretAccessKey: SECRET,
  sessionToken: 'token',
  expiresAtMs: Date.parse(EXPIRATION),
};
const METADATA = { AccessKeyId: 'ASIA', SecretAccessKey: SECRET, Token: 'token', Expiration: EXPIRATION };
/** No file of the machine that runs the test. */
const NO_FILES = {
  AWS_SHARED_CREDENTIALS_FILE: '/nonexistent/c',
  AWS_CONFIG_FILE: '/nonexistent/f',
  HOME: '/nonexistent',
};

async function fetchKeys(
  settings: CredentialSettings,
  environment: NodeJS.ProcessEnv = {},
): Promise<AwsKeys> {
  const source = openSource(settings, {
    clock: systemClock,
    logger: silentLogger,
    environment: { ...NO_FILES, ...environment },
  });
  return source.fetch(new AbortController().signal);
}

/** The instance metadata service, version 2 only. */
const imds: RequestListener = (request, response) => {
  const { method, url, headers } = request;
  if (url === '/latest/api/token' && method === 'PUT') {
    response.end(headers['x-aws-ec2-metadata-token-ttl-seconds'] === undefined ? '' : 'session');
  } else if (headers['x-aws-ec2-metadata-token'] !== 'session') {
    response.writeHead(401).end();
  } else if (url === '/latest/meta-data/iam/security-credentials/') {
    response.end('backup-role\n');
  } else if (url === '/latest/meta-data/iam/security-credentials/backup-role') {
    response.end(JSON.stringify({ Code: 'Success', Type: 'AWS-HMAC', ...METADATA }));
  } else {
    response.writeHead(404).end();
  }
};

test('instance metadata: token, role, keys', async () => {
  await using endpoint = await startEndpoint(imds);
  assert.deepEqual(await fetchKeys({ source: 'instance', endpoint: endpoint.url }), KEYS);
  const environment = { AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint.url };
  assert.deepEqual(await fetchKeys({ source: 'instance' }, environment), KEYS);
});

test('instance metadata: no role, an error inside, and a machine that has none', async () => {
  await using bare = await startEndpoint((request, response) => {
    if (request.method === 'PUT') response.end('session');
    else response.writeHead(404).end();
  });
  const noRole = await failureOf(fetchKeys({ source: 'instance', endpoint: bare.url }));
  assert.match(noRole.message, /no role is attached to this instance/);
  await using failing = await startEndpoint((request, response) =>
    response.end(request.url?.endsWith('-credentials/') === true ? 'r' : JSON.stringify({ Code: 'Failed' })),
  );
  const code = await failureOf(fetchKeys({ source: 'instance', endpoint: failing.url }));
  assert.match(code.message, /it answered with the code Failed/);
  await using silent = await startEndpoint(() => undefined);
  const startedMs = performance.now();
  const late = await failureOf(fetchKeys({ source: 'instance', endpoint: silent.url, timeoutMs: 150 }));
  assert.match(late.message, /no answer within 0\.15 s/);
  assert.ok(performance.now() - startedMs < 1_000);
});

const container: RequestListener = (request, response) => {
  if (request.headers.authorization === 'pod-token') response.end(JSON.stringify(METADATA));
  else response.writeHead(401).end(JSON.stringify({ message: `no ${SECRET}` }));
};

test('container endpoint: the token file is read each time', async () => {
  await using endpoint = await startEndpoint(container);
  using scratch = new Scratch();
  const tokenFile = scratch.file('token');
  const environment = {
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${endpoint.url}/v1/credentials`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile,
  };
  writeFileSync(tokenFile, 'old-token\n');
  const refused = await failureOf(fetchKeys({ source: 'container' }, environment));
  assert.match(refused.message, /status 401: no \[hidden\]$/);
  writeFileSync(tokenFile, 'pod-token\n');
  assert.deepEqual(await fetchKeys({ source: 'container' }, environment), KEYS);
  assert.equal(endpoint.requests[1]?.url, '/v1/credentials');
});

test('container endpoint: a token is never sent in the clear to another machine', async () => {
  const url = 'http://example.com/creds';
  assert.match((await failureOf(fetchKeys({ source: 'container', url }))).message, /neither https nor/);
  assert.match((await failureOf(fetchKeys({ source: 'container' }))).message, /neither AWS_CONTAINER_/);
});

/** STS, as far as roles go. */
function sts(asked: URLSearchParams[]): RequestListener {
  const answer = async (...[request, response]: Parameters<RequestListener>): Promise<void> => {
    const query = new URLSearchParams(await text(request));
    asked.push(query);
    const action = query.get('Action') ?? '';
    if (query.get('WebIdentityToken') === 'expired') {
      response.writeHead(400, { 'content-type': 'text/xml' });
      response.end(
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>ExpiredTokenException</Code>' +
          '<Message>Token expired</Message></Error><RequestId>1</RequestId></ErrorResponse>',
      );
      return;
    }
    response.writeHead(200, { 'content-type': 'text/xml' });
    response.end(
      `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result><Credentials>` +
        `<AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>${SECRET}</SecretAccessKey><SessionToken>token</SessionToken>` +
        `<Expiration>${EXPIRATION}</Expiration></Credentials></${action}Result></${action}Response>`,
    );
  };
  return (request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  };
}

test('a role, with the keys of another source', async () => {
  const asked: URLSearchParams[] = [];
  await using endpoint = await startEndpoint(sts(asked));
  const keys = await fetchKeys({
    source: 'assume-role',
    roleArn: 'arn:aws:iam::123456789012:role/backup',
    externalId: 'tenant-7',
    durationSeconds: 900,
    endpoint: endpoint.url,
    region: 'eu-central-1',
    base: { source: 'static', accessKeyId: 'AKIA', secretAccessKey: 'base-secret' },
  });
  assert.deepEqual(keys, KEYS);
  const [query] = asked;
  assert.deepEqual(
    ['Action', 'RoleArn', 'ExternalId', 'DurationSeconds', 'RoleSessionName'].map((name) => query?.get(name)),
    ['AssumeRole', 'arn:aws:iam::123456789012:role/backup', 'tenant-7', '900', 'rivulet'],
  );
  assert.match(endpoint.requests[0]?.headers.authorization ?? '', /Credential=AKIA\/\d+\/eu-central-1\/sts/);
});

test('web identity: the token file is read each time', async () => {
  const asked: URLSearchParams[] = [];
  await using endpoint = await startEndpoint(sts(asked));
  using scratch = new Scratch();
  const settings = { source: 'web-identity', endpoint: endpoint.url } as const;
  const environment = {
    AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/pod',
    AWS_WEB_IDENTITY_TOKEN_FILE: scratch.file('token'),
    AWS_REGION: 'eu-west-1',
  };
  writeFileSync(scratch.file('token'), 'expired\n');
  const error = await failureOf(fetchKeys(settings, environment));
  assert.match(
    error.message,
    /web identity arn:.*role\/pod: ExpiredTokenException: Token expired \(status 400\)/,
  );
  writeFileSync(scratch.file('token'), 'fresh\n');
  assert.deepEqual(await fetchKeys(settings, environment), KEYS);
  assert.equal(asked.at(-1)?.get('WebIdentityToken'), 'fresh');
  assert.equal(asked.at(-1)?.get('RoleSessionName'), 'rivulet');
});

/** The library looks for the session of `aws sso login` in the home folder of this process. */
class SsoHome extends Scratch {
  readonly environment: NodeJS.ProcessEnv = { AWS_CONFIG_FILE: this.file('config') };
  readonly #before = { HOME: process.env['HOME'], AWS_ENDPOINT_URL_SSO: process.env['AWS_ENDPOINT_URL_SSO'] };

  constructor(endpoint: string) {
    super();
    const start = 'https://example.awsapps.com/start';
    writeFileSync(
      this.file('config'),
      `[profile work]\nsso_start_url = ${start}\nsso_region = us-east-1\nsso_account_id = 123456789012\nsso_role_name = backup\n`,
    );
    const cache = join(this.path, '.aws', 'sso', 'cache');
    mkdirSync(cache, { recursive: true });
    this.#session = join(cache, `${createHash('sha1').update(start).digest('hex')}.json`);
    Object.assign(process.env, { HOME: this.path, AWS_ENDPOINT_URL_SSO: endpoint });
  }

  readonly #session: string;

  signIn(expiresAt: string): void {
    writeFileSync(this.#session, JSON.stringify({ accessToken: SECRET, expiresAt }));
  }

  override [Symbol.dispose](): void {
    for (const [name, value] of Object.entries(this.#before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    super[Symbol.dispose]();
  }
}

test('SSO: keys for a session; one that is over says how to begin another', async () => {
  await using portal = await startEndpoint((request, response) => {
    if (request.headers['x-amz-sso_bearer_token'] !== SECRET) response.statusCode = 401;
    response.setHeader('content-type', 'application/json');
    const roleCredentials = {
      accessKeyId: 'ASIA',
      secretAccessKey: SECRET,
      sessionToken: 'token',
      expiration: Date.parse(EXPIRATION),
    };
    response.end(JSON.stringify({ roleCredentials }));
  });
  using home = new SsoHome(portal.url);
  home.signIn('2099-01-01T00:00:00Z');
  assert.deepEqual(await fetchKeys({ source: 'sso', profile: 'work' }, home.environment), KEYS);
  assert.deepEqual(await fetchKeys({ source: 'profile', profile: 'work' }, home.environment), KEYS);
  assert.match(portal.requests[0]?.url ?? '', /role_name=backup/);
  home.signIn('2001-01-01T00:00:00Z');
  const error = await failureOf(fetchKeys({ source: 'sso', profile: 'work' }, home.environment));
  assert.match(error.message, /no credentials from the SSO profile work: .*expired/);
  assert.match(error.hint ?? '', /aws sso login --profile work/);
  assert.ok(!error.message.includes(SECRET));
});

test('auto: the first that is set up, in the usual order', async () => {
  await using metadata = await startEndpoint(imds);
  await using pod = await startEndpoint(container);
  const instance = { AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url };
  const inContainer = {
    AWS_CONTAINER_CREDENTIALS_FULL_URI: pod.url,
    AWS_CONTAINER_AUTHORIZATION_TOKEN: 'pod-token',
  };
  using scratch = new Scratch();
  writeFileSync(
    scratch.file('credentials'),
    '[default]\naws_access_key_id = file\naws_secret_access_key = s\n',
  );
  const files = { AWS_SHARED_CREDENTIALS_FILE: scratch.file('credentials') };
  const variables = { AWS_ACCESS_KEY_ID: 'variable', AWS_SECRET_ACCESS_KEY: 's' };
  const idOf = async (environment: NodeJS.ProcessEnv): Promise<string> =>
    (await fetchKeys({ source: 'auto' }, environment)).accessKeyId;
  assert.equal(await idOf({ ...instance, ...inContainer, ...files, ...variables }), 'variable');
  assert.equal(await idOf({ ...instance, ...inContainer, ...files }), 'file');
  assert.equal(metadata.requests.length, 0);
  assert.equal(await idOf({ ...instance, ...inContainer }), 'ASIA');
  assert.equal(metadata.requests.length, 0);
  assert.equal(await idOf(instance), 'ASIA');
});

test('auto: one that is set up and fails is not passed over, since the next is another identity', async () => {
  await using metadata = await startEndpoint(imds);
  const environment = {
    AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url,
    AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:1/',
  };
  const error = await failureOf(fetchKeys({ source: 'auto' }, environment));
  assert.match(error.message, /container's endpoint 127\.0\.0\.1:1: nobody listens there/);
  assert.equal(metadata.requests.length, 0);
  const profile = await failureOf(fetchKeys({ source: 'auto' }, { ...environment, AWS_PROFILE: 'nope' }));
  assert.match(profile.message, /there is no such profile/);
});

test('auto: nothing anywhere lists what was tried', async () => {
  const error = await failureOf(fetchKeys({ source: 'auto' }, { AWS_EC2_METADATA_DISABLED: 'true' }));
  assert.match(
    error.message,
    /tried: environment \(AWS_ACCESS_KEY_ID is not set\), shared files \(.*\), web identity \(.*\), container \(.*\), instance metadata \(AWS_EC2_METADATA_DISABLED is set\)$/,
  );
  const down = { AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1' };
  assert.match(
    (await failureOf(fetchKeys({ source: 'auto' }, down))).message,
    /instance metadata \(nobody listens/,
  );
});
