/** Whom connections trust, each time in a process of its own: trust belongs to the process. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { makeIdentity } from '../support/certificates.ts';
import { Scratch } from '../support/scratch.ts';

const authority = makeIdentity({ name: 'Own Root' });
const other = makeIdentity({ name: 'Another Root' });
const identity = makeIdentity({ name: 'localhost', issuer: authority });

/** Asks by a connection of a client with an agent of its own, and by `fetch`, as libraries for credentials do. */
const SCRIPT = `
  import { Agent, get } from 'node:https';
  import { trustAuthorities } from ${JSON.stringify(import.meta.resolve('../../src/base/authorities.ts'))};
  const [url, files] = process.argv.slice(1);
  try {
    for (const file of JSON.parse(files)) trustAuthorities([file], process.env);
    trustAuthorities([], process.env);
    const status = await new Promise((resolve, reject) =>
      get(url, { agent: new Agent() }, (response) => resolve(response.resume().statusCode)).on('error', reject));
    console.log(status, (await fetch(url)).status);
  } catch (error) {
    console.log(error.code, error.message);
  }
  process.exit();`;

describe('the authorities that are trusted', () => {
  let server: Server;
  let scratch: Scratch;
  let url = '';

  before(async () => {
    scratch = new Scratch();
    server = createServer({ key: identity.key, cert: identity.certificate }, (_request, response) =>
      response.end(),
    );
    await once(server.listen(0, 'localhost'), 'listening');
    url = `https://localhost:${(server.address() as AddressInfo).port}/`;
    writeFileSync(scratch.file('own.pem'), `Subject: own\n${authority.certificate}`);
    writeFileSync(scratch.file('other.pem'), other.certificate);
    writeFileSync(scratch.file('both.pem'), `${other.certificate}\n${authority.certificate}`);
    writeFileSync(scratch.file('none.pem'), authority.key);
    writeFileSync(scratch.file('torn.pem'), authority.certificate.replace(/[A-Za-z0-9]{20}/, ''));
    for (const name of ['directory', 'empty']) mkdirSync(scratch.file(name));
    writeFileSync(scratch.file('directory/any-name'), authority.certificate);
    symlinkSync(scratch.file('nowhere'), scratch.file('directory/dangling.pem'));
  });
  after(() => {
    server.closeAllConnections();
    server.close();
    scratch[Symbol.dispose]();
  });

  async function ask(
    environment: Readonly<Record<string, string>>,
    files: readonly string[] = [],
  ): Promise<string> {
    const named = files.map((name) => ({ path: scratch.file(name), what: 'ca-file' }));
    const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT, url, JSON.stringify(named)], {
      env: { PATH: process.env['PATH'], ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return (await text(child.stdout)).trim();
  }

  it('are not those of anybody', async () => {
    assert.match(await ask({}), /^UNABLE_TO_VERIFY|^SELF_SIGNED_CERT_IN_CHAIN/);
    assert.match(await ask({ SSL_CERT_FILE: scratch.file('other.pem') }), /^UNABLE_TO_VERIFY/);
  });

  it('are those that the environment names in place of the system', async () => {
    for (const environment of [
      { SSL_CERT_FILE: scratch.file('own.pem') },
      { SSL_CERT_FILE: scratch.file('both.pem') },
      { SSL_CERT_DIR: scratch.file('directory') },
      { SSL_CERT_DIR: `${scratch.file('nowhere')}:${scratch.file('empty')}:${scratch.file('directory')}` },
      { SSL_CERT_FILE: scratch.file('nowhere'), SSL_CERT_DIR: scratch.file('directory') },
      { NODE_EXTRA_CA_CERTS: scratch.file('own.pem') },
    ])
      assert.equal(await ask(environment), '200 200', JSON.stringify(environment));
  });

  it('are those of files, one after the other', async () => {
    assert.equal(await ask({}, ['own.pem']), '200 200');
    assert.equal(await ask({}, ['other.pem', 'both.pem']), '200 200');
  });

  it('are not those of a file that is none, which is an error', async () => {
    assert.match(await ask({}, ['nowhere']), /^CONFIG_INVALID `ca-file`, .*nowhere, cannot be read: ENOENT/);
    assert.match(await ask({}, ['none.pem']), /^CONFIG_INVALID `ca-file`, .*none.pem, holds no certificate/);
    assert.match(
      await ask({}, ['torn.pem']),
      /^CONFIG_INVALID `ca-file`, .*torn.pem, has a certificate that cannot be read/,
    );
  });
});
