import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { messageOf, systemCode } from '../../src/base/errors.ts';
import { systemHint } from '../../src/base/system-hint.ts';
import { fileFailed } from '../../src/storage/storage-error.ts';

/** As Node.js throws it for an error number that it has no name for. */
function unknownError(number: number): Error {
  const code = `Unknown system error -${number}`;
  const error = new Error(`${code}: ${code}, open '/mnt/x'`);
  return Object.assign(error, { code, errno: -number, syscall: 'open', path: '/mnt/x' });
}

describe('an error of the kernel that Node.js has no name for', () => {
  test('a full quota and a lost path have a name, a text and a hint', () => {
    for (const [number, code, text] of [
      [constants.errno.EDQUOT, 'EDQUOT', 'disk quota exceeded'],
      [constants.errno.ESTALE, 'ESTALE', 'stale file handle'],
    ] as const) {
      const error = unknownError(number);
      assert.equal(systemCode(error), code);
      assert.equal(messageOf(error), `${code}: ${text}, open '/mnt/x'`);
      assert.match(systemHint(error) ?? '', /\w/);
      const failure = fileFailed('write', '/mnt/x', error);
      assert.equal(failure.details['systemCode'], code);
      assert.match(failure.message, new RegExp(`${code}: ${text}`));
      assert.ok(failure.hint);
    }
  });

  test('so has a damaged file system', { skip: process.platform !== 'linux' }, () => {
    assert.equal(systemCode(unknownError(117)), 'EUCLEAN');
    assert.match(systemHint(unknownError(117)) ?? '', /fsck/);
  });

  test('one that nobody knows keeps the words of Node.js, and other errors theirs', () => {
    const unknown = unknownError(9999);
    assert.equal(systemCode(unknown), 'Unknown system error -9999');
    assert.match(messageOf(unknown), /^Unknown system error -9999, open/);
    assert.equal(
      messageOf(new Error('ENOSPC: no space left on device, write')),
      'ENOSPC: no space left on device, write',
    );
  });
});

test('a message that is no text, as a library makes it of a strange answer, is shown all the same', () => {
  const error = Object.assign(new Error(), { message: { IsTruncated: [''] } });
  assert.equal(messageOf(error), '{"IsTruncated":[""]}');
});
