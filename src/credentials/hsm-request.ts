/**
 * A process of its own for one request whose TLS key is in an HSM. Not in the main process, because OpenSSL's engine cannot be used any
 * more in a process where it once failed (a wrong PIN, a token that is not plugged in), prints the URI with the PIN to standard
 * error, and signs on the calling thread, which takes long with small HSMs.
 */
import { text } from 'node:stream/consumers';

import { trustAuthorities } from '../base/authorities.ts';
import type { HsmJob, HsmReply } from './hsm-job.ts';
import { ask } from './http.ts';

async function answer(job: HsmJob): Promise<HsmReply> {
  try {
    // What the environment names; a file of the job's own stands in for all others.
    trustAuthorities([], process.env);
    return await ask({
      url: new URL(job.url),
      headers: job.headers,
      timeoutMs: job.timeoutMs,
      signal: new AbortController().signal,
      tls: {
        cert: job.certificate,
        privateKeyEngine: job.engine,
        privateKeyIdentifier: job.key,
        ...(job.authorities === undefined ? {} : { ca: job.authorities }),
      },
    });
  } catch (error) {
    return { error: describe(error) };
  }
}

/** OpenSSL tells what happened first last, in a stack of its own. */
function describe(error: unknown): { code: string | undefined; text: string } {
  const { code, message, opensslErrorStack } = error as Error & {
    code?: string;
    opensslErrorStack?: string[];
  };
  return { code, text: [message, ...(opensslErrorStack ?? [])].join('; ') };
}

const job = JSON.parse(await text(process.stdin)) as HsmJob;
process.stdout.write(JSON.stringify(await answer(job)));
