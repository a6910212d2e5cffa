import { resolve } from 'node:path';

import { isRivuletError, RivuletError } from '../../base/errors.ts';
import { defaultStatePath } from '../../config/state-place.ts';
import type { Command, CommandContext } from '../command.ts';
import { EXIT_FAILED, EXIT_OK, EXIT_STALLED } from '../exit-codes.ts';
import { writeJson } from '../output.ts';
import { CONFIG_ENVIRONMENT, CONFIG_FLAGS, JSON_FLAG } from '../shared-flags.ts';
import type { Asked, FoundStatus } from '../status/find-status.ts';

/** Between two looks of -watch. */
const WATCH_MS = 2_000;
/** Clears a terminal and begins at its top. */
const CLEAR = '\u001B[H\u001B[2J';

export const command: Command = {
  name: 'status',
  summary: 'Ask the running process how each database and replica is',
  description:
    'Finds the process that replicates the databases of the configuration, or one database, and asks it. Nothing is ' +
    'requested from a destination. Without such a process it says what was written down last. -watch goes on until ' +
    'it is stopped.',
  arguments: [
    { name: 'DB_PATH', help: 'only this database; it need not be in a configuration', optional: true },
  ],
  flags: [
    {
      name: 'socket',
      kind: 'text',
      value: 'PATH',
      help: 'the control socket of the process, where its state directory may not be read',
    },
    { name: 'watch', kind: 'boolean', help: 'show it again every two seconds' },
    ...CONFIG_FLAGS,
    JSON_FLAG,
  ],
  examples: [
    { command: 'rivulet status', does: 'every database of the configuration' },
    { command: 'rivulet status /var/lib/app.db', does: 'one database' },
    { command: 'rivulet status -json', does: 'for scripts: the exit status tells enough for most' },
  ],
  environment: CONFIG_ENVIRONMENT,
  exitCodes: [
    { name: '0', help: 'all is well' },
    {
      name: '1',
      help: 'no process replicates one of them, or it cannot be asked; or as other commands fail',
    },
    { name: '5', help: 'something stands still or fails; wins over 1' },
  ],
  run,
};

async function run(context: CommandContext): Promise<number> {
  const look = await lookFor(context);
  if (!context.flags.boolean('watch')) return show(context, await look(), '');
  const { graceful } = context.signals;
  let code = EXIT_OK;
  while (!graceful.aborted) {
    code = await show(context, await look(), context.stdout.isTTY ? CLEAR : '');
    await context.clock.sleep(WATCH_MS, graceful).catch(() => undefined);
  }
  return code;
}

async function lookFor(context: CommandContext): Promise<() => Promise<FoundStatus[]>> {
  const { findStatus, isSamePlace, statusOfSocket } = await import('../status/find-status.ts');
  const [path] = context.arguments;
  const socket = context.flags.text('socket');
  if (socket !== undefined) {
    return async () => {
      const all = await statusOfSocket(resolve(socket));
      const found = all.filter((one) => path === undefined || isSamePlace(one.path, resolve(path)));
      if (found.length > 0 || path === undefined) return found;
      throw new RivuletError(
        'REPLICA_UNKNOWN',
        `the process behind ${socket} does not replicate ${resolve(path)}`,
      );
    };
  }
  const asked = await askedFor(context, path);
  return async () => findStatus(asked);
}

async function askedFor(context: CommandContext, path: string | undefined): Promise<readonly Asked[]> {
  const absolute = path === undefined ? undefined : resolve(path);
  const configured = await configuredDatabases(context, absolute !== undefined);
  if (absolute === undefined) return configured;
  const { isSamePlace } = await import('../status/find-status.ts');
  const found = configured.filter((one) => isSamePlace(one.path, absolute));
  return found.length > 0 ? found : [{ path: absolute, metaPath: defaultStatePath(absolute) }];
}

/** @param mayBeMissing - a database that is named needs no configuration, unless -config names one */
async function configuredDatabases(
  context: CommandContext,
  mayBeMissing: boolean,
): Promise<readonly Asked[]> {
  const { loadConfigFor } = await import('../load-config.ts');
  try {
    return (await loadConfigFor(context)).config.databases;
  } catch (error) {
    const isMissing = isRivuletError(error, 'CONFIG_NOT_FOUND') && context.flags.text('config') === undefined;
    if (isMissing && mayBeMissing) return [];
    throw error;
  }
}

async function show(context: CommandContext, found: readonly FoundStatus[], before: string): Promise<number> {
  if (context.flags.boolean('json')) {
    writeJson(context.stdout, { ok: codeOf(found) === EXIT_OK, databases: found });
  } else {
    const { formatStatus } = await import('../status/format-status.ts');
    const text = found.length === 0 ? 'no database is configured\n' : found.map(formatStatus).join('\n');
    context.stdout.writeCodes(before);
    context.stdout.write(text);
  }
  return codeOf(found);
}

function codeOf(found: readonly FoundStatus[]): number {
  if (found.some((one) => (one.running ? one.reasons.length > 0 : one.code === 'STALLED')))
    return EXIT_STALLED;
  return found.length > 0 && found.every(({ running }) => running) ? EXIT_OK : EXIT_FAILED;
}
