import { isRivuletError, messageOf } from '../base/errors.ts';
import type { Output } from './command.ts';

/**
 * Says what went wrong: for people a line with the code at its end, and a hint; for machines one JSON object. A bug shows
 * its stack.
 */
export function writeError(output: Output, error: unknown, asJson: boolean): void {
  if (asJson) {
    output.write(`${JSON.stringify({ error: describe(error) })}\n`);
    return;
  }
  if (!isRivuletError(error)) {
    const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
    output.write(`rivulet: unexpected error; this is a bug, please report it\n${trace}\n`);
    return;
  }
  // What is wrong with a command line is all said; there is nothing to look up.
  const code = error.code === 'USAGE' ? '' : ` [${error.code}]`;
  output.write(`rivulet: ${error.message}${code}\n`);
  if (error.hint !== undefined) output.write(`  hint: ${error.hint}\n`);
}

function describe(error: unknown): Record<string, unknown> {
  if (!isRivuletError(error)) return { code: 'UNEXPECTED', message: messageOf(error) };
  const { code, message, hint, details } = error;
  return { code, message, hint, ...(Object.keys(details).length > 0 && { details }) };
}
