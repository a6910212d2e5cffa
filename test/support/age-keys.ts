/** Keys for tests, made anew each time. */
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { type Age, openAge } from '../../src/codec/age/age.ts';

export interface KeyPair {
  readonly identity: string;
  readonly recipient: string;
}

export async function newKeyPair(): Promise<KeyPair> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

export async function ageOf(keys: { recipients?: string[]; identities?: string[] }): Promise<Age> {
  const { recipients = [], identities = [] } = keys;
  return openAge({
    recipients: recipients.map((text, n) => ({ source: `recipients[${n}]`, text })),
    identities: identities.map((text, n) => ({ source: `identities[${n}]`, text })),
  });
}
