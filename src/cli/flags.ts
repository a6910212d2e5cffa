/**
 * Flags as Go's `flag` package reads them, which is what Litestream's users and scripts write: long names with one
 * dash or two, `-name value` or `-name=value`, booleans as `-name` or `-name=true|false`. Beyond Go, flags may also
 * follow positional arguments; `--` ends them.
 */
import { RivuletError } from '../base/errors.ts';
import { suggest } from '../base/suggest.ts';

export interface Flag {
  readonly name: string;
  readonly kind: 'boolean' | 'text' | 'count';
  /** What the value is called in help: `PATH`, `NAME`; absent for booleans. */
  readonly value?: string;
  /** Shown in help, and the value when the flag is absent. */
  readonly defaultValue?: string;
  /** The only values allowed, when they can be listed. */
  readonly choices?: readonly string[];
  readonly help: string;
}

export interface ParsedLine {
  readonly flags: FlagValues;
  readonly positionals: readonly string[];
}

/** The values of a command's flags, defaults included. Asking for one that is not declared is a bug. */
export class FlagValues {
  readonly #declared: ReadonlyMap<string, Flag>;
  readonly #given: ReadonlyMap<string, string>;

  constructor(declared: readonly Flag[], given: ReadonlyMap<string, string>) {
    this.#declared = new Map(declared.map((flag) => [flag.name, flag]));
    this.#given = given;
  }

  text(name: string): string | undefined {
    const flag = this.#declared.get(name);
    if (flag === undefined) throw new TypeError(`no flag -${name} is declared`);
    return this.#given.get(name) ?? flag.defaultValue;
  }

  boolean(name: string): boolean {
    return this.text(name) === 'true';
  }

  /** A whole number >= 1. Absence (no default and not given) is undefined. */
  count(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : Number(text);
  }
}

/** Reads what follows a command's name. Throws `USAGE` for anything that the command does not know. */
export function parseLine(declared: readonly Flag[], words: readonly string[]): ParsedLine {
  const given = new Map<string, string>();
  const positionals: string[] = [];
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') {
      positionals.push(...rest.splice(0));
    } else if (!isFlag(word)) {
      positionals.push(word);
    } else {
      const { flag, inline } = findFlag(declared, word);
      given.set(flag.name, checked(flag, inline ?? following(flag, rest)));
    }
  }
  return { flags: new FlagValues(declared, given), positionals };
}

/** A lone dash is a positional argument. */
export function isFlag(word: string): boolean {
  return word.length > 1 && word.startsWith('-');
}

function findFlag(declared: readonly Flag[], word: string): { flag: Flag; inline: string | undefined } {
  const [, name, inline] = /^--?([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
  const flag = declared.find((candidate) => candidate.name === name);
  if (flag !== undefined) return { flag, inline };
  const similar = suggestFlag(name ?? '', declared);
  const hint = similar === undefined ? {} : { hint: `did you mean -${similar}?` };
  throw new RivuletError('USAGE', `there is no flag -${name}`, hint);
}

/** One letter alone is near to every other letter, so it suggests nothing. */
function suggestFlag(name: string, declared: readonly Flag[]): string | undefined {
  const names = declared.map((flag) => flag.name);
  return name.length > 1 ? suggest(name, names) : undefined;
}

function following(flag: Flag, rest: string[]): string {
  if (flag.kind === 'boolean') return 'true';
  const value = rest.shift();
  if (value === undefined)
    throw new RivuletError('USAGE', `-${flag.name} needs a value: ${flag.value ?? 'VALUE'}`);
  return value;
}

const BOOLEANS = new Map([
  ...['true', 'TRUE', 'True', 't', 'T', '1'].map((text) => [text, 'true'] as const),
  ...['false', 'FALSE', 'False', 'f', 'F', '0'].map((text) => [text, 'false'] as const),
]);

function checked(flag: Flag, value: string): string {
  const refuse = (expected: string): never => {
    throw new RivuletError('USAGE', `-${flag.name} is "${value}"; expected ${expected}`);
  };
  if (flag.kind === 'boolean') return BOOLEANS.get(value) ?? refuse('true or false');
  if (flag.kind === 'count' && !/^0*[1-9]\d{0,8}$/.test(value)) return refuse('a whole number, 1 or more');
  if (flag.choices !== undefined && !flag.choices.includes(value))
    return refuse(`one of ${flag.choices.join(', ')}`);
  return value;
}
