/** A command is data: help, parsing and errors are derived from it, so they cannot disagree. */
import type { Clock } from '../base/clock.ts';
import type { Flag, FlagValues } from './flags.ts';
import type { SignalWatch } from './signals.ts';

export interface Argument {
  /** As help shows it: `DB_PATH|REPLICA_URL`. */
  readonly name: string;
  readonly help: string;
  readonly optional?: boolean;
  /** The last argument only: any number of words more. */
  readonly repeated?: boolean;
}

export interface Example {
  readonly command: string;
  readonly does: string;
}

/** A name and what it means, as in the lists of environment variables and exit codes. */
export interface Note {
  readonly name: string;
  readonly help: string;
}

export interface Command {
  readonly name: string;
  /** One line, no full stop. */
  readonly summary: string;
  /** What it does and when to use it: a few sentences. */
  readonly description: string;
  readonly arguments: readonly Argument[];
  readonly flags: readonly Flag[];
  readonly examples: readonly Example[];
  readonly environment?: readonly Note[];
  /** Codes beside 0 and 1, or what these mean here. */
  readonly exitCodes?: readonly Note[];
  /** Resolves to the exit code. Imports what is heavy only when it is called. */
  run(context: CommandContext): Promise<number>;
}

/** Where text goes; `screenOn` makes it. */
export interface Output {
  /** All but line breaks is shown, whatever it is. */
  write(text: string): unknown;
  /** As it is: for terminal codes of our own, and for lines in which everything was made visible before. */
  writeCodes(text: string): unknown;
  readonly isTTY: boolean;
  /** Undefined where it is no terminal. */
  readonly columns: number | undefined;
}

/** All that a command may know about the world. */
export interface CommandContext {
  readonly flags: FlagValues;
  readonly arguments: readonly string[];
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly signals: SignalWatch;
}
