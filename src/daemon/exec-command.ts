/** How the command of `-exec` is to be started: decided here, purely; `child.ts` starts it. */
import { RivuletError } from '../base/errors.ts';

export interface ExecCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** True when a shell runs it, because the command uses the shell's operators. */
  readonly shell: boolean;
}

/**
 * Words are split as Litestream v0.3.13 splits them, and given to the program as they are: at blanks and line breaks, with quotes and
 * backslashes, and nothing else means anything. Wildcards, `$VAR`, `~`, `#` and `!` are no business of ours.
 *
 * Where v0.3.13 cuts the command off, or refuses it, a shell runs all of it: at an operator (`;`, `&`, `|`, `<`, `>`, parentheses) outside of
 * quotes, and with assignments before the command.
 *
 * @throws RivuletError `USAGE` for an empty command, or a quote that is never closed
 */
export function planExec(command: string): ExecCommand {
  if (command.trim() === '') throw new RivuletError('USAGE', '-exec is empty; expected a command');
  const words = new WordReader(command).read();
  if (words === 'unclosed') {
    // The command is not repeated: its arguments may hold a secret.
    throw new RivuletError('USAGE', '-exec has a quote that is never closed, or a backslash at its end');
  }
  if (words === 'shell' || ASSIGNMENT.test(command)) {
    return { file: '/bin/sh', args: ['-c', command], shell: true };
  }
  const [file = '', ...args] = words;
  return { file, args, shell: false };
}

const ASSIGNMENT = /^\s*[A-Za-z_]\w*=/;
const BLANKS = new Set(' \t\r\n');
const OPERATORS = new Set(';&|<>()');

/** What a character stands in: nothing, quotes of either kind, `...` or $(...). The last two stay in the word, blanks included. */
type Within = '' | '"' | "'" | '`' | '$(';

class WordReader {
  readonly #command: string;
  readonly #words: string[] = [];
  /** Undefined between two words; empty quotes make an empty one. */
  #word: string | undefined;
  #within: Within = '';

  constructor(command: string) {
    this.#command = command;
  }

  read(): readonly string[] | 'shell' | 'unclosed' {
    let isEscaped = false;
    let hasOperator = false;
    for (const character of this.#command) {
      if (isEscaped) this.#add(character);
      else if (character === '\\' && this.#within !== "'") {
        isEscaped = true;
        continue;
      } else if (!this.#opensOrCloses(character)) {
        hasOperator ||= this.#within === '' && OPERATORS.has(character);
        if (this.#within === '' && BLANKS.has(character)) this.#endWord();
        else this.#add(character);
      }
      isEscaped = false;
    }
    if (isEscaped || this.#within === '"' || this.#within === "'") return 'unclosed';
    // What a shell would say of it, it says better.
    if (hasOperator || this.#within !== '') return 'shell';
    this.#endWord();
    return this.#words;
  }

  #opensOrCloses(character: string): boolean {
    const within = this.#within;
    if (character === '"' || character === "'") {
      if (within !== '' && within !== character) return false;
      this.#within = within === '' ? character : '';
      this.#add('');
      return true;
    }
    if (character === '`' && (within === '' || within === '`')) this.#within = within === '' ? '`' : '';
    else if (character === '(' && within === '' && this.#word?.endsWith('$') === true) this.#within = '$(';
    else if (character === ')' && within === '$(') this.#within = '';
    else return false;
    this.#add(character);
    return true;
  }

  #add(text: string): void {
    this.#word = (this.#word ?? '') + text;
  }

  #endWord(): void {
    if (this.#word !== undefined) this.#words.push(this.#word);
    this.#word = undefined;
  }
}
