/** Asks a control socket. */
import { request } from 'node:http';

import { messageOf, RivuletError, systemCode } from '../base/errors.ts';

/** A process that is alive answers at once; one that is stopped or hangs does not. */
const PATIENCE_MS = 5_000;
/** For all of an answer: one that comes byte by byte is none of ours. */
const ANSWER_MS_MAX = 30_000;
/** Answers are small; more is not from us. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/**
 * The JSON that is answered to GET of `path`.
 *
 * @returns undefined when nobody listens there
 * @throws RivuletError `UNSUPPORTED` for an answer that is none of ours, `STALLED` when none comes, `STATE_INVALID` when the socket may not be used
 */
export async function askSocket(socketPath: string, path: string): Promise<unknown> {
  try {
    return JSON.parse(await get(socketPath, path));
  } catch (error) {
    if (error instanceof RivuletError) throw error;
    if (error instanceof SyntaxError) {
      throw new RivuletError('UNSUPPORTED', `who listens on ${socketPath} gives no answer of Rivulet`, {
        cause: error,
      });
    }
    if (['ENOENT', 'ECONNREFUSED', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined;
    throw new RivuletError('STATE_INVALID', `cannot ask on ${socketPath}: ${messageOf(error)}`, {
      cause: error,
      hint: 'Ask as the user that Rivulet runs as, or give others a socket with `socket.path` and `socket.permissions`.',
    });
  }
}

async function get(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, path, timeout: PATIENCE_MS, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > ANSWER_BYTES_MAX) asking.destroy(new SyntaxError('too long'));
      });
      response.on('end', () => resolve(text));
      response.on('error', reject);
    });
    asking.on('timeout', () => {
      const message = `the process behind ${socketPath} does not answer`;
      const hint = 'It is stopped, or hangs: look at it, and restart it.';
      asking.destroy(new RivuletError('STALLED', message, { hint }));
    });
    const late = setTimeout(() => asking.destroy(new SyntaxError('too slow')), ANSWER_MS_MAX);
    asking.on('close', () => clearTimeout(late));
    asking.on('error', reject);
    asking.end();
  });
}
