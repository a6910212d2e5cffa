import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { generateX25519Identity, identityToRecipient, Decrypter, Encrypter, armor } from 'age-encryption';
import { array, assert as holds, asyncProperty, integer } from 'fast-check';
import { type Age, openAge, recipientsOf } from '../../src/codec/age/age.ts';
import { RECIPIENTS_MAX } from '../../src/codec/age/age-header.ts';
import { isRivuletError } from '../../src/base/errors.ts';
import { noise } from './samples.ts';

const CHUNK = 64 * 1024;
const KEY = 'AGE-SECRET-KEY-1';
/** Around every boundary of a payload's chunks. */
const SIZES = [0, 1, 15, 16, 17, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 777];

async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(Uint8Array.from(chunk));
  return Buffer.concat(parts);
}

/** `bytes` in pieces, all in the same memory: a source may use it again. */
async function* inPieces(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  const memory = new Uint8Array(Math.max(...sizes, 1));
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const piece = bytes.subarray(at, at + (sizes[n % sizes.length] ?? 1));
    memory.fill(0xee);
    memory.set(piece);
    yield memory.subarray(0, piece.length);
    at += piece.length;
  }
}

const whole = (bytes: Uint8Array): AsyncGenerator<Uint8Array> => inPieces(bytes, [Math.max(bytes.length, 1)]);

async function open(keys: { recipients?: string; identities?: string; passphrase?: string }): Promise<Age> {
  const texts = (source: string, text: string | undefined) => (text === undefined ? [] : [{ source, text }]);
  return openAge({
    recipients: texts('recipients', keys.recipients),
    identities: texts('identities', keys.identities),
    ...(keys.passphrase === undefined ? {} : { passphrase: keys.passphrase }),
    passphraseWorkFactor: 10,
  });
}

const refused =
  (code: string, message: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(isRivuletError(error), String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };

describe('age', () => {
  const secret: string[] = [];
  const known: string[] = [];
  let age: Age;

  before(async () => {
    for (let n = 0; n < 3; n++) {
      const identity = await generateX25519Identity();
      secret.push(identity);
      known.push(await identityToRecipient(identity));
    }
    age = await open({ recipients: known[0]!, identities: secret[0]! });
  });

  it('gives back any content in any pieces', async () => {
    for (const size of SIZES) {
      const content = noise(size);
      for (const sealed of [
        await age.encryptBytes(content),
        await gather(age.encrypt(inPieces(content, [1000, 7]))),
      ]) {
        assert.ok(
          (await gather(age.decrypt(inPieces(sealed, [4096, 1, 99_999])))).equals(content),
          `${size}`,
        );
        assert.equal((await gather(age.encrypt(whole(content)))).length, sealed.length);
      }
    }
    const pieces = array(integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 5 });
    await holds(
      asyncProperty(integer({ min: 0, max: 200_000 }), pieces, pieces, async (size, out, back) => {
        const content = noise(size, size + 1);
        const sealed = await gather(age.encrypt(inPieces(content, out)));
        assert.ok((await gather(age.decrypt(inPieces(sealed, back)))).equals(content));
      }),
      { numRuns: 30 },
    );
  });

  it('writes what the library reads, and reads what the library writes', async () => {
    const theirs = new Encrypter();
    theirs.addRecipient(known[0]!);
    const reader = new Decrypter();
    reader.addIdentity(secret[0]!);
    for (const size of SIZES) {
      const content = noise(size);
      const sealed = await gather(age.encrypt(whole(content)));
      assert.ok(Buffer.from(await reader.decrypt(sealed)).equals(content), `${size}`);
      assert.ok(
        Buffer.from(await reader.decrypt(await age.encryptBytes(content))).equals(content),
        `${size}`,
      );
      const other = await theirs.encrypt(Uint8Array.from(content));
      assert.ok((await gather(age.decrypt(whole(other)))).equals(content), `${size}`);
    }
  });

  it('asks the source for more only when it is asked for more', async () => {
    let asked = 0;
    async function* source(): AsyncGenerator<Uint8Array> {
      for (; asked < 1000; asked++) yield new Uint8Array(CHUNK);
    }
    const sealed = age.encrypt(source())[Symbol.asyncIterator]();
    for (let n = 0; n < 10; n++) await sealed.next();
    assert.ok(asked < 10, `${asked} chunks were taken for 10 given`);
    await sealed.return(undefined);
  });

  it('never repeats itself', async () => {
    const [one, other] = [await age.encryptBytes(noise(100)), await age.encryptBytes(noise(100))];
    assert.notDeepEqual(Buffer.from(one.slice(-50)), Buffer.from(other.slice(-50)));
  });

  it('cut off anywhere: an error, never a shorter content', async () => {
    const small = await age.encryptBytes(noise(300));
    for (let length = 0; length < small.length; length++) {
      await assert.rejects(
        gather(age.decrypt(whole(small.subarray(0, length)))),
        { code: 'AGE_INVALID' },
        `${length}`,
      );
    }
    const head = small.length - 300 - 16;
    const large = await age.encryptBytes(noise(3 * CHUNK));
    for (const chunks of [0, 1, 2, 3]) {
      for (const off of [-1, 0, 1, 16]) {
        const length = head + chunks * (CHUNK + 16) + off;
        if (length >= large.length) continue;
        await assert.rejects(gather(age.decrypt(whole(large.subarray(0, length)))), { code: 'AGE_INVALID' });
      }
    }
    await assert.rejects(gather(age.decrypt(whole(Buffer.concat([large, Buffer.alloc(1)])))), {
      code: 'AGE_INVALID',
    });
    await assert.rejects(gather(age.decrypt(whole(Buffer.concat([small, Buffer.alloc(20)])))), {
      code: 'AGE_INVALID',
    });
  });

  it('any changed bit: an error', async () => {
    const small = await age.encryptBytes(noise(40));
    for (let bit = 0; bit < small.length * 8; bit++) {
      const changed = Uint8Array.from(small);
      changed[bit >>> 3]! ^= 1 << (bit & 7);
      await assert.rejects(gather(age.decrypt(whole(changed))), (error) =>
        isRivuletError(error, 'AGE_INVALID', 'AGE_KEY_WRONG'),
      );
    }
  });

  it('chunks in another order, or one of them missing: an error', async () => {
    const large = Buffer.from(await age.encryptBytes(noise(3 * CHUNK)));
    const head = large.length - 3 * (CHUNK + 16);
    const [a, b, c] = [0, 1, 2].map((n) =>
      large.subarray(head + n * (CHUNK + 16), head + (n + 1) * (CHUNK + 16)),
    );
    for (const order of [[b, a, c], [a, c], [a, b, c, c], [c]]) {
      const mixed = Buffer.concat([large.subarray(0, head), ...order.map((chunk) => chunk!)]);
      await assert.rejects(gather(age.decrypt(whole(mixed))), { code: 'AGE_INVALID' });
    }
  });

  it('as many recipients as an object has room for are taken, and more are refused with the limit', async () => {
    const identity = await generateX25519Identity();
    const recipient = await identityToRecipient(identity);
    const lines = (count: number): string => Array.from({ length: count }, () => recipient).join('\n');
    const most = await open({ recipients: lines(RECIPIENTS_MAX), identities: identity });
    const sealed = await most.encryptBytes(Buffer.from('x'));
    assert.equal((await gather(most.decrypt(whole(sealed)))).toString(), 'x');
    await assert.rejects(open({ recipients: lines(RECIPIENTS_MAX + 1) }), {
      code: 'AGE_INVALID',
      message: 'there are 2001 recipients, and an encrypted object has room for 2000',
    });
  });

  it('a header without end does not fill the memory', async () => {
    const endless = Buffer.concat([Buffer.from('age-encryption.org/v1\n'), Buffer.alloc(1 << 20, 'a')]);
    await assert.rejects(gather(age.decrypt(whole(endless))), { code: 'AGE_INVALID' });
  });

  it('says whether the key is missing or wrong', async () => {
    const sealed = await age.encryptBytes(noise(10));
    const blind = await open({ recipients: known[0]! });
    const other = await open({ identities: secret[1]! });
    await assert.rejects(gather(blind.decrypt(whole(sealed))), { code: 'AGE_KEY_MISSING' });
    await assert.rejects(gather(other.decrypt(whole(sealed))), { code: 'AGE_KEY_WRONG' });
    await assert.rejects(gather(age.decrypt(whole(noise(100)))), { code: 'AGE_INVALID' });
    assert.deepEqual([blind.canEncrypt, blind.canDecrypt], [true, false]);
    assert.deepEqual([other.canEncrypt, other.canDecrypt], [false, true]);
    await assert.rejects(other.encryptBytes(noise(1)), TypeError);
  });

  it('several keys in one text, with comments, blank lines and carriage returns', async () => {
    const recipients = `# both of us\r\n${known[0]}\r\n\r\n  ${known[1]}  \n`;
    const both = await open({ recipients, identities: `# created: today\n${secret[2]}\n\n${secret[1]}` });
    const sealed = await both.encryptBytes(noise(10));
    assert.equal((await gather(both.decrypt(whole(sealed)))).length, 10);
    assert.equal((await gather(age.decrypt(whole(sealed)))).length, 10);
    assert.deepEqual(
      await recipientsOf({ recipients: [], identities: [{ source: 'x', text: secret.join('\n') }] }),
      known,
    );
  });

  it('a passphrase encrypts and decrypts, as the library has it', async () => {
    const pass = await open({ passphrase: 'correct horse' });
    const sealed = await pass.encryptBytes(noise(100));
    const reader = new Decrypter();
    reader.addPassphrase('correct horse');
    assert.ok(Buffer.from(await reader.decrypt(sealed)).equals(noise(100)));
    assert.ok((await gather(pass.decrypt(whole(sealed)))).equals(noise(100)));
    const other = await open({ passphrase: 'incorrect horse', identities: secret[0]! });
    await assert.rejects(gather(other.decrypt(whole(sealed))), { code: 'AGE_KEY_WRONG' });

    const theirs = new Encrypter();
    theirs.setPassphrase('correct horse');
    theirs.setScryptWorkFactor(21);
    const costly = Buffer.from(sealed.subarray(0, 300))
      .toString('latin1')
      .replace(/( \S+) 10\n/, '$1 25\n');
    await assert.rejects(
      gather(pass.decrypt(whole(Buffer.from(costly, 'latin1')))),
      refused('AGE_INVALID', /work factor/),
    );
    theirs.setScryptWorkFactor(10);
    assert.ok((await gather(pass.decrypt(whole(await theirs.encrypt(noise(50)))))).equals(noise(50)));
  });

  it('beside a recipient, a passphrase only decrypts', async () => {
    const mixed = await open({ recipients: known[0]!, passphrase: 'correct horse' });
    assert.equal((await gather(age.decrypt(whole(await mixed.encryptBytes(noise(5)))))).length, 5);
  });

  it('identities in a file that a passphrase opens, armored or not', async () => {
    const lock = new Encrypter();
    lock.setPassphrase('open sesame');
    lock.setScryptWorkFactor(10);
    const binary = await lock.encrypt(`# mine\n${secret[0]}\n`);
    const sealed = await age.encryptBytes(noise(77));
    for (const identities of [armor.encode(binary), Buffer.from(binary).toString('latin1')]) {
      const reader = await open({ identities, passphrase: 'open sesame' });
      assert.equal((await gather(reader.decrypt(whole(sealed)))).length, 77);
      await assert.rejects(
        open({ identities }),
        refused('AGE_INVALID', /^identities is encrypted with a passphrase/),
      );
      await assert.rejects(
        open({ identities, passphrase: 'x' }),
        refused('AGE_KEY_WRONG', /^identities: .*does not open/),
      );
    }
  });

  it('a key that is not one is named by source and line, never shown', async () => {
    const bad = `${secret[0]!.slice(0, -1)}${secret[0]!.endsWith('Q') ? 'P' : 'Q'}`;
    const cases: [Parameters<typeof open>[0], RegExp][] = [
      [{ identities: `# c\n${bad}` }, /^identities, line 2: this identity is not valid/],
      [
        { identities: `${secret[0]}\n${secret[1]!.slice(0, -4)}` },
        /^identities, line 2: this identity is not valid/,
      ],
      [{ identities: secret[0]!.toLowerCase() }, /^identities, line 1: expected an identity/],
      [{ identities: 'hunter2' }, /^identities, line 1: expected an identity/],
      [{ identities: known[0]! }, /^identities, line 1: this is a recipient/],
      [{ identities: 'AGE-PLUGIN-YUBIKEY-1QQQ' }, /^identities, line 1: .*plugins/],
      [{ identities: `${KEY.replace('KEY-1', 'KEY-PQ-1')}QQQ` }, /^identities, line 1: post-quantum/],
      [
        { identities: '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n' },
        /^identities, line 1: SSH keys/,
      ],
      [{ recipients: secret[0]! }, /^recipients, line 1: this is an identity, which is secret/],
      [{ recipients: `${known[0]}\n${known[1]}x` }, /^recipients, line 2: this recipient is not valid/],
      [{ recipients: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me' }, /^recipients, line 1: SSH keys/],
      [{ recipients: 'age1pq1qqqq' }, /^recipients, line 1: post-quantum/],
      [{ recipients: 'age1yubikey1qqqq' }, /^recipients, line 1: .*plugins/],
    ];
    for (const [keys, message] of cases) {
      await assert.rejects(open(keys), (error) => {
        refused('AGE_INVALID', message)(error);
        const shown = JSON.stringify([
          error,
          (error as Error).message,
          String((error as Error).cause),
          (error as Error).stack,
        ]);
        for (const text of ['hunter2', secret[0]!, secret[1]!.slice(20, 50), bad, 'b3BlbnNz']) {
          assert.ok(!shown.includes(text), `${text} is shown: ${shown}`);
        }
        return true;
      });
    }
  });
});
