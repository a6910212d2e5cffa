import { homedir } from 'node:os';

import { Places } from './places.ts';
import type { Place } from './places.ts';
import { configInvalid } from './problems.ts';
import type { Problem } from './problems.ts';
import type { Given } from './key-spec.ts';
import { readRoot } from './read-section.ts';
import { BudgetExceeded, ReadingBudget } from './reading-budget.ts';
import type { Reading } from './reading.ts';
import { resolveConfig } from './resolve-config.ts';
import type { Config } from './settings.ts';
import { readSecretFile } from './secret-file.ts';
import type { Settling } from './settle.ts';
import { parseYaml } from './yaml-source.ts';

export interface ParseOptions {
  /** The file's name, for messages. */
  readonly file: string;
  /** Replace `$NAME` and `${NAME}` in values; default true. */
  readonly expandsEnvironment?: boolean;
  /** Default `process.env`. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Where relative paths start; default the working directory. */
  readonly cwd?: string;
  /** What `~` is; default the user's home directory. */
  readonly home?: string;
}

export interface ParsedConfig {
  readonly config: Config;
  /** What is probably not meant but not wrong either, as unset variables; same shape as problems. */
  readonly warnings: readonly Problem[];
}

/**
 * The settings that a configuration file's text describes.
 *
 * @throws RivuletError CONFIG_INVALID with all problems of the text, each with its line and column.
 */
export function parseConfig(text: string, options: ParseOptions): ParsedConfig {
  const environment = options.environment ?? process.env;
  const source = parseYaml(text, options.expandsEnvironment ?? true);
  const notes = new Notes(options.file);
  for (const { message, ...position } of source.syntaxProblems)
    notes.problem({ ...position, path: '' }, message);
  if (!source.isUsable) throw configInvalid(notes.problems);

  const places = new Places();
  const reading: Reading = {
    source,
    environment,
    places,
    budget: new ReadingBudget(text.length),
    problem: (place, message) => notes.problem(place, message),
    warning: (place, message) => notes.warning(place, message),
  };
  const given = readWithin(reading);
  const config = resolveConfig(given, settlingFor(options, environment, places, notes));
  if (notes.problems.length > 0) throw configInvalid(notes.problems, notes.warnings);
  return { config, warnings: notes.warnings };
}

/** The values of the file; its problems alone when there are too many values or problems. */
function readWithin(reading: Reading): Given<'root'> {
  try {
    return readRoot(reading);
  } catch (error) {
    if (!(error instanceof BudgetExceeded)) throw error;
    reading.problem(error.place, error.message);
    return {};
  }
}

function settlingFor(
  options: ParseOptions,
  environment: NodeJS.ProcessEnv,
  places: Places,
  notes: Notes,
): Settling {
  return {
    cwd: options.cwd ?? process.cwd(),
    home: options.home ?? homedir(),
    environment,
    readSecretFile,
    has: (section, property) => places.has(section, property),
    wasReported: (section, property) => notes.hasProblemAt(places.of(section, property).path),
    describe: (section) => places.of(section).path,
    problem: (section, property, message) => notes.problem(places.of(section, property), message),
    warning: (section, property, message) => notes.warning(places.of(section, property), message),
  };
}

/** So many problems, and so many warnings, of one file are kept: one mistake behind an alias can be repeated thousands of times. */
const NOTES_MAX = 500;

/** Collects what is said about one file. */
class Notes {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  problem(place: Place, message: string): void {
    this.problems.push({ file: this.#file, ...place, message });
    // More would change nothing but the time that it takes.
    if (this.problems.length >= NOTES_MAX) throw configInvalid(this.problems, this.warnings);
  }

  warning(place: Place, message: string): void {
    if (this.warnings.length < NOTES_MAX) this.warnings.push({ file: this.#file, ...place, message });
  }

  hasProblemAt(path: string): boolean {
    return this.problems.some((problem) => problem.path === path);
  }
}
