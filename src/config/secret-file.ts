import { closeSync, openSync, readSync } from 'node:fs';

import { messageOf } from '../base/errors.ts';

/** No secret is longer; a path to something else (a device, a database) is not read to its end. */
const LONGEST_BYTES = 64 * 1024;

/** The secret, or a sentence that says why there is none, completing "`password-file` ...". */
export type SecretFileContent = { readonly value: string } | { readonly problem: string };

/** The content of a file that holds one secret, without the line's end after it. */
export function readSecretFile(path: string): SecretFileContent {
  let bytes: Buffer;
  try {
    bytes = readBounded(path);
  } catch (error) {
    return { problem: `cannot be read: ${messageOf(error)}` };
  }
  if (bytes.length > LONGEST_BYTES) return { problem: `is not a file with a secret: ${path} is too long` };
  const value = bytes.toString('utf8').replace(/\r?\n$/, '');
  return value === '' ? { problem: `is a file without content: ${path}` } : { value };
}

function readBounded(path: string): Buffer {
  const buffer = Buffer.alloc(LONGEST_BYTES + 1);
  const descriptor = openSync(path, 'r');
  try {
    let length = 0;
    while (length < buffer.length) {
      const count = readSync(descriptor, buffer, length, buffer.length - length, null);
      if (count === 0) break;
      length += count;
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(descriptor);
  }
}
