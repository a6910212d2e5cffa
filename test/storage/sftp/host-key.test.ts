import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import {
  algorithmsFor,
  fingerprintOf,
  judgeHostKey,
  parsePinnedKey,
  typesToTry,
} from '../../../src/storage/sftp/host-key.ts';
import type { Trust } from '../../../src/storage/sftp/host-key.ts';
import { parseKnownHosts } from '../../../src/storage/sftp/known-hosts.ts';

const NAME = { host: 'alpha', port: 22 };

function publicKey(type: string): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(type.length);
  return Buffer.concat([head, Buffer.from(type), Buffer.from([0, 0, 0, 32]), randomBytes(32)]);
}

function lineOf(key: Buffer, type: string): string {
  return `${type} ${key.toString('base64')}`;
}

const ed25519 = publicKey('ssh-ed25519');
const other = publicKey('ssh-ed25519');
const rsa = publicKey('ssh-rsa');

function knownHosts(...lines: string[]): Trust {
  return { kind: 'known-hosts', entries: parseKnownHosts(lines.join('\n'), '/k'), paths: ['/k'] };
}

describe('host key', () => {
  it('is pinned as ssh-keyscan prints it, as a known-hosts line, or by fingerprint', () => {
    const line = lineOf(ed25519, 'ssh-ed25519');
    for (const text of [line, ` ${line} a comment `, `alpha ${line}`, `[alpha]:2222 ${line}`]) {
      const pin = parsePinnedKey(text);
      assert.ok(pin.kind === 'key' && pin.key.equals(ed25519), text);
    }
    const fingerprint = fingerprintOf(ed25519);
    for (const text of [fingerprint, `${fingerprint}=`, `256 ${fingerprint} root@alpha (ED25519)`]) {
      assert.deepEqual(parsePinnedKey(text), { kind: 'fingerprint', fingerprint });
    }
  });

  it('a pin that is none is refused with what it should be', () => {
    for (const text of [
      '',
      'ssh-ed25519',
      'ssh-ed25519 !!',
      `ssh-rsa ${ed25519.toString('base64')}`,
      'SHA256:short',
      'MD5:00:11',
      'ssh-dss AAAA',
    ]) {
      assert.throws(() => parsePinnedKey(text), /not a host key: .*expected one line of ssh-keyscan/, text);
    }
  });

  it('is trusted when it is pinned, known, or nobody cares', () => {
    const trusts: Trust[] = [
      { kind: 'anybody' },
      {
        kind: 'pinned',
        keys: [parsePinnedKey(lineOf(rsa, 'ssh-rsa')), parsePinnedKey(fingerprintOf(ed25519))],
      },
      knownHosts(`alpha ${lineOf(other, 'ssh-ed25519')}`, `alpha ${lineOf(ed25519, 'ssh-ed25519')}`),
    ];
    for (const trust of trusts) assert.equal(judgeHostKey(trust, NAME, ed25519), undefined);
  });

  it('says unknown, changed, revoked and not pinned apart', () => {
    const cases: [Trust, RegExp][] = [
      [knownHosts(), /^the host key of alpha is not known: .* none of \/k$/],
      [knownHosts(`beta ${lineOf(ed25519, 'ssh-ed25519')}`), /is not known/],
      [
        knownHosts(`@cert-authority alpha ${lineOf(rsa, 'ssh-rsa')}`),
        /not known: .*certificates are not supported/,
      ],
      [
        knownHosts(`alpha ${lineOf(other, 'ssh-ed25519')}`),
        /alpha HAS CHANGED: expected ssh-ed25519 .*\(\/k:1\)/,
      ],
      [knownHosts(`alpha ${lineOf(rsa, 'ssh-rsa')}`), /HAS CHANGED: expected ssh-rsa/],
      [
        knownHosts(`alpha ${lineOf(ed25519, 'ssh-ed25519')}`, `@revoked * ${lineOf(ed25519, 'ssh-ed25519')}`),
        /IS REVOKED by \/k:2/,
      ],
      [{ kind: 'pinned', keys: [parsePinnedKey(fingerprintOf(other))] }, /IS NOT THE PINNED ONE/],
    ];
    for (const [trust, message] of cases) {
      const error = judgeHostKey(trust, NAME, ed25519);
      assert.equal(error?.code, 'HOST_KEY_UNVERIFIED');
      assert.match(error?.message ?? '', message);
      assert.ok(error?.message.includes(fingerprintOf(ed25519)));
    }
  });

  it('a certificate authority is not a host key, even when the server shows its key', () => {
    const trust = knownHosts(`@cert-authority alpha ${lineOf(ed25519, 'ssh-ed25519')}`);
    assert.match(judgeHostKey(trust, NAME, ed25519)?.message ?? '', /is not known/);
  });

  it('the known types are asked for first, the others after them', () => {
    assert.equal(algorithmsFor({ kind: 'anybody' }, NAME)[0], 'ssh-ed25519');
    const pinned: Trust = { kind: 'pinned', keys: [parsePinnedKey(lineOf(rsa, 'ssh-rsa'))] };
    for (const trust of [pinned, knownHosts(`alpha ${lineOf(rsa, 'ssh-rsa')}`)]) {
      const algorithms = algorithmsFor(trust, NAME);
      assert.deepEqual(algorithms.slice(0, 4), [
        'rsa-sha2-512',
        'rsa-sha2-256',
        'ssh-ed25519',
        'ecdsa-sha2-nistp256',
      ]);
      assert.equal(new Set(algorithms).size, algorithms.length);
      assert.deepEqual(typesToTry(trust), [undefined]);
    }
    assert.ok(typesToTry({ kind: 'pinned', keys: [parsePinnedKey(fingerprintOf(rsa))] }).includes('ssh-rsa'));
    assert.deepEqual(algorithmsFor(pinned, NAME, 'ssh-ed25519'), ['ssh-ed25519']);
  });
});
