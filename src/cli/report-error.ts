import { isRivuletError, messageOf } from '../base/errors.ts';
import { visibleText } from '../base/visible-text.ts';
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
    output.write(`rivulet: unexpected error; this is a bug, please report it\n${indented(trace)}\n`);
    return;
  }
  // What is wrong with a command line is all said; there is nothing to look up.
  const code = error.code === 'USAGE' ? '' : ` [${error.code}]`;
  output.write(`rivulet: ${error.message}${code}\n`);
  if (error.hint !== undefined) output.write(`  hint: ${error.hint}\n`);
}

/** What the error quotes may have line breaks: no line of it can pass for one of ours. */
function indented(trace: string): string {
  return trace
    .split('\n')
    .map((line) => `  ${visibleText(line)}`)
    .join('\n');
}

function describe(error: unknown): Record<string, unknown> {
  if (!isRivuletError(error)) return { code: 'UNEXPECTED', message: messageOf(error) };
  const { code, message, hint, details } = error;
  return { code, message, hint, ...(Object.keys(details).length > 0 && { details }) };
}
