/** What the `age` section of a replica asks for, by what is written there alone; keys in files are not read. Pure. */
import type { AgeSettings } from './settings.ts';

/** Whether identities, or a passphrase, are given: who has none can encrypt, and cannot read. */
export function mayDecrypt(age: AgeSettings): boolean {
  const { identities, identitiesFile, passphrase, passphraseFile } = age;
  return [...identities, ...identitiesFile].length > 0 || (passphrase ?? passphraseFile) !== undefined;
}

/** The section with more files of identities, or another passphrase's file, for one command. */
export function withIdentities(
  age: AgeSettings | undefined,
  more: { readonly identitiesFile: readonly string[]; readonly passphraseFile: string | undefined },
): AgeSettings {
  const given = age ?? {
    identities: [],
    identitiesFile: [],
    recipients: [],
    recipientsFile: [],
    passphrase: undefined,
    passphraseFile: undefined,
  };
  const identitiesFile = [...given.identitiesFile, ...more.identitiesFile];
  if (more.passphraseFile === undefined) return { ...given, identitiesFile };
  return { ...given, identitiesFile, passphrase: undefined, passphraseFile: more.passphraseFile };
}
