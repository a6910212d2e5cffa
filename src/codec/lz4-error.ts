import { RivuletError } from '../base/errors.ts';

/**
 * An object that is not what an LZ4 frame should be.
 * @param offsetBytes where in the compressed bytes the wrong thing begins
 */
export function lz4Invalid(problem: string, offsetBytes: number, cause?: unknown): RivuletError {
  return new RivuletError('LZ4_INVALID', `not a valid LZ4 frame: ${problem} (at byte ${offsetBytes})`, {
    cause,
    hint: 'Fetch the object again; if it stays so, it is damaged or incomplete where it is stored.',
    details: { offsetBytes },
  });
}
