/** Files of the reference command `age` (Debian: apt install age) are read here, and ours by it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Age, openAge } from '../../src/codec/age/age.ts';
import { noise } from '../codec/samples.ts';
import { Scratch } from '../support/scratch.ts';

const PATIENCE_MS = 20_000;
const SIZES = [0, 1, 65_535, 65_536, 65_537, 300_000];
const PASSPHRASE = 'correct-horse-battery';

function whyNot(command: string, hint: string): string | false {
  return spawnSync(command, ['--version']).error === undefined ? false : `${command} is not here: ${hint}`;
}

const skip = whyNot('age', 'apt install age');
/** `age -p` asks at a terminal; `script` of util-linux gives it one. */
const skipTerminal = skip === false ? whyNot('script', 'apt install bsdutils') : skip;

function run(command: string, words: readonly string[], input?: Uint8Array): Buffer {
  const done = spawnSync(command, words, { input, timeout: PATIENCE_MS, maxBuffer: 64 * 1024 * 1024 });
  assert.equal(done.status, 0, `${command} ${words.join(' ')}: ${done.stderr.toString()}`);
  return done.stdout;
}

async function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
}

/** Runs `age` at a terminal of its own and types the passphrase whenever it is asked for. */
async function atTerminal(words: readonly string[], passphrase: string): Promise<void> {
  const child = spawn('script', ['-qec', ['age', ...words].join(' '), '/dev/null'], { timeout: PATIENCE_MS });
  let said = '';
  let answered = 0;
  const listen = (chunk: Buffer): void => {
    said += chunk.toString('latin1');
    const asked = said.match(/passphrase[^:]*: /gi)?.length ?? 0;
    for (; answered < asked; answered += 1) {
      // Echo is switched off just after the question.
      void delay(200).then(() => child.stdin.write(`${passphrase}\n`));
    }
  };
  child.stdout.on('data', listen);
  child.stderr.on('data', listen);
  assert.equal(await ended(child), 0, said);
}

async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 10_000) yield bytes.subarray(at, at + 10_000);
}

async function opened(age: Age, sealed: Uint8Array): Promise<Buffer> {
  return gather(age.decrypt(pieces(sealed)));
}

describe('the age command', { skip, timeout: 120_000 }, () => {
  const scratch = new Scratch();
  after(() => scratch[Symbol.dispose]());

  /** A pair of keys as `age-keygen` writes it. */
  function keygen(name: string): { path: string; text: string; recipient: string } {
    const path = scratch.file(name);
    run('age-keygen', ['-o', path]);
    const text = readFileSync(path, 'utf8');
    return { path, text, recipient: /public key: (age1\S+)/.exec(text)?.[1] ?? assert.fail(text) };
  }

  it('reads what we write, whole and streamed, for each of several recipients', async () => {
    const [one, other] = [keygen('one.txt'), keygen('other.txt')];
    const text = `# two\n${one.recipient}\n\n${other.recipient}\n`;
    const age = await openAge({ recipients: [{ source: 'r', text }], identities: [] });
    for (const size of SIZES) {
      const content = noise(size);
      for (const sealed of [await age.encryptBytes(content), await gather(age.encrypt(pieces(content)))]) {
        for (const { path } of [one, other]) {
          assert.ok(run('age', ['-d', '-i', path], sealed).equals(content), `${size}`);
        }
      }
    }
  });

  it('writes what we read: -r, -R, and an identity file of age-keygen', async () => {
    const [one, other] = [keygen('r-one.txt'), keygen('r-other.txt')];
    const list = scratch.file('recipients.txt');
    writeFileSync(list, `# both\n${one.recipient}\n\n${other.recipient}\n`);
    const age = await openAge({ recipients: [], identities: [{ source: 'other', text: other.text }] });
    for (const size of SIZES) {
      const content = noise(size);
      assert.ok((await opened(age, run('age', ['-r', other.recipient], content))).equals(content));
      assert.ok((await opened(age, run('age', ['-R', list], content))).equals(content));
    }
    const sealed = run('age', ['-r', one.recipient], noise(10));
    await assert.rejects(opened(age, sealed), { code: 'AGE_KEY_WRONG' });
  });

  it('refuses what we refuse: a changed or a cut object', async () => {
    const { path, recipient, text } = keygen('damage.txt');
    const age = await openAge({
      recipients: [{ source: 'r', text: recipient }],
      identities: [{ source: 'i', text }],
    });
    const sealed = await age.encryptBytes(noise(70_000));
    const cut = sealed.subarray(0, sealed.length - 4_464 - 16);
    const changed = Uint8Array.from(sealed);
    changed[1_000]! ^= 1;
    for (const bad of [cut, changed, sealed.subarray(0, 200)]) {
      assert.notEqual(spawnSync('age', ['-d', '-i', path], { input: bad }).status, 0);
      await assert.rejects(opened(age, bad), { code: 'AGE_INVALID' });
    }
  });

  it('encrypts to an SSH key beside ours: we read it, and say that SSH keys are not supported', async () => {
    const { recipient, text } = keygen('ssh-beside.txt');
    const ssh = scratch.file('ssh');
    run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', ssh]);
    const age = await openAge({ recipients: [], identities: [{ source: 'i', text }] });
    const sealed = run('age', ['-r', recipient, '-R', `${ssh}.pub`], noise(100));
    assert.ok((await opened(age, sealed)).equals(noise(100)));
    const onlySsh = run('age', ['-R', `${ssh}.pub`], noise(100));
    await assert.rejects(opened(age, onlySsh), { code: 'AGE_KEY_WRONG' });
    const sshKeys = { code: 'AGE_INVALID', message: /line 1: SSH keys are not supported/ };
    const publicText = { source: 'ssh.pub', text: readFileSync(`${ssh}.pub`, 'utf8') };
    await assert.rejects(openAge({ recipients: [publicText], identities: [] }), sshKeys);
    const secretText = { source: 'ssh', text: readFileSync(ssh, 'utf8') };
    await assert.rejects(openAge({ recipients: [], identities: [secretText] }), sshKeys);
  });

  describe('with a passphrase', { skip: skipTerminal }, () => {
    it('reads what we write, and writes what we read', async () => {
      const age = await openAge({ recipients: [], identities: [], passphrase: PASSPHRASE });
      const [plain, theirs, ours, back] = ['plain', 'theirs.age', 'ours.age', 'back'].map((name) =>
        scratch.file(name),
      );
      const content = noise(100_000);
      writeFileSync(plain!, content);
      await atTerminal(['-p', '-o', theirs!, plain!], PASSPHRASE);
      assert.ok((await opened(age, readFileSync(theirs!))).equals(content));
      writeFileSync(ours!, await age.encryptBytes(content));
      await atTerminal(['-d', '-o', back!, ours!], PASSPHRASE);
      assert.ok(readFileSync(back!).equals(content));
      const other = await openAge({ recipients: [], identities: [], passphrase: 'another' });
      await assert.rejects(opened(other, readFileSync(theirs!)), { code: 'AGE_KEY_WRONG' });
    });

    it('makes encrypted identity files that we open, armored or not', async () => {
      const { path, recipient } = keygen('locked.txt');
      const sealed = run('age', ['-r', recipient], noise(50));
      for (const [name, flags] of [
        ['locked.age', ['-p']],
        ['locked.asc', ['-p', '-a']],
      ] as const) {
        const locked = scratch.file(name);
        await atTerminal([...flags, '-o', locked, path], PASSPHRASE);
        const text = readFileSync(locked, 'latin1');
        const age = await openAge({
          recipients: [],
          identities: [{ source: name, text }],
          passphrase: PASSPHRASE,
        });
        assert.ok((await opened(age, sealed)).equals(noise(50)));
      }
    });
  });
});
