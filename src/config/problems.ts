import { RivuletError } from '../base/errors.ts';
import { visibleText } from '../base/visible-text.ts';

/** Something wrong in a configuration file, and where. Lines and columns start at 1. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The key it is about, `dbs[0].replicas[1].retention`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

/** Problems in the message. */
const SHOWN_MAX = 20;

/** `file:line:column: path: message`, which editors and terminals can open. */
export function formatProblem(problem: Problem): string {
  const about = problem.path === '' ? '' : `${problem.path}: `;
  return visibleText(`${problem.file}:${problem.line}:${problem.column}: ${about}${problem.message}`);
}

/**
 * One error for all problems of a file, in the order of the file, one line each; one mistake can make many.
 *
 * @param warnings - shown below, as they often are the reason: a variable that is not set
 * @returns a `RivuletError` CONFIG_INVALID; `details.list` holds the problems.
 */
export function configInvalid(problems: readonly Problem[], warnings: readonly Problem[] = []): RivuletError {
  const list = [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
  const shown = list.slice(0, SHOWN_MAX).map(formatProblem);
  if (list.length > SHOWN_MAX) shown.push(`and ${list.length - SHOWN_MAX} more`);
  for (const warning of warnings.slice(0, SHOWN_MAX)) shown.push(`warning: ${formatProblem(warning)}`);
  return new RivuletError('CONFIG_INVALID', shown.join('\n'), {
    hint: 'Correct the file; docs/configuration.md lists every key.',
    details: { list },
    isMultiline: true,
  });
}
