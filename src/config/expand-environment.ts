/**
 * `$NAME` and `${NAME}` in a configuration file.
 *
 * v0.3.13 replaces them in the text before the YAML is parsed, so a password with a quote, a `#` or a line break changes
 * what the rest of the file means. Here the YAML is parsed first and variables are replaced in the *values*: a variable can
 * only ever be (part of) the value it stands in, and lines keep their numbers. Because every value is read by the kind its
 * key has, `sync-interval: $INTERVAL` or `stderr: $FLAG` still work. Keys, comments and structure are not expanded.
 */

/** Said of a value of which nothing was left. */
export const EMPTIED_BY_VARIABLE = 'is empty, because the environment variable in it is not set or empty';

const VARIABLE = /\$(?:(\$)|\{([^{}\r\n]*)\}|([A-Za-z_][A-Za-z0-9_]*))/g;
const WITH_DEFAULT = /^([A-Za-z_][A-Za-z0-9_]*):-(.*)$/s;
const BRACED = /\$\$|\$\{[^{}\r\n]*\}/g;

/** Private-use characters that stand for the braces of `${NAME}` while YAML, where braces mean a map, is parsed. */
const OPEN = '\uE000';
const CLOSE = '\uE001';

/** Hides the braces of `${NAME}` from the YAML parser. The text keeps its length, so positions stay right. */
export function hideBraces(text: string): string {
  return text.replace(BRACED, (found) => found.replace('{', OPEN).replace('}', CLOSE));
}

/** Undoes `hideBraces`. */
export function showBraces(text: string): string {
  return text.replaceAll(OPEN, '{').replaceAll(CLOSE, '}');
}

export interface Expansion {
  readonly text: string;
  /** Names that were replaced, with the text that stood for them. */
  readonly variables: readonly ExpandedVariable[];
}

export interface ExpandedVariable {
  readonly name: string;
  /** `$NAME` or `${NAME}`. */
  readonly written: string;
  readonly isSet: boolean;
  /** `${NAME:-text}` says what stands for it where it is not set, or empty. */
  readonly hasDefault: boolean;
}

/**
 * Replaces the variables of one value. `$$` is a literal `$`; an unset variable becomes the empty text, or the one behind
 * `:-` as in a shell.
 */
export function expandVariables(text: string, environment: NodeJS.ProcessEnv): Expansion {
  const variables: ExpandedVariable[] = [];
  const expanded = text.replace(
    VARIABLE,
    (written: string, dollar?: string, braced?: string, bare?: string) => {
      if (dollar !== undefined) return '$';
      const [, name = braced ?? bare ?? '', otherwise] = WITH_DEFAULT.exec(braced ?? '') ?? [];
      const value = environment[name];
      const hasDefault = otherwise !== undefined;
      variables.push({ name, written, isSet: value !== undefined, hasDefault });
      return value === undefined || (value === '' && hasDefault) ? (otherwise ?? '') : value;
    },
  );
  return { text: expanded, variables };
}
