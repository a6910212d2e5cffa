import { RivuletError } from '../../base/errors.ts';

/**
 * A key or an object that is not valid age.
 * @param problem - never holds an identity or a passphrase
 */
export function ageInvalid(problem: string, options: { hint?: string; cause?: unknown } = {}): RivuletError {
  return new RivuletError('AGE_INVALID', problem, options);
}

/** An encrypted object that is not as it was written: cut off, or changed. */
export function ageDamaged(problem: string, cause?: unknown): RivuletError {
  return ageInvalid(`the encrypted object is damaged: ${problem}`, {
    cause,
    hint: 'Fetch the object again; if it stays so, it is damaged or incomplete where it is stored.',
  });
}

export function ageKeyMissing(): RivuletError {
  return new RivuletError('AGE_KEY_MISSING', 'the object is encrypted with age and no identity was given', {
    hint: 'Give the identity of one of its recipients: -age-identity-file PATH, or `age.identities` in the configuration.',
  });
}

export function ageKeyWrong(cause?: unknown): RivuletError {
  const message = 'the object is encrypted with age to other identities than those that were given';
  return new RivuletError('AGE_KEY_WRONG', message, {
    cause,
    hint: 'Give the identity that belongs to a recipient of that time; several are possible.',
  });
}
