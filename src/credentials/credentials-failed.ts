import { RivuletError } from '../base/errors.ts';
import { storageFailed } from '../storage/storage-error.ts';

/**
 * No keys from a source.
 *
 * @param source - the source's description
 * @param why - one clause without a secret
 */
export function credentialsFailed(
  source: string,
  why: string,
  options: { cause?: unknown; hint?: string; retry?: boolean; details?: Record<string, unknown> } = {},
): RivuletError {
  const { cause, hint, retry = true, details } = options;
  return storageFailed(`no credentials from ${source}: ${why}`, {
    code: 'CREDENTIALS_FAILED',
    retry,
    hint,
    cause,
    details: { ...details, source, why },
  });
}

/** The clause behind the source's name, when `error` was made above; else its text. */
export function whyOf(error: unknown): string {
  if (error instanceof RivuletError && typeof error.details['why'] === 'string') return error.details['why'];
  return error instanceof Error ? error.message : String(error);
}
