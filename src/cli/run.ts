/** From the words of a command line to an exit code: find the command, read its flags, run it, report what went wrong. */
import { systemClock } from '../base/clock.ts';
import { isRivuletError, RivuletError } from '../base/errors.ts';
import { suggest } from '../base/suggest.ts';
import type { Command, CommandContext } from './command.ts';
import { COMMAND_NAMES, loadCommand } from './commands.ts';
import { EXIT_FAILED, EXIT_FINAL_SYNC_FAILED, EXIT_OK, exitCodeOfSignal } from './exit-codes.ts';
import { isFlag, parseLine } from './flags.ts';
import type { ParsedLine } from './flags.ts';
import { formatCommandHelp, formatOverview } from './help.ts';
import { writeError } from './report-error.ts';
import { screenOn } from './screen.ts';
import type { TextStream } from './screen.ts';
import { watchSignals } from './signals.ts';
import type { SignalWatch } from './signals.ts';

export interface World {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const HELP_FLAG = /^--?(h|help)$/;
const VERSION_FLAG = /^--?version$/;
const JSON_FLAG = /^--?json(=(true|TRUE|True|t|T|1))?$/;

/** Runs one command line, without the program's name. Never throws for what people can cause. */
export async function runCommandLine(words: readonly string[], world: World = process): Promise<number> {
  using signals = watchSignals();
  try {
    return await dispatch(words, world, signals);
  } catch (error) {
    writeError(
      screenOn(world.stderr),
      error,
      words.some((word) => JSON_FLAG.test(word)),
    );
    return exitCodeOf(error, signals);
  }
}

async function dispatch(words: readonly string[], world: World, signals: SignalWatch): Promise<number> {
  const [first, ...rest] = words;
  if (first === undefined || HELP_FLAG.test(first)) return showHelp(rest, world);
  if (first === 'help') return showHelp(HELP_FLAG.test(rest[0] ?? '') ? ['help'] : rest, world);
  const command = await findCommand(VERSION_FLAG.test(first) ? 'version' : first);
  if (asksForHelp(command, rest)) return showHelp([command.name], world);
  const line = parseLine(command.flags, rest);
  checkArguments(command, line);
  const context: CommandContext = {
    flags: line.flags,
    arguments: line.positionals,
    stdout: screenOn(world.stdout),
    stderr: screenOn(world.stderr),
    env: world.env,
    clock: systemClock,
    signals,
  };
  return command.run(context);
}

async function findCommand(name: string): Promise<Command> {
  const command = await loadCommand(name);
  if (command !== undefined) return command;
  const what = isFlag(name)
    ? `a flag, ${name}, stands where a command is expected`
    : `there is no command "${name}"`;
  const similar = suggest(name, COMMAND_NAMES);
  const hint =
    similar === undefined
      ? 'run "rivulet help" for the list of commands'
      : `did you mean "rivulet ${similar}"?`;
  throw new RivuletError('USAGE', what, { hint });
}

/** `-h` counts only as a flag of its own, not as the value of another one. */
function asksForHelp(command: Command, words: readonly string[]): boolean {
  return words.some((word, position) => {
    const before = words[position - 1];
    const isValue = command.flags.some(
      ({ name, kind }) => kind !== 'boolean' && (before === `-${name}` || before === `--${name}`),
    );
    return HELP_FLAG.test(word) && !isValue;
  });
}

function checkArguments(command: Command, { positionals }: ParsedLine): void {
  const hint = `run "rivulet ${command.name} -h" for what it takes`;
  const missing = command.arguments[positionals.length];
  if (missing !== undefined && missing.optional !== true) {
    throw new RivuletError('USAGE', `${command.name} needs ${missing.name}: ${missing.help}`, { hint });
  }
  const unbounded = command.arguments.at(-1)?.repeated === true;
  const surplus = positionals[command.arguments.length];
  if (surplus !== undefined && !unbounded) {
    throw new RivuletError(
      'USAGE',
      `${command.name} does not take "${surplus}"; there are too many arguments`,
      {
        hint,
      },
    );
  }
}

/** Help that was asked for is a success: exit 0, on stdout. */
async function showHelp(words: readonly string[], world: World): Promise<number> {
  const [name, surplus] = words.filter((word) => !HELP_FLAG.test(word));
  if (surplus !== undefined) {
    throw new RivuletError('USAGE', `help takes one command, not also "${surplus}"`);
  }
  screenOn(world.stdout).write(
    name === undefined ? await formatOverview() : formatCommandHelp(await findCommand(name)),
  );
  return EXIT_OK;
}

function exitCodeOf(error: unknown, signals: SignalWatch): number {
  if (isRivuletError(error, 'FINAL_SYNC_FAILED')) return EXIT_FINAL_SYNC_FAILED;
  if (signals.received !== undefined && isRivuletError(error, 'CANCELLED'))
    return exitCodeOfSignal(signals.received);
  return EXIT_FAILED;
}
