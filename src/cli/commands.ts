/** Every command by name. A command's module loads when it is used or when help lists them all. */
import type { Command } from './command.ts';

const LOADERS: Readonly<Record<string, () => Promise<{ readonly command: Command }>>> = {
  replicate: () => import('./commands/replicate.ts'),
  restore: () => import('./commands/restore.ts'),
  databases: () => import('./commands/databases.ts'),
  generations: () => import('./commands/generations.ts'),
  snapshots: () => import('./commands/snapshots.ts'),
  wal: () => import('./commands/wal.ts'),
  status: () => import('./commands/status.ts'),
  verify: () => import('./commands/verify.ts'),
  check: () => import('./commands/check.ts'),
  config: () => import('./commands/config.ts'),
  version: () => import('./commands/version.ts'),
  help: () => import('./commands/help.ts'),
};

export const COMMAND_NAMES: readonly string[] = Object.keys(LOADERS);

export async function loadCommand(name: string): Promise<Command | undefined> {
  const load = Object.hasOwn(LOADERS, name) ? LOADERS[name] : undefined;
  return load === undefined ? undefined : (await load()).command;
}

/** All of them, in the order in which help shows them. */
export async function loadCommands(): Promise<Command[]> {
  const modules = await Promise.all(Object.values(LOADERS).map((load) => load()));
  return modules.map(({ command }) => command);
}
