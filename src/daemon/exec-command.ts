/** How the command of `-exec` is to be started: decided here, purely; `child.ts` starts it. */
import { parseArgsStringToArgv } from 'string-argv';

import { RivuletError } from '../base/errors.ts';

export interface ExecCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** True when a shell runs it, because the command uses the shell's syntax. */
  readonly shell: boolean;
}

/**
 * Plain words, with quotes, are started directly. A command that uses the shell's syntax (`&&`, pipes, redirection,
 * `$VAR`, wildcards, backslashes, leading assignments) goes whole to `/bin/sh -c`: nothing is ever cut off. Throws
 * `USAGE` for an empty command or a quote that is never closed.
 */
export function planExec(command: string): ExecCommand {
  if (command.trim() === '') throw new RivuletError('USAGE', '-exec is empty; expected a command');
  const syntax = scan(command);
  if (syntax === 'unclosed') {
    // The command is not repeated: its arguments may hold a secret.
    throw new RivuletError('USAGE', '-exec has a quote that is never closed');
  }
  if (syntax === 'shell') return { file: '/bin/sh', args: ['-c', command], shell: true };
  const [file = '', ...args] = parseArgsStringToArgv(command);
  return { file, args, shell: false };
}

const SHELL_UNQUOTED = new Set('&|;<>()$`\\*?[]{}~#\n!');
const SHELL_IN_DOUBLE_QUOTES = new Set('$`\\');
const ASSIGNMENT = /^\s*[A-Za-z_]\w*=/;

/** What reading the quotes as a shell does finds: plain words, shell syntax, or a missing quote. */
function scan(command: string): 'words' | 'shell' | 'unclosed' {
  let quote = '';
  let shell = ASSIGNMENT.test(command);
  for (let at = 0; at < command.length; at++) {
    const character = command.charAt(at);
    const special = quote === '' ? SHELL_UNQUOTED : quote === '"' ? SHELL_IN_DOUBLE_QUOTES : undefined;
    if (special?.has(character) === true) shell = true;
    if (character === '\\' && quote !== "'") at++;
    else if (quote !== '' && character === quote) quote = '';
    else if (quote === '' && (character === '"' || character === "'")) quote = character;
  }
  if (quote !== '') return 'unclosed';
  return shell ? 'shell' : 'words';
}
