/** What `replicate` works on: the database and URLs of the command line, or else the configuration file. */
import { RivuletError } from '../base/errors.ts';
import { configFromCommandLine } from '../config/from-command-line.ts';
import { formatProblem } from '../config/problems.ts';
import type { Config } from '../config/settings.ts';
import type { CommandContext } from './command.ts';

export interface ChosenConfig {
  readonly config: Config;
  readonly warnings: readonly string[];
}

/** @throws RivuletError `USAGE`, `CONFIG_INVALID`, `CONFIG_NOT_FOUND` */
export async function chooseConfig(context: CommandContext): Promise<ChosenConfig> {
  using _unhandled = context.signals.unhandled();
  return await reloadConfig(context);
}

/** As `chooseConfig`, while something runs that has to end gracefully. */
export async function reloadConfig(context: CommandContext): Promise<ChosenConfig> {
  const { flags, env } = context;
  const [databasePath, ...urls] = context.arguments;
  const exec = flags.text('exec');
  if (databasePath === undefined) return fromFile(context, exec);
  if (flags.text('config') !== undefined) {
    throw new RivuletError('USAGE', 'a database on the command line and -config exclude each other', {
      hint: 'Name the database in the configuration, or leave -config out.',
    });
  }
  const config = configFromCommandLine(databasePath, urls, { exec, environment: { ...env } });
  return { config, warnings: await warningsOf(config, undefined) };
}

async function fromFile(
  { flags, env, signals }: CommandContext,
  exec: string | undefined,
): Promise<ChosenConfig> {
  const { loadConfig } = await import('../config/load.ts');
  const { config, warnings, file } = await loadConfig({
    path: flags.text('config'),
    noExpandEnv: flags.boolean('no-expand-env'),
    environment: { ...env },
    signal: signals.graceful,
  });
  return {
    config: exec === undefined ? config : { ...config, exec },
    warnings: [...warnings.map((warning) => formatProblem(warning)), ...(await warningsOf(config, file))],
  };
}

/** Also about credentials that come from the environment, and about what a URL says. */
async function warningsOf(config: Config, file: string | undefined): Promise<readonly string[]> {
  const { warningsAtStart } = await import('../daemon/trust-warnings.ts');
  const { placeWarningsAtStart } = await import('../daemon/place-warnings.ts');
  return [...warningsAtStart(config, file), ...placeWarningsAtStart(config)];
}
