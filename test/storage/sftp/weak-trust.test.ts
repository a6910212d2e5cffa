/** What OpenSSH refuses is refused: signatures by SHA-1, and private keys that others can read or write. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it } from 'node:test';
import ssh2 from 'ssh2';

import {
  isUnprotectedKey,
  keyExposure,
  modeText,
  secretExposure,
  tampering,
} from '../../../src/base/file-access.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { RivuletError } from '../../../src/base/errors.ts';
import { ownAgent } from '../../../src/storage/sftp/agent.ts';
import { withoutSha1 } from '../../../src/storage/sftp/weak-signature.ts';
import { connectSftp } from '../../../src/storage/sftp/connect.ts';
import { DEFAULT_TIMEOUTS, type SftpStoreOptions } from '../../../src/storage/sftp/options.ts';
import { Scratch } from '../../support/scratch.ts';

function rsaKey(): string {
  return generateKeyPairSync('rsa', {
    modulusLength: 2_048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  }).privateKey;
}

const RSA = rsaKey();

/** Lets every public key in. @param hostKeyAlgorithms - what it signs with */
async function withServer(
  hostKeyAlgorithms: readonly string[],
  run: (port: number) => Promise<void>,
): Promise<void> {
  const serverHostKey = [...hostKeyAlgorithms] as never;
  const ssh = new ssh2.Server({ hostKeys: [RSA], algorithms: { serverHostKey } }, (connection) => {
    connection.on('error', () => undefined);
    connection.on('authentication', (context) => {
      if (context.method === 'publickey') context.accept();
      else context.reject(['publickey']);
    });
    connection.on('session', (accept) => accept().on('sftp', (acceptSftp) => void acceptSftp()));
  });
  const listener = createServer((socket) => ssh.injectSocket(socket));
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  try {
    await run((listener.address() as AddressInfo).port);
  } finally {
    listener.close();
  }
}

async function outcomeOf(
  port: number,
  options: Partial<SftpStoreOptions>,
): Promise<RivuletError | 'connected'> {
  const all = { host: '127.0.0.1', port, user: 'u', path: '/r', insecure: true, ...options };
  const timeouts = { ...DEFAULT_TIMEOUTS, connectMs: 10_000 };
  try {
    const connection = await connectSftp(all, timeouts, systemClock, new AbortController().signal);
    connection.close();
    return 'connected';
  } catch (error) {
    assert.ok(error instanceof RivuletError, String(error));
    return error;
  }
}

describe('SHA-1', () => {
  it('a server whose host key signs by it alone is refused, also when its key is pinned or nobody cares', async () => {
    const parsed = ssh2.utils.parseKey(RSA);
    assert.ok(!(parsed instanceof Error));
    const hostKeys = [`ssh-rsa ${parsed.getPublicSSH().toString('base64')}`];
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { type: 'sec1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    await withServer(['ssh-rsa'], async (port) => {
      for (const trust of [{ insecure: true }, { insecure: false, hostKeys }]) {
        const error = await outcomeOf(port, { ...trust, privateKey });
        assert.ok(error !== 'connected');
        assert.match(error.message, /no matching host key format/);
        assert.match(error.hint ?? '', /SHA-1/);
        assert.equal(error.details['retry'], false);
      }
    });
    await withServer(['rsa-sha2-512', 'ssh-rsa'], async (port) => {
      assert.equal(await outcomeOf(port, { insecure: false, hostKeys, privateKey }), 'connected');
    });
  });

  it('is not signed with, by a key or by an agent', async () => {
    const parsed = ssh2.utils.parseKey(RSA);
    assert.ok(!(parsed instanceof Error));
    const key = withoutSha1(parsed);
    const data = Buffer.from('x');
    const refused: unknown = key.sign(data, 'sha1');
    assert.ok(refused instanceof Error);
    assert.match(refused.message, /by SHA-1/);
    assert.ok(key.verify(data, key.sign(data, 'sha256'), 'sha256'));
    const { agent } = ownAgent(ssh2.createAgent, '/nowhere/agent');
    for (const [hash, message] of [
      ['sha1', /by SHA-1/],
      ['sha256', /agent/],
    ] as const) {
      const error = await new Promise((resolve) => agent.sign(key, data, { hash }, resolve));
      assert.match(String(error), message);
    }
  });
});

const UID = process.getuid?.();

describe('the file of a private key', { skip: UID === undefined ? 'no permissions here' : false }, () => {
  for (const mode of [0o666, 0o644, 0o640, 0o622, 0o604]) {
    it(`is refused with ${mode.toString(8)}`, async () => {
      using scratch = new Scratch();
      const keyPath = scratch.file('id');
      writeFileSync(keyPath, RSA);
      chmodSync(keyPath, mode);
      const error = await outcomeOf(9, { keyPath });
      assert.ok(error !== 'connected');
      assert.equal(error.code, 'CREDENTIALS_FAILED');
      assert.match(
        error.message,
        new RegExp(`is refused: its permissions are 0${mode.toString(8)}, (read|writ)able by`),
      );
      assert.match(error.hint ?? '', /chmod 600/);
    });
  }

  it('is taken with 600 and 400, and when another user gave it', async () => {
    using scratch = new Scratch();
    const keyPath = scratch.file('id');
    writeFileSync(keyPath, RSA);
    for (const mode of [0o600, 0o400]) {
      chmodSync(keyPath, mode);
      const error = await outcomeOf(9, { keyPath });
      assert.match(String(error), /cannot reach/);
    }
    if (UID !== 0) return;
    chmodSync(keyPath, 0o644);
    chownSync(keyPath, 4_711, 4_711);
    assert.match(String(await outcomeOf(9, { keyPath })), /cannot reach/);
  });

  it('a device that never ends is no key', async () => {
    const error = await outcomeOf(9, { keyPath: '/dev/zero' });
    assert.match(String(error), /too long for a key/);
  });
});

describe('what others may do with a file', () => {
  const file = (mode: number): { mode: number; uid: number } => ({ mode: 0o100000 | mode, uid: 7 });

  it('a secret', () => {
    assert.equal(secretExposure(file(0o600)), undefined);
    assert.equal(secretExposure(file(0o640)), undefined, 'how a service is given the file of another owner');
    assert.equal(secretExposure(file(0o644)), 'readable by others');
    assert.equal(secretExposure(file(0o666)), 'readable by others and writable by others');
    assert.equal(secretExposure(file(0o660)), 'writable by its group');
    assert.equal(modeText(file(0o060)), '0060');
  });

  it('a private key, and a file that says who is trusted', () => {
    assert.equal(keyExposure(file(0o640)), 'readable by its group');
    assert.equal(tampering(file(0o644)), undefined);
    assert.equal(tampering(file(0o664)), 'writable by its group');
    assert.ok(isUnprotectedKey(file(0o640), 7));
    assert.ok(!isUnprotectedKey(file(0o644), 8));
    assert.ok(!isUnprotectedKey(file(0o600), 7));
    assert.ok(!isUnprotectedKey(file(0o777), undefined));
  });
});
