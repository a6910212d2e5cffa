/** From the `age` section of a replica to its keys, and the refusal to start where anything would go out in the clear. */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { isRivuletError, messageOf, RivuletError } from '../base/errors.ts';
import { type Logger, silentLogger } from '../base/log.ts';
import { mayDecrypt } from '../config/age-section.ts';
import { readSecretFile } from '../config/secret-file.ts';
import type { AgeSettings, Config, ReplicaSettings } from '../config/settings.ts';
import type { Age, AgeKeyTexts } from '../codec/age/age.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/** No file of keys is longer; a path to something else is not read to its end. */
const KEY_FILE_BYTES_MAX = 1024 * 1024;

type EncryptedReplica = Pick<ReplicaSettings, 'name' | 'age'>;

/**
 * Reads and checks the keys of a section.
 *
 * @throws RivuletError `AGE_INVALID` for a key that is none, or a file that cannot be read; `AGE_KEY_WRONG` for identities
 *   that are encrypted with another passphrase
 */
export async function openKeys(age: AgeSettings): Promise<Age> {
  const texts = keyTexts(age);
  const { openAge } = await import('../codec/age/age.ts');
  return openAge(texts);
}

function keyTexts(age: AgeSettings): AgeKeyTexts {
  const inline = (key: string, texts: readonly string[]) =>
    texts.map((text, n) => ({ source: texts.length === 1 ? `age.${key}` : `age.${key}[${n}]`, text }));
  const files = (paths: readonly string[]) =>
    paths.map((path) => ({ source: path, text: readKeyFile(path) }));
  return {
    recipients: [...inline('recipients', age.recipients), ...files(age.recipientsFile)],
    identities: [...inline('identities', age.identities), ...files(age.identitiesFile)],
    passphrase: age.passphraseFile === undefined ? age.passphrase : readPassphrase(age.passphraseFile),
  };
}

/** Text, or, where identities are encrypted, the bytes of the file as `latin1`. */
function readKeyFile(path: string): string {
  try {
    const descriptor = openSync(path, 'r');
    try {
      const { size } = fstatSync(descriptor);
      if (size > KEY_FILE_BYTES_MAX) throw new Error('it is too long for a file of keys');
      return readFileSync(descriptor, 'latin1');
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw unreadable(path, messageOf(error), error);
  }
}

function readPassphrase(path: string): string {
  const content = readSecretFile(path);
  if ('problem' in content) throw unreadable(path, content.problem);
  return content.value;
}

function unreadable(path: string, why: string, cause?: unknown): RivuletError {
  return new RivuletError('AGE_INVALID', `the key file ${path} cannot be used: ${why}`, {
    cause,
    hint: 'Check the path, and that this user may read the file.',
    details: { path },
  });
}

/** The store that a replica's settings ask for: `store` itself without an `age` section, encrypted with one. */
export async function withEncryption(
  store: ObjectStore,
  { age }: Pick<ReplicaSettings, 'age'>,
  logger: Logger = silentLogger,
): Promise<ObjectStore> {
  if (age === undefined) return store;
  const keys = await openKeys(age);
  const { encryptedStore } = await import('../storage/encrypted.ts');
  const onPlain = (key: string): void =>
    logger.warn('the replica holds objects that are not encrypted; they are read as they are', { key });
  return encryptedStore(store, keys, { onPlain });
}

/**
 * Refuses to replicate where encryption is configured and would not happen, before anything is stored.
 *
 * @throws RivuletError `CONFIG_INVALID`, and what `openKeys` throws
 */
export async function assertEncryption(config: Pick<Config, 'databases'>): Promise<void> {
  const opened = new Map<string, Promise<Age>>();
  for (const { path, replicas } of config.databases) {
    for (const replica of replicas) await assertReplicaEncrypts(path, replica, opened);
  }
}

/** Thousands of replicas may share their keys, and identities that a passphrase opens take a second of work. */
async function openOnce(age: AgeSettings, opened: Map<string, Promise<Age>>): Promise<Age> {
  const name = JSON.stringify(age);
  const opening = opened.get(name) ?? openKeys(age);
  opened.set(name, opening);
  return opening;
}

async function assertReplicaEncrypts(
  databasePath: string,
  replica: EncryptedReplica & Pick<ReplicaSettings, 'validationIntervalMs'>,
  opened: Map<string, Promise<Age>>,
): Promise<void> {
  const { age, name } = replica;
  if (age === undefined) return;
  const where = `the replica \`${name}\` of ${databasePath}`;
  const keys = await openOnce(age, opened).catch((error: unknown) => {
    throw isRivuletError(error) ? withPlace(error, where) : error;
  });
  if (!keys.canEncrypt) {
    const message = `${where} has an \`age\` section without recipients: there is nobody to encrypt to`;
    throw new RivuletError('CONFIG_INVALID', `${message}, and nothing is stored in the clear`, {
      hint: await hintFor(age),
      details: { replica: name },
    });
  }
  if (replica.validationIntervalMs > 0 && !keys.canDecrypt) {
    const message = `${where} has a \`validation-interval\`, and no \`age.identities\` to read what is validated`;
    throw new RivuletError('CONFIG_INVALID', message, {
      hint: 'Remove `validation-interval` here, and restore where the identities are now and then.',
      details: { replica: name },
    });
  }
}

/** Several replicas have keys; a message about one of them has to say whose it is. */
function withPlace(error: RivuletError, where: string): RivuletError {
  const { code, message, hint, details } = error;
  return new RivuletError(code, `${where}: ${message}`, {
    ...(hint === undefined ? {} : { hint }),
    details,
    cause: error,
  });
}

async function hintFor(age: AgeSettings): Promise<string> {
  if (!mayDecrypt(age))
    return 'Make a pair of keys with age-keygen, and give the public one as `age.recipients`.';
  const { recipientsOf } = await import('../codec/age/age.ts');
  const known = await recipientsOf(keyTexts(age)).catch(() => []);
  if (known.length === 0) return 'Give `age.recipients`: the public keys that belong to the identities.';
  return `Give \`age.recipients\`; to the identities belong: ${known.join(' ')}`;
}
