/**
 * A read that the system refused, told apart from content that is not what it should be. The first says nothing about the
 * file: the same bytes may be read a moment later. Only the second is a reason to conclude anything.
 */
import { isRivuletError, systemCode } from './errors.ts';

/** As the system names its errors (EIO, ESTALE, ENOMEM); the names that Node.js makes have an underscore. */
const SYSTEM_CODE = /^E[A-Z0-9]+$/;
/** The file is not there: that is a fact about it. */
const SAYS_GONE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR']);

/** Whether `error` only says that something could not be read at this moment. */
export function isReadFailure(error: unknown): boolean {
  const cause = isRivuletError(error, 'DB_UNREADABLE', 'STATE_INVALID') ? error.cause : error;
  const code = systemCode(cause);
  return code !== undefined && SYSTEM_CODE.test(code) && !SAYS_GONE.has(code);
}
