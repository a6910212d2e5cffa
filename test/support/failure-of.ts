import assert from 'node:assert/strict';
import { RivuletError } from '../../src/base/errors.ts';

/** The error with which `call` must end. */
export async function failureOf(call: Promise<unknown>): Promise<RivuletError> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof RivuletError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: 'nothing failed' });
}
