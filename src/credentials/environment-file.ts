/**
 * The format of systemd's `EnvironmentFile`, as systemd.exec(5) describes it and its `env-file.c` reads it: `NAME=value`
 * lines, comments with `#` or `;`, single quotes (nothing is special inside), double quotes (`\` before `"`, `\`, `` ` `` and
 * `$`), unquoted values (`\` makes any character plain, white space around is dropped), and `\` at the end of a line,
 * which goes on in the next. Nothing is expanded.
 */

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const ESCAPED_IN_DOUBLE_QUOTES = '"\\`$';
const BLANK = ' \t\r';

/**
 * All assignments; a later one of the same name wins.
 *
 * @throws Error with one clause when a quote is never closed: then the file is not whole
 */
export function parseEnvironmentFile(text: string): Map<string, string> {
  const variables = new Map<string, string>();
  const reader = new Reader(text.replace(/^\uFEFF/, ''));
  while (!reader.atEnd) {
    const assignment = reader.assignment();
    if (assignment !== undefined) variables.set(assignment.name, assignment.value);
  }
  return variables;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** The assignment on this line, if there is one; goes on behind it. */
  assignment(): { name: string; value: string } | undefined {
    while (!this.atEnd && (BLANK.includes(this.#peek()) || this.#peek() === '\n')) this.#at++;
    if (this.#peek() === '#' || this.#peek() === ';') return this.#skipLine();
    const lineEnd = this.#lineEnd();
    const equals = this.#text.indexOf('=', this.#at);
    if (equals < 0 || equals > lineEnd) return this.#skipLine();
    const name = this.#text.slice(this.#at, equals).trim();
    this.#at = equals + 1;
    const value = this.#value();
    return NAME.test(name) ? { name, value } : undefined;
  }

  /** Quoted parts, one behind another, and then what is not quoted: there quotes are plain characters. */
  #value(): string {
    let value = '';
    for (;;) {
      this.#skipBlanks();
      const character = this.#take();
      if (character === "'") value += this.#singleQuoted();
      else if (character === '"') value += this.#doubleQuoted();
      else if (character === '' || character === '\n') return value;
      else {
        this.#at--;
        return value + this.#unquoted();
      }
    }
  }

  #unquoted(): string {
    let value = '';
    /** How much of it stays when white space at its end is dropped. */
    let kept = 0;
    while (!this.atEnd) {
      const character = this.#take();
      if (character === '\n') break;
      value += character === '\\' ? this.#escaped() : character;
      if (!BLANK.includes(character)) kept = value.length;
    }
    return value.slice(0, kept);
  }

  #skipBlanks(): void {
    while (!this.atEnd && BLANK.includes(this.#peek())) this.#at++;
  }

  /** What stands behind a backslash: the end of a line is passed over. */
  #escaped(): string {
    const character = this.#take();
    return character === '\n' ? '' : character;
  }

  #singleQuoted(): string {
    const end = this.#text.indexOf("'", this.#at);
    if (end < 0) throw new Error('a single quote is never closed');
    const part = this.#text.slice(this.#at, end);
    this.#at = end + 1;
    return part;
  }

  #doubleQuoted(): string {
    let part = '';
    while (!this.atEnd) {
      const character = this.#take();
      if (character === '"') return part;
      if (character !== '\\') part += character;
      else if (ESCAPED_IN_DOUBLE_QUOTES.includes(this.#peek())) part += this.#take();
      else if (this.#peek() === '\n') this.#at++;
      else part += character;
    }
    throw new Error('a double quote is never closed');
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #take(): string {
    return this.#text.charAt(this.#at++);
  }

  #lineEnd(): number {
    const end = this.#text.indexOf('\n', this.#at);
    return end < 0 ? this.#text.length : end;
  }

  #skipLine(): undefined {
    this.#at = this.#lineEnd() + 1;
    return undefined;
  }
}
