/**
 * Objects encrypted with age v1 (c2sp.org/age): the door of this folder. Headers and keys are the business of the npm
 * package `age-encryption`, which is loaded when the first key is; payloads are ours (`age-payload.ts`), for speed.
 *
 * What is written is binary age, as Litestream v0.3.13 writes it.
 */
import { randomBytes } from 'node:crypto';
import type { Decrypter, Encrypter, Identity, Recipient } from 'age-encryption';
import { messageOf, RivuletError } from '../../base/errors.ts';
import { ChunkReader } from '../chunk-reader.ts';
import { ageDamaged, ageInvalid, ageKeyMissing, ageKeyWrong } from './age-error.ts';
import { AGE_MARK_BYTES, isAge, isCutAge, readHeader, RECIPIENTS_MAX } from './age-header.ts';
import { type KeyText, readKeyLines } from './age-keys.ts';
import { passphraseIdentity, passphraseRecipient } from './age-passphrase.ts';
import { openStream, PAYLOAD_NONCE_BYTES, payloadKey, sealBytes, sealStream } from './age-payload.ts';

export interface AgeKeyTexts {
  readonly recipients: readonly KeyText[];
  readonly identities: readonly KeyText[];
  /**
   * Decrypts, and encrypts when there is no recipient: age allows no other recipient beside a passphrase. Each object
   * takes about a second of work then.
   */
  readonly passphrase?: string | undefined;
  /** Base-2 logarithm of that work; 18 unless tests want it done sooner. */
  readonly passphraseWorkFactor?: number;
}

type Library = typeof import('age-encryption');

/** Keys that were checked, and what can be done with them. Safe to use for several objects at a time. */
export class Age {
  readonly #library: Library;
  readonly #recipients: readonly (string | Recipient)[];
  readonly #identities: readonly (string | Identity)[];
  #decrypter: Decrypter | undefined;

  /** Use `openAge`. */
  constructor(
    library: Library,
    recipients: readonly (string | Recipient)[],
    identities: readonly (string | Identity)[],
  ) {
    this.#library = library;
    this.#recipients = recipients;
    this.#identities = identities;
  }

  get canEncrypt(): boolean {
    return this.#recipients.length > 0;
  }

  get canDecrypt(): boolean {
    return this.#identities.length > 0;
  }

  // ---- encryption ------------------------------------------------------------------------------------------------

  async encryptBytes(content: Uint8Array): Promise<Uint8Array> {
    const { head, key } = await this.#begin();
    return sealBytes(key, content, head);
  }

  /** Memory stays at a few chunks of 64 KiB; the source is asked for more only when the result is. */
  async *encrypt(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    const { head, key } = await this.#begin();
    yield head;
    yield* sealStream(key, content);
  }

  /** A new file key, wrapped for every recipient, and the key of a payload. */
  async #begin(): Promise<{ head: Uint8Array; key: Uint8Array }> {
    const { header, fileKey } = await this.#newHeader();
    const nonce = randomBytes(PAYLOAD_NONCE_BYTES);
    return { head: Buffer.concat([header, nonce]), key: payloadKey(fileKey, nonce) };
  }

  /**
   * The library makes headers only together with a payload. A recipient that adds nothing to the header is told the file
   * key, and the payload of nothing is cut off again; its key is not used for anything else, for the nonce is another.
   */
  async #newHeader(): Promise<{ header: Uint8Array; fileKey: Uint8Array }> {
    if (!this.canEncrypt) throw new TypeError('there is no recipient to encrypt to');
    const encrypter: Encrypter = new this.#library.Encrypter();
    for (const recipient of this.#recipients) encrypter.addRecipient(recipient);
    let fileKey: Uint8Array | undefined;
    encrypter.addRecipient({
      wrapFileKey: (given) => {
        fileKey = Uint8Array.from(given);
        return [];
      },
    });
    const empty = await encrypter.encrypt(new Uint8Array(0));
    if (fileKey === undefined) throw new TypeError('the library did not ask every recipient');
    const reader = new ChunkReader(once(empty));
    return { header: await readHeader(await reader.take(AGE_MARK_BYTES), reader), fileKey };
  }

  // ---- decryption ------------------------------------------------------------------------------------------------

  /**
   * What was encrypted. Every byte that comes out is authentic; that they are all is known at the end only.
   *
   * @throws RivuletError `AGE_KEY_MISSING`, `AGE_KEY_WRONG`, `AGE_INVALID` when it is no age object, or not whole
   */
  decrypt(sealed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#decrypt(new ChunkReader(sealed), 'refuse');
  }

  /** As `decrypt`, but an object that is not age comes out as it is, after `onPlain`. */
  decryptIfSealed(
    object: AsyncIterable<Uint8Array>,
    onPlain: () => void,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#decrypt(new ChunkReader(object), onPlain);
  }

  async *#decrypt(
    reader: ChunkReader,
    plain: 'refuse' | (() => void),
  ): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      const mark = await copied(reader, AGE_MARK_BYTES);
      if (isCutAge(mark)) throw ageDamaged('its header is cut off');
      if (!isAge(mark)) {
        if (plain === 'refuse') throw ageDamaged('it does not begin as age objects do');
        plain();
        if (mark.length > 0) yield mark;
        yield* rest(reader);
        return;
      }
      if (!this.canDecrypt) throw ageKeyMissing();
      const fileKey = await this.#fileKeyOf(await readHeader(mark, reader));
      const nonce = await copied(reader, PAYLOAD_NONCE_BYTES);
      if (nonce.length < PAYLOAD_NONCE_BYTES) throw ageDamaged('it ends with its header');
      yield* openStream(payloadKey(fileKey, nonce), reader);
    } finally {
      await reader.close();
    }
  }

  async #fileKeyOf(header: Uint8Array): Promise<Uint8Array> {
    try {
      return await this.#readers().decryptHeader(header);
    } catch (error) {
      if (error instanceof RivuletError) throw error;
      if (/no identity matched/.test(messageOf(error))) throw ageKeyWrong(error);
      throw ageDamaged(`its header is not valid (${messageOf(error)})`, error);
    }
  }

  #readers(): Decrypter {
    if (this.#decrypter !== undefined) return this.#decrypter;
    const decrypter = new this.#library.Decrypter();
    for (const identity of this.#identities) decrypter.addIdentity(identity);
    return (this.#decrypter = decrypter);
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

/** The next bytes in memory of their own: a source may use its memory again. */
async function copied(reader: ChunkReader, bytes: number): Promise<Uint8Array> {
  const into = new Uint8Array(bytes);
  return into.subarray(0, await reader.copyInto(into));
}

const PLAIN_STEP_BYTES = 64 * 1024;

async function* rest(reader: ChunkReader): AsyncGenerator<Uint8Array, void, undefined> {
  for (;;) {
    const bytes = await copied(reader, PLAIN_STEP_BYTES);
    if (bytes.length > 0) yield bytes;
    if (bytes.length < PLAIN_STEP_BYTES) return;
  }
}

/**
 * Reads and checks keys. Identities may lie in a text that is itself encrypted to the passphrase, armored or not, as
 * `age -p` makes it.
 *
 * @throws RivuletError `AGE_INVALID` with the source and line of the key that is wrong, `AGE_KEY_WRONG` when an encrypted
 *   text of identities has another passphrase
 */
export async function openAge(texts: AgeKeyTexts): Promise<Age> {
  const library = await import('age-encryption');
  const { passphrase } = texts;
  const recipients: (string | Recipient)[] = [];
  for (const text of texts.recipients) recipients.push(...checkedRecipients(library, text));
  if (recipients.length > RECIPIENTS_MAX) throw tooManyRecipients(recipients.length);
  if (passphrase !== undefined && recipients.length === 0 && texts.recipients.length === 0) {
    recipients.push(passphraseRecipient(passphrase, library.Stanza, texts.passphraseWorkFactor));
  }
  const unlock = passphrase === undefined ? [] : [passphraseIdentity(passphrase)];
  const identities: (string | Identity)[] = [];
  for (const text of texts.identities) {
    identities.push(...checkedIdentities(library, await unlocked(library, unlock, text)));
  }
  // Last: each try costs a second of work.
  return new Age(library, recipients, [...identities, ...unlock]);
}

function tooManyRecipients(count: number): RivuletError {
  const message = `there are ${count} recipients, and an encrypted object has room for ${RECIPIENTS_MAX}`;
  return ageInvalid(message, {
    hint: 'Encrypt to a key for a whole group, and give its identity to the members.',
  });
}

function checkedRecipients(library: Library, text: KeyText): string[] {
  return readKeyLines('recipient', text).map(({ key, place }) => {
    checkKey(place, 'recipient', () => new library.Encrypter().addRecipient(key));
    return key;
  });
}

function checkedIdentities(library: Library, text: KeyText): string[] {
  return readKeyLines('identity', text).map(({ key, place }) => {
    checkKey(place, 'identity', () => new library.Decrypter().addIdentity(key));
    return key;
  });
}

/** The library's own words are kept out: they may quote the key. */
function checkKey(place: string, kind: string, check: () => void): void {
  try {
    check();
  } catch {
    throw ageInvalid(`${place}: this ${kind} is not valid; it was changed or cut off when it was copied`, {
      hint: 'Compare it with the line that age-keygen printed.',
    });
  }
}

const ARMOR = /^\s*-----BEGIN AGE ENCRYPTED FILE-----/;

async function unlocked(library: Library, unlock: readonly Identity[], text: KeyText): Promise<KeyText> {
  const sealed = sealedTextOf(library, text);
  if (sealed === undefined) return text;
  if (unlock.length === 0) {
    throw ageInvalid(`${text.source} is encrypted with a passphrase, and none is given`, {
      hint: 'Give `passphrase-file` (or `passphrase`) beside it.',
    });
  }
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of new Age(library, [], unlock).decrypt(once(sealed))) chunks.push(chunk);
  } catch (error) {
    if (!(error instanceof RivuletError)) throw error;
    const why = error.code === 'AGE_KEY_WRONG' ? 'the passphrase does not open it' : error.message;
    throw new RivuletError(error.code, `${text.source}: ${why}`, { cause: error });
  }
  return { source: text.source, text: Buffer.concat(chunks).toString('utf8') };
}

/** A text from a file that is age, armored or binary (read as `latin1`); undefined for any other. */
function sealedTextOf(library: Library, { source, text }: KeyText): Uint8Array | undefined {
  if (!ARMOR.test(text))
    return isAge(Buffer.from(text.slice(0, AGE_MARK_BYTES), 'latin1'))
      ? Buffer.from(text, 'latin1')
      : undefined;
  try {
    return library.armor.decode(text);
  } catch (error) {
    throw ageInvalid(`${source} is not a valid armored age file`, { cause: error });
  }
}

/** The public keys that belong to identities, to be shown to people who gave none. @throws as `openAge` does */
export async function recipientsOf({ identities, passphrase }: AgeKeyTexts): Promise<readonly string[]> {
  const library = await import('age-encryption');
  const unlock = passphrase === undefined ? [] : [passphraseIdentity(passphrase)];
  const known: string[] = [];
  for (const text of identities) {
    for (const key of checkedIdentities(library, await unlocked(library, unlock, text))) {
      known.push(await library.identityToRecipient(key));
    }
  }
  return known;
}
