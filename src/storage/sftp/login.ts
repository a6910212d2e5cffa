/** The ways in that were configured, tried one after another, and what to say when none of them opened. */
import { type FileHandle, open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { AnyAuthMethod, AuthHandlerMiddleware, AuthenticationType, ParsedKey } from 'ssh2';
import { type RivuletError, messageOf } from '../../base/errors.ts';
import { isUnprotectedKey, keyExposure, modeText } from '../../base/file-access.ts';
import { storageFailed } from '../storage-error.ts';
import { type CreateAgent, type OwnedAgent, ownAgent } from './agent.ts';
import { type SftpStoreOptions, readSecret } from './options.ts';
import { withoutSha1 } from './weak-signature.ts';

/** The parts of `ssh2` that are used. */
export interface LoginLibrary {
  readonly parseKey: ParseKey;
  readonly createAgent: CreateAgent;
}

type ParseKey = (text: string, passphrase?: string) => ParsedKey | Error | (ParsedKey | Error)[];

interface Way {
  /** For an agent: its connections. */
  readonly owned?: OwnedAgent;
  readonly method: AnyAuthMethod;
  /** For messages, as in `key /etc/rivulet/id`. */
  readonly name: string;
}

/** One login. Made anew for each connection, so that secrets are read again. */
export class Login {
  readonly #ways: Way[];
  readonly #user: string;
  readonly #tried: string[] = [];
  readonly #notes: string[] = [];
  readonly #owned: readonly OwnedAgent[];
  #offered: readonly string[] = [];
  #isOver = false;

  private constructor(user: string, ways: Way[]) {
    this.#user = user;
    this.#ways = ways;
    this.#owned = ways.flatMap(({ owned }) => owned ?? []);
  }

  /** @throws RivuletError `CREDENTIALS_FAILED` when a key or secret cannot be used, or there is none at all */
  static async prepare(options: SftpStoreOptions, library: LoginLibrary, location: string): Promise<Login> {
    try {
      return new Login(options.user, await waysIn(options, library));
    } catch (error) {
      throw storageFailed(`cannot log in to ${location}: ${messageOf(error)}`, {
        code: 'CREDENTIALS_FAILED',
        retry: false,
        cause: error,
        hint: hintFor(error),
      });
    }
  }

  /** Lets go of everything: the login is over, or given up. */
  close(): void {
    for (const one of this.#owned) one.close();
  }

  /** Whether every way has been tried. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Something on the way that is worth saying if it all fails: an agent that does not answer, for example. */
  note(text: string): void {
    this.#notes.push(text);
  }

  /** Called by `ssh2`, first with null: then the server is asked what it offers. */
  readonly next: AuthHandlerMiddleware = (left: AuthenticationType[] | null, isPartial, next) => {
    if (left === null) return next({ type: 'none', username: this.#user });
    // What a first factor leaves is no news about what the server offers.
    if (!isPartial) this.#offered = left;
    for (let way = this.#ways.shift(); way !== undefined; way = this.#ways.shift()) {
      if (!left.includes(wireName(way.method))) continue;
      this.#tried.push(way.name);
      return next(way.method);
    }
    this.#isOver = true;
    // The types leave out the end.
    (next as (way: AnyAuthMethod | false) => void)(false);
  };

  refused(location: string): RivuletError {
    const offered = this.#offered.join(', ') || 'nothing';
    const tried = this.#tried.join(', ') || 'nothing that it offers';
    const notes = this.#notes.length === 0 ? '' : ` (${this.#notes.join('; ')})`;
    return storageFailed(
      `${location} does not let the user ${this.#user} in: tried ${tried}${notes}; the server offers ${offered}`,
      {
        code: 'CREDENTIALS_FAILED',
        retry: false,
        hint: "Look at the server's log (journalctl -u ssh): it has the reason, which clients are not told.",
        details: { tried: [...this.#tried], offered: [...this.#offered] },
      },
    );
  }
}

/** A failure to prepare that knows what to do about it. */
class Unusable extends Error {
  readonly hint: string;

  constructor(message: string, hint: string, cause?: unknown) {
    super(message, { cause });
    this.hint = hint;
  }
}

function hintFor(error: unknown): string | undefined {
  return error instanceof Unusable ? error.hint : undefined;
}

async function waysIn(options: SftpStoreOptions, library: LoginLibrary): Promise<Way[]> {
  const username = options.user;
  const ways: Way[] = [];
  const key = await keyOf(options, library.parseKey);
  if (key !== undefined) ways.push({ name: key.name, method: { type: 'publickey', username, key: key.key } });
  const agent = agentOf(options);
  if (agent !== undefined) {
    const owned = ownAgent(library.createAgent, agent);
    ways.push({ name: `agent ${agent}`, method: { type: 'agent', username, agent: owned.agent }, owned });
  }
  const password = await readSecret(options.password, 'password');
  if (password !== undefined) {
    ways.push({ name: 'password', method: { type: 'password', username, password } });
    ways.push({ name: 'keyboard-interactive', method: askingFor(password, username) });
  }
  if (ways.length > 0) return ways;
  throw new Unusable(
    'there is neither a key nor a password nor an ssh-agent',
    'Set key-path, password or agent, or start an ssh-agent (SSH_AUTH_SOCK).',
  );
}

/** Many servers ask for the password only this way: each question that hides its answer is for the password. */
function askingFor(password: string, username: string): AnyAuthMethod {
  return {
    type: 'keyboard-interactive',
    username,
    prompt(_name, _instructions, _language, prompts, finish) {
      finish(prompts.map(({ echo }) => (echo === true ? '' : password)));
    },
  };
}

function agentOf({ agentSocket, privateKey, keyPath, password }: SftpStoreOptions): string | undefined {
  if (agentSocket !== undefined) return agentSocket;
  // Keys of an agent that nobody asked for could use up the attempts that the server allows.
  if (privateKey !== undefined || keyPath !== undefined || password !== undefined) return undefined;
  return process.env['SSH_AUTH_SOCK'] || undefined;
}

async function keyOf(
  options: SftpStoreOptions,
  parseKey: ParseKey,
): Promise<{ name: string; key: ParsedKey } | undefined> {
  const { keyPath } = options;
  const name = keyPath === undefined ? 'key' : `key ${keyPath}`;
  const text =
    keyPath === undefined ? await readSecret(options.privateKey, 'private key') : await readKey(keyPath);
  if (text === undefined) return undefined;
  const passphrase = await readSecret(options.passphrase, 'passphrase');
  const parsed = parseKey(text, passphrase);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined || key instanceof Error) throw keyUnusable(name, text, passphrase, key);
  if (!key.isPrivateKey()) {
    throw new Unusable(
      `the ${name} is a public key`,
      'Use the file of the private key, the one without .pub.',
    );
  }
  return { name, key: withoutSha1(key) };
}

async function readKey(path: string): Promise<string> {
  try {
    await using file = await open(path.startsWith('~/') ? join(homedir(), path.slice(2)) : path, 'r');
    const text = await readBounded(file);
    if (PRIVATE_KEY.test(text)) await assertProtected(path, file);
    return text;
  } catch (error) {
    if (error instanceof Unusable) throw error;
    throw new Unusable(
      `the key ${path} cannot be read: ${messageOf(error)}`,
      'The user that Rivulet runs as must be able to read the file.',
      error,
    );
  }
}

/** Everybody may read what is no private key; that it cannot be used is said later. */
const PRIVATE_KEY = /PRIVATE KEY-----|^PuTTY-User-Key-File/m;

/** As `ssh` does. */
async function assertProtected(path: string, file: FileHandle): Promise<void> {
  const facts = await file.stat();
  if (!isUnprotectedKey(facts, process.getuid?.())) return;
  throw new Unusable(
    `the key ${path} is refused: its permissions are ${modeText(facts)}, ${keyExposure(facts) ?? 'open to others'}; expected 0600`,
    `Keep it to its owner: chmod 600 ${path}. If others could read it, replace it.`,
  );
}

/** No key is longer; a path to something else is not read to its end. */
const KEY_FILE_BYTES_MAX = 1024 * 1024;

async function readBounded(file: FileHandle): Promise<string> {
  const buffer = Buffer.alloc(KEY_FILE_BYTES_MAX + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length);
    if (bytesRead === 0) return buffer.toString('utf8', 0, length);
    length += bytesRead;
  }
  throw new Error('it is too long for a key');
}

function keyUnusable(
  name: string,
  text: string,
  passphrase: string | undefined,
  cause: Error | undefined,
): Unusable {
  const why = cause?.message ?? 'it holds no key';
  const isEncrypted = /passphrase|encrypted|integrity/i.test(why);
  if (isEncrypted && passphrase === undefined) {
    return new Unusable(
      `the ${name} needs a passphrase`,
      'Set key-passphrase or key-passphrase-file.',
      cause,
    );
  }
  if (isEncrypted) return new Unusable(`the passphrase of the ${name} is wrong`, 'Correct it.', cause);
  const first = /-----BEGIN [A-Z0-9 ]+-----/.exec(text)?.[0] ?? 'no key that can be recognized';
  return new Unusable(
    `the ${name} has a format that is not supported (${first}): ${why}`,
    'ssh-keygen -p -f FILE writes it anew in the format of OpenSSH; ssh-keygen -t ed25519 makes one that works.',
    cause,
  );
}

function wireName(method: AnyAuthMethod): AuthenticationType {
  return method.type === 'agent' ? 'publickey' : method.type;
}
