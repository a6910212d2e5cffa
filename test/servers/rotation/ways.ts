/** Three ways by which keys that live for seconds reach Rivulet; behind each of them is a real STS. */
import { renameSync, writeFileSync } from 'node:fs';
import { createServer as createPlainServer } from 'node:http';
import type { RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AwsKeys } from '../../../src/storage/aws-keys.ts';
import type { CephRgw } from '../../support/ceph-rgw.ts';
import { makeIdentity } from '../../support/certificates.ts';
import type { Scratch } from '../../support/scratch.ts';
import { SoftHsm } from '../../support/softhsm.ts';

const LIFE_SECONDS = 5;
const REWRITE_MS = 2_000;

export interface Way extends AsyncDisposable {
  readonly name: string;
  /** The `credentials` section of the replica. */
  readonly credentials: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
  /** How many sets of keys it gave. */
  given(): number;
  goDown(): Promise<void>;
  comeBack(): Promise<void>;
}

/** A server on one port that can stop listening and come back. */
class Gate {
  readonly #make: () => Server;
  #server: Server | undefined;
  port = 0;

  constructor(make: () => Server) {
    this.#make = make;
  }

  async open(): Promise<void> {
    const server = this.#make();
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, '127.0.0.1', resolve);
    });
    const address = server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

function iso(expiresAtMs: number | undefined): string {
  return new Date(expiresAtMs ?? 0).toISOString();
}

/** Answers each request with keys of its own. */
function giveKeys(ceph: CephRgw, count: () => void, shape: (keys: AwsKeys) => unknown): RequestListener {
  const answer = async (response: ServerResponse): Promise<void> => {
    const keys = await ceph.assumeRole(LIFE_SECONDS);
    count();
    response.end(JSON.stringify(shape(keys)));
  };
  return (_request, response) => {
    answer(response).catch((error: unknown) => {
      response.writeHead(500).end(JSON.stringify({ message: String(error) }));
    });
  };
}

/** The AWS IoT endpoint: mutual TLS with a key that never leaves the HSM. */
export async function iotWay(ceph: CephRgw, scratch: Scratch): Promise<Way> {
  const authority = makeIdentity({ name: 'Test authority' });
  const server = makeIdentity({ name: 'localhost', issuer: authority });
  const device = makeIdentity({ name: 'device-1', issuer: authority });
  const hsm = new SoftHsm();
  const privateKey = hsm.import('devkey', device.key);
  writeFileSync(scratch.file('device.crt'), device.certificate);
  writeFileSync(scratch.file('ca.crt'), authority.certificate);
  writeFileSync(scratch.file('pin'), hsm.pin, { mode: 0o600 });
  let given = 0;
  const listener = giveKeys(
    ceph,
    () => given++,
    ({ accessKeyId, secretAccessKey, sessionToken, expiresAtMs }) => ({
      credentials: { accessKeyId, secretAccessKey, sessionToken, expiration: iso(expiresAtMs) },
    }),
  );
  const gate = new Gate(() =>
    createTlsServer(
      {
        cert: server.certificate,
        key: server.key,
        ca: authority.certificate,
        requestCert: true,
        rejectUnauthorized: true,
      },
      listener,
    ),
  );
  await gate.open();
  return {
    name: 'IoT endpoint, key in an HSM',
    credentials: {
      source: 'iot',
      endpoint: `localhost:${gate.port}`,
      'role-alias': 'backup',
      'thing-name': 'device-1',
      'certificate-file': scratch.file('device.crt'),
      'private-key': privateKey,
      'pin-file': scratch.file('pin'),
      'pkcs11-module': hsm.module,
      'ca-file': scratch.file('ca.crt'),
    },
    environment: hsm.environment,
    given: () => given,
    goDown: async () => gate.close(),
    comeBack: async () => gate.open(),
    async [Symbol.asyncDispose]() {
      await gate.close();
      hsm[Symbol.dispose]();
    },
  };
}

/** Somebody else writes the keys into a file, now beside it and then in its place, now right into it. */
export async function envFileWay(ceph: CephRgw, scratch: Scratch): Promise<Way> {
  const path = scratch.file('rivulet.env');
  const stop = new AbortController();
  const state = { down: false, given: 0 };
  const rewrite = async (): Promise<void> => {
    const { accessKeyId, secretAccessKey, sessionToken } = await ceph.assumeRole(LIFE_SECONDS);
    const text = `AWS_ACCESS_KEY_ID=${accessKeyId}\nAWS_SECRET_ACCESS_KEY=${secretAccessKey}\nAWS_SESSION_TOKEN=${sessionToken}\nAWS_DEFAULT_REGION=us-east-1\n`;
    if (state.given++ % 2 === 0) {
      writeFileSync(`${path}.next`, text, { mode: 0o600 });
      renameSync(`${path}.next`, path);
    } else {
      writeFileSync(path, text, { mode: 0o600 });
    }
  };
  await rewrite();
  const writer = (async () => {
    while (!stop.signal.aborted) {
      await sleep(REWRITE_MS, undefined, { signal: stop.signal }).catch(() => undefined);
      if (!stop.signal.aborted && !state.down) await rewrite();
    }
  })();
  return {
    name: 'environment file',
    credentials: { source: 'env-file', path },
    environment: {},
    given: () => state.given,
    async goDown() {
      state.down = true;
    },
    async comeBack() {
      state.down = false;
      await rewrite();
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await writer;
    },
  };
}

/** A program that asks a service of its own for keys and prints them. */
export async function processWay(ceph: CephRgw, scratch: Scratch): Promise<Way> {
  let given = 0;
  const gate = new Gate(() =>
    createPlainServer(
      giveKeys(
        ceph,
        () => given++,
        ({ accessKeyId, secretAccessKey, sessionToken, expiresAtMs }) => ({
          Version: 1,
          AccessKeyId: accessKeyId,
          SecretAccessKey: secretAccessKey,
          SessionToken: sessionToken,
          Expiration: iso(expiresAtMs),
        }),
      ),
    ),
  );
  await gate.open();
  const script = scratch.file('print-keys.mjs');
  writeFileSync(script, `console.log(await (await fetch('http://127.0.0.1:${gate.port}/')).text());\n`);
  return {
    name: 'credential process',
    credentials: { source: 'process', command: `"${process.execPath}" "${script}"` },
    environment: {},
    given: () => given,
    goDown: async () => gate.close(),
    comeBack: async () => gate.open(),
    async [Symbol.asyncDispose]() {
      await gate.close();
    },
  };
}
