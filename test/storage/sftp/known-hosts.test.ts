import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { entriesFor, keyTypeOf, matches, parseKnownHosts } from '../../../src/storage/sftp/known-hosts.ts';

/** A public key as it travels: its type, then whatever that type has. */
function publicKey(type: string, body: Uint8Array = randomBytes(32)): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(type.length);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([head, Buffer.from(type), length, body]);
}

function hashed(name: string): string {
  const salt = randomBytes(20);
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash}`;
}

const ED25519 = publicKey('ssh-ed25519');
/** What a part of a pattern means, as a regular expression. */
const EXPRESSIONS: Readonly<Record<string, string>> = { '.': '\\.', '*': '.*', '?': '.' };

const RSA = publicKey('ssh-rsa', randomBytes(256));

describe('known hosts', () => {
  it('reads lines of each form, and says where they are', () => {
    const text = [
      '# comment',
      '',
      `alpha,10.0.0.1 ssh-ed25519 ${ED25519.toString('base64')} a comment`,
      `  [alpha]:2222\tssh-rsa ${RSA.toString('base64')}`,
      `@revoked * ssh-ed25519 ${ED25519.toString('base64')}`,
      `@cert-authority *.example ssh-rsa ${RSA.toString('base64')}\r`,
      `@nonsense alpha ssh-rsa ${RSA.toString('base64')}`,
      'alpha 1024 35 1234567890',
      `alpha ssh-rsa ${ED25519.toString('base64')}`,
      'alpha ssh-ed25519 AAAA',
      'alpha ssh-ed25519',
      'alpha',
    ].join('\n');
    assert.deepEqual(
      parseKnownHosts(text, '/f').map(({ marker, hosts, keyType, source }) => [
        marker,
        hosts,
        keyType,
        source,
      ]),
      [
        [undefined, 'alpha,10.0.0.1', 'ssh-ed25519', '/f:3'],
        [undefined, '[alpha]:2222', 'ssh-rsa', '/f:4'],
        ['revoked', '*', 'ssh-ed25519', '/f:5'],
        ['cert-authority', '*.example', 'ssh-rsa', '/f:6'],
      ],
    );
  });

  it('matches as ssh does', () => {
    const cases: [string, string, boolean][] = [
      ['alpha', 'alpha', true],
      ['ALPHA', 'alpha', true],
      ['alpha', 'alphabet', false],
      ['beta,alpha', 'alpha', true],
      ['*', 'anything', true],
      ['*.example', 'a.b.example', true],
      ['*.example', 'example', false],
      ['alph?', 'alpha', true],
      ['alph?', 'alph', false],
      ['*,!alpha', 'alpha', false],
      ['!alpha,*', 'alpha', false],
      ['!alpha', 'beta', false],
      ['*a*b*', 'xxaxxbxx', true],
      ['*a*b', 'xxaxxbxx', false],
      ['[alpha]:2222', '[alpha]:2222', true],
      ['[alpha]:2222', 'alpha', false],
      ['', 'alpha', false],
    ];
    for (const [hosts, name, expected] of cases)
      assert.equal(matches(hosts, name), expected, `${hosts} ${name}`);
  });

  it('finds hashed names, and nobody else does', () => {
    fc.assert(
      fc.property(fc.domain(), fc.domain(), (name, other) => {
        const field = hashed(name.toLowerCase());
        assert.ok(matches(field, name.toLowerCase()));
        assert.equal(matches(field, other.toLowerCase()), other.toLowerCase() === name.toLowerCase());
      }),
    );
  });

  it('a port of its own, with the name alone as the second choice', () => {
    const key = ED25519.toString('base64');
    const known = parseKnownHosts(
      `alpha ssh-ed25519 ${key}\n[alpha]:2222 ssh-ed25519 ${key}\n${hashed('[beta]:2222')} ssh-ed25519 ${key}`,
      'f',
    );
    const lines = (host: string, port: number): string[] =>
      entriesFor(known, host, port).map((entry) => entry.source);
    assert.deepEqual(lines('alpha', 22), ['f:1']);
    assert.deepEqual(lines('Alpha', 2222), ['f:2']);
    assert.deepEqual(lines('alpha', 2223), ['f:1']);
    assert.deepEqual(lines('beta', 2222), ['f:3']);
    assert.deepEqual(lines('beta', 22), []);
  });

  it('what was written is read, among any other lines', () => {
    const type = fc.constantFrom('ssh-ed25519', 'ssh-rsa', 'ecdsa-sha2-nistp256', 'ssh-new@example.com');
    const junk = fc.string().map((text) => `#${text.replace(/[\r\n]/g, ' ')}`);
    const entry = fc.record({
      type,
      body: fc.uint8Array({ minLength: 1, maxLength: 300 }),
      host: fc.domain(),
      junk,
    });
    fc.assert(
      fc.property(fc.array(entry), (entries) => {
        const text = entries
          .map(
            (one) =>
              `${one.junk}\n${one.host} ${one.type} ${publicKey(one.type, one.body).toString('base64')}`,
          )
          .join('\n');
        const parsed = parseKnownHosts(text, 'f');
        assert.equal(parsed.length, entries.length);
        for (const [i, one] of entries.entries()) {
          assert.equal(parsed[i]!.hosts, one.host);
          assert.equal(parsed[i]!.keyType, one.type);
          assert.ok(parsed[i]!.key.equals(publicKey(one.type, one.body)));
        }
      }),
    );
  });

  it('takes any bytes without a failure, and no pattern takes long', () => {
    fc.assert(fc.property(fc.string({ maxLength: 2_000 }), (text) => void parseKnownHosts(text, 'f')));
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void keyTypeOf(Buffer.from(bytes))));
    const startMs = performance.now();
    assert.equal(matches('*a'.repeat(2_000), `${'a'.repeat(5_000)}b`), false);
    assert.ok(performance.now() - startMs < 1_000);
  });

  it('patterns say what their expression says', () => {
    const part = fc.constantFrom('a', 'b', '.', '*', '?');
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 1, maxLength: 8 }),
        fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 }),
        (parts, name) => {
          const expression = parts.map((one) => EXPRESSIONS[one] ?? one).join('');
          assert.equal(matches(parts.join(''), name), new RegExp(`^${expression}$`).test(name));
        },
      ),
    );
  });
});
