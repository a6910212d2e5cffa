import { loadConfig } from '../config/load.ts';
import type { LoadedConfig } from '../config/load.ts';
import { formatProblem } from '../config/problems.ts';
import type { CommandContext } from './command.ts';

/** The configuration that -config, -no-expand-env and the environment name; doubts about it go to stderr. */
export async function loadConfigFor({ flags, env, stderr, signals }: CommandContext): Promise<LoadedConfig> {
  using _unhandled = signals.unhandled();
  const loaded = await loadConfig({
    path: flags.text('config'),
    noExpandEnv: flags.boolean('no-expand-env'),
    environment: { ...env },
    signal: signals.graceful,
  });
  for (const warning of loaded.warnings) stderr.write(`rivulet: warning: ${formatProblem(warning)}\n`);
  return loaded;
}
