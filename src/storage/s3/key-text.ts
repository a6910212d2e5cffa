/** What the text of keys shows before anybody is asked. */
import { RivuletError } from '../../base/errors.ts';
import type { AwsKeys } from '../aws-keys.ts';

const NAMES = {
  accessKeyId: 'access key id',
  secretAccessKey: 'secret access key',
  sessionToken: 'session token',
} as const;

/** Its name, where one of the keys has a blank at an end. */
export function spacedKey(keys: AwsKeys): string | undefined {
  return nameWhere(keys, (text) => text !== text.trim());
}

/**
 * Line breaks and other control characters are part of no key: they come from the file or the variable that it was copied from.
 *
 * @throws RivuletError `CREDENTIALS_FAILED`
 */
export function assertPrintable(keys: AwsKeys, location: string): void {
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  const broken = nameWhere(keys, (text) => /[\u0000-\u001f\u007f]/.test(text));
  if (broken === undefined) return;
  throw new RivuletError(
    'CREDENTIALS_FAILED',
    `the ${broken} for ${location} holds a line break or another control character`,
    {
      hint: 'It was probably copied along: remove it from the file or variable. `printf %s` writes a value without a line break, `echo` adds one.',
      details: { retry: false },
    },
  );
}

function nameWhere(keys: AwsKeys, isMeant: (text: string) => boolean): string | undefined {
  for (const [field, name] of Object.entries(NAMES))
    if (isMeant(keys[field as keyof typeof NAMES] ?? '')) return name;
  return undefined;
}
