/** Tokens from Google's own library, whose requests go to an endpoint of the test. */
import assert from 'node:assert/strict';
import { createVerify, generateKeyPairSync } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { GoogleAuthorization } from '../../../src/storage/gcs/authorization.ts';
import { gather } from '../conformance.ts';
import { failureOf } from '../../support/failure-of.ts';
import { Scratch } from '../../support/scratch.ts';
import { gcsScene } from './gcs-scene.ts';

const EMAIL = 'backup@project.iam.gserviceaccount.com';
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PRIVATE_KEY = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

describe('plain http', () => {
  for (const endpoint of ['http://storage.example.com', 'http://10.1.2.3:4443', 'http://gcs:4443']) {
    it(`to another machine gets no token: ${endpoint}`, async () => {
      let asked = 0;
      const authorization = {
        current: async () => {
          asked++;
          return { headers: {}, source: {} };
        },
        accepted: () => undefined,
        renew: () => false,
      };
      await using scene = await gcsScene({ authorization, endpoint });
      const error = await failureOf(scene.store.readBytes('a'));
      assert.equal(error.code, 'CREDENTIALS_FAILED');
      assert.match(error.message, /is not sent to .* over plain http/);
      assert.equal(error.details['retry'], false);
      assert.equal(asked, 0);
    });
  }
});

describe('a service account', () => {
  it('signs a request for a token, which requests then carry', async () => {
    await using tokens = await TokenEndpoint.start();
    using scratch = new Scratch();
    const credentialsFile = accountFile(scratch);
    await using scene = await gcsScene({ authorization: undefined, credentialsFile, fetch: tokens.fetch });
    await scene.store.write('a', Buffer.from('x'));
    await scene.store.readBytes('a');
    assert.equal(tokens.requests.length, 1, 'a token is kept while it is valid');
    const [request] = tokens.requests;
    assert.equal(request?.url, 'https://oauth2.googleapis.com/token');
    const form = new URLSearchParams(request.body);
    assert.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer');
    const [head = '', claims = '', signature = ''] = (form.get('assertion') ?? '').split('.');
    const isSigned = createVerify('RSA-SHA256')
      .update(`${head}.${claims}`)
      .verify(keys.publicKey, Buffer.from(signature, 'base64url'));
    assert.ok(isSigned);
    const claimed = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>;
    assert.equal(claimed['iss'], EMAIL);
    assert.equal(claimed['aud'], 'https://oauth2.googleapis.com/token');
    assert.match(String(claimed['scope']), /devstorage\.read_write/);
  });

  it('gets another token when one that worked is refused', async () => {
    await using tokens = await TokenEndpoint.start();
    using scratch = new Scratch();
    const credentialsFile = accountFile(scratch);
    await using scene = await gcsScene({ authorization: undefined, credentialsFile, fetch: tokens.fetch });
    await scene.store.write('a', Buffer.from('x'));
    scene.gcs.tokens.clear();
    scene.gcs.tokens.add('token-2');
    tokens.token = 'token-2';
    const error = await failureOf(gather(scene.store.list('')));
    assert.equal(error.code, 'CREDENTIALS_FAILED');
    assert.equal(error.details['retry'], true);
    assert.equal((await gather(scene.store.list(''))).length, 1);
    assert.equal(tokens.requests.length, 2);
  });

  it('does not ask again and again when no token is accepted', async () => {
    await using tokens = await TokenEndpoint.start();
    using scratch = new Scratch();
    tokens.token = 'another';
    const credentialsFile = accountFile(scratch);
    await using scene = await gcsScene({ authorization: undefined, credentialsFile, fetch: tokens.fetch });
    const error = await failureOf(gather(scene.store.list('')));
    assert.equal(error.code, 'CREDENTIALS_FAILED');
    assert.equal(error.details['retry'], false);
  });

  it('says what is wrong with a key that was cut off, and what lies below a failed request', async () => {
    using scratch = new Scratch();
    const credentialsFile = accountFile(scratch);
    const text = readFileSync(credentialsFile, 'utf8');
    const refused = Object.assign(new Error('connect ECONNREFUSED 192.0.2.1:443'), { code: 'ECONNREFUSED' });
    const fetch = async (): Promise<Response> =>
      Promise.reject(new TypeError('fetch failed', { cause: refused }));
    await using scene = await gcsScene({ authorization: undefined, credentialsFile, fetch });
    const unreachable = await failureOf(gather(scene.store.list('')));
    assert.match(unreachable.message, /account\.json: connect ECONNREFUSED 192\.0\.2\.1:443$/);
    assert.match(unreachable.hint ?? '', /Nothing answers there/);
    writeFileSync(credentialsFile, text.replace('BEGIN PRIVATE KEY', 'BEGIN PRIV'));
    await using other = await gcsScene({ authorization: undefined, credentialsFile, fetch });
    const broken = await failureOf(gather(other.store.list('')));
    assert.match(broken.message, /account\.json: its private_key is not a key/);
    assert.equal(broken.details['retry'], false);
  });

  it('says that Google does not accept the key, and does not show it', async () => {
    await using tokens = await TokenEndpoint.start();
    using scratch = new Scratch();
    tokens.refusal = {
      status: 400,
      body: { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' },
    };
    const authorization = new GoogleAuthorization({
      credentialsFile: accountFile(scratch),
      fetch: tokens.fetch,
    });
    const error = await failureOf(authorization.current());
    assert.equal(error.code, 'CREDENTIALS_FAILED');
    assert.match(error.message, /invalid_grant: Invalid JWT Signature/);
    assert.match(error.hint ?? '', /clock/);
    assert.equal(error.details['retry'], false);
    const assertion = new URLSearchParams(tokens.requests[0]?.body).get('assertion') ?? '';
    assert.ok(assertion.length > 100);
    const shown = `${error.message} ${error.stack} ${(error.cause as Error).stack} ${JSON.stringify(error)}`;
    assert.ok(!shown.includes(assertion.slice(-40)));
    assert.doesNotMatch(shown, /PRIVATE KEY/);
  });

  it('may get a token later from an endpoint that is busy', async () => {
    await using tokens = await TokenEndpoint.start();
    using scratch = new Scratch();
    tokens.refusal = { status: 503, body: {} };
    const authorization = new GoogleAuthorization({
      credentialsFile: accountFile(scratch),
      fetch: tokens.fetch,
    });
    const error = await failureOf(authorization.current());
    assert.equal(error.code, 'CREDENTIALS_FAILED');
    assert.equal(error.details['retry'], true);
    assert.equal(tokens.requests.length, 1, 'the library must not try again by itself');
    tokens.refusal = undefined;
    assert.equal((await authorization.current()).headers['authorization'], 'Bearer token-1');
  });

  it('reads a file that was repaired', async () => {
    await using tokens = await TokenEndpoint.start();
    using scratch = new Scratch();
    const credentialsFile = accountFile(scratch);
    const authorization = new GoogleAuthorization({ credentialsFile, fetch: tokens.fetch });
    for (const spoil of [
      () => rmSync(credentialsFile),
      () => writeFileSync(credentialsFile, '{ "private_key": oops'),
    ]) {
      spoil();
      const error = await failureOf(authorization.current());
      assert.equal(error.code, 'CREDENTIALS_FAILED');
      assert.ok(error.message.includes(credentialsFile));
      assert.match(error.hint ?? '', /service account/);
      assert.doesNotMatch(`${error.message} ${error.stack} ${(error.cause as Error).stack}`, /oops/);
    }
    accountFile(scratch);
    assert.equal((await authorization.current()).headers['authorization'], 'Bearer token-1');
  });
});

it('exchanges the token of an external account', async () => {
  await using tokens = await TokenEndpoint.start();
  using scratch = new Scratch();
  const credentialsFile = scratch.file('external.json');
  writeFileSync(scratch.file('subject'), 'a token of the cluster');
  const external = {
    type: 'external_account',
    audience:
      '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/provider',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${tokens.address}/v1/token`,
    credential_source: { file: scratch.file('subject') },
  };
  writeFileSync(credentialsFile, JSON.stringify(external));
  const authorization = new GoogleAuthorization({ credentialsFile, fetch: tokens.fetch });
  assert.equal((await authorization.current()).headers['authorization'], 'Bearer token-1');
  const [request] = tokens.requests;
  assert.equal(request?.url, '/v1/token');
  assert.equal(new URLSearchParams(request.body).get('subject_token'), 'a token of the cluster');
});

it('sends its token nowhere but to the endpoint', async () => {
  const seen: (string | undefined)[] = [];
  const elsewhere = createServer((request, response) => {
    seen.push(request.headers.authorization);
    request.resume();
    response.writeHead(403).end();
  });
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
  const front = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { location: `${address}/upload/session` }).end();
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  try {
    const endpoint = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;
    await using scene = await gcsScene({ endpoint });
    async function* large(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(9 * 1024 * 1024);
    }
    await failureOf(scene.store.write('a', large()));
    assert.ok(seen.length > 0);
    assert.deepEqual(new Set(seen), new Set([undefined]));
  } finally {
    for (const server of [front, elsewhere]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }
});

/** Where tokens come from, instead of Google's. */
class TokenEndpoint implements AsyncDisposable {
  readonly requests: { url: string; body: string }[] = [];
  token = 'token-1';
  refusal: { status: number; body: object } | undefined;
  readonly #server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (text: string) => (body += text));
    request.on('end', () => {
      this.requests.push({ url: request.headers['x-was-for']?.toString() ?? request.url ?? '', body });
      const answer = this.refusal ?? {
        status: 200,
        body: { access_token: this.token, expires_in: 3600, token_type: 'Bearer' },
      };
      response
        .writeHead(answer.status, { 'content-type': 'application/json' })
        .end(JSON.stringify(answer.body));
    });
  });

  static async start(): Promise<TokenEndpoint> {
    const endpoint = new TokenEndpoint();
    await new Promise<void>((resolve) => endpoint.#server.listen(0, '127.0.0.1', resolve));
    return endpoint;
  }

  get address(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Asks this endpoint instead of the one that was meant. */
  readonly fetch: typeof fetch = async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    const headers = new Headers(init?.headers);
    headers.set('x-was-for', url);
    return fetch(this.address, { ...init, headers });
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function accountFile(scratch: Scratch): string {
  const path = scratch.file('account.json');
  const account = {
    type: 'service_account',
    project_id: 'project',
    private_key_id: 'key-1',
    private_key: PRIVATE_KEY,
    client_email: EMAIL,
    client_id: '1',
    token_uri: 'https://oauth2.googleapis.com/token',
  };
  writeFileSync(path, JSON.stringify(account));
  return path;
}
