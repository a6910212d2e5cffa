/**
 * The scrypt stanza of age (c2sp.org/age, "The scrypt recipient type"), computed on a thread: the one of
 * `age-encryption` would stop this process for a second with each object.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import type { Identity, Recipient, Stanza } from 'age-encryption';
import { Mutex } from '../../base/mutex.ts';
import { ageInvalid } from './age-error.ts';

const LABEL = Buffer.from('age-encryption.org/v1/scrypt', 'latin1');
const SALT_BYTES = 16;
const TAG_BYTES = 16;
const FILE_KEY_BYTES = 16;
const BLOCK_SIZE = 8;
/** As the `age` command writes: a second of work, and 256 MiB. */
export const WORK_FACTOR = 18;
/** 2^20 is four seconds and 1 GiB; a stanza that wants more is an attack on whoever reads it. */
const WORK_FACTOR_MAX = 20;
/** Each derivation takes hundreds of megabytes, so there is one at a time in the process. */
const oneAtATime = new Mutex();

/** Makes a stanza; given by the library, which loads late. */
export type StanzaMaker = new (args: string[], body: Uint8Array) => Stanza;

async function derive(passphrase: string, salt: Uint8Array, workFactor: number): Promise<Buffer> {
  const N = 2 ** workFactor;
  const options = { N, r: BLOCK_SIZE, p: 1, maxmem: 2 * 128 * N * BLOCK_SIZE };
  return oneAtATime.run(
    async () =>
      new Promise((resolve, reject) => {
        scrypt(passphrase, Buffer.concat([LABEL, salt]), 32, options, (error, key) =>
          error === null ? resolve(key) : reject(error),
        );
      }),
  );
}

const ZERO_NONCE = Buffer.alloc(12);

function wrap(key: Uint8Array, fileKey: Uint8Array): Uint8Array {
  const cipher = createCipheriv('chacha20-poly1305', key, ZERO_NONCE, { authTagLength: TAG_BYTES });
  const sealed = cipher.update(fileKey);
  cipher.final();
  return Buffer.concat([sealed, cipher.getAuthTag()]);
}

function unwrap(key: Uint8Array, body: Uint8Array): Uint8Array | null {
  const decipher = createDecipheriv('chacha20-poly1305', key, ZERO_NONCE, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(body.subarray(FILE_KEY_BYTES));
  const fileKey = decipher.update(body.subarray(0, FILE_KEY_BYTES));
  try {
    decipher.final();
  } catch {
    return null;
  }
  return fileKey;
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '');
}

/** Encrypts to a passphrase: a new salt, and so a second of work, for every object. */
export function passphraseRecipient(
  passphrase: string,
  stanza: StanzaMaker,
  workFactor: number = WORK_FACTOR,
): Recipient {
  return {
    wrapFileKey: async (fileKey) => {
      const salt = randomBytes(SALT_BYTES);
      const key = await derive(passphrase, salt, workFactor);
      return [new stanza(['scrypt', unpadded(salt), String(workFactor)], wrap(key, fileKey))];
    },
  };
}

/** Decrypts with a passphrase. */
export function passphraseIdentity(passphrase: string): Identity {
  return {
    unwrapFileKey: async (stanzas) => {
      const found = stanzas.find(({ args }) => args[0] === 'scrypt');
      if (found === undefined) return null;
      // Beside another stanza, whoever knows the other key could have written in the name of the passphrase.
      if (stanzas.length !== 1) throw ageInvalid('a passphrase beside other recipients is not valid age');
      const [, salt64 = '', factor = ''] = found.args;
      const salt = Buffer.from(salt64, 'base64');
      const isWellFormed =
        found.args.length === 3 &&
        salt.length === SALT_BYTES &&
        unpadded(salt) === salt64 &&
        /^[1-9]\d?$/.test(factor) &&
        found.body.length === FILE_KEY_BYTES + TAG_BYTES;
      if (!isWellFormed) throw ageInvalid('the scrypt stanza of the encrypted object is malformed');
      if (Number(factor) > WORK_FACTOR_MAX) {
        throw ageInvalid(`the scrypt work factor ${factor} is refused; at most ${WORK_FACTOR_MAX} is read`);
      }
      return unwrap(await derive(passphrase, salt, Number(factor)), found.body);
    },
  };
}
