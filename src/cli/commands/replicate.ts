import type { Command, CommandContext } from '../command.ts';
import { endProcess } from '../../base/end-process.ts';
import { isRivuletError } from '../../base/errors.ts';
import {
  EXIT_CREDENTIALS_REFUSED,
  EXIT_FAILED,
  EXIT_FINAL_SYNC_FAILED,
  EXIT_OK,
  EXIT_STALLED,
} from '../exit-codes.ts';
import type { ReplicateOutcome } from '../../daemon/replicate.ts';
import { CONFIG_ENVIRONMENT, CONFIG_FLAGS } from '../shared-flags.ts';

export const command: Command = {
  name: 'replicate',
  summary: 'Ship every committed change to the replicas, until stopped',
  description:
    'Runs beside the application and stores each committed change at every replica within moments. The databases ' +
    'come from the configuration, or from the command line. Ctrl-C or SIGTERM stops it: what is left is sent first. ' +
    'SIGHUP reads the configuration and the credentials again, without a stop.',
  arguments: [
    { name: 'DB_PATH', help: 'a database to replicate without a configuration', optional: true },
    {
      name: 'REPLICA_URL',
      help: 'where to, such as s3://mybkt/db, sftp://user@host/db or file:///backup/app; several are possible',
      optional: true,
      repeated: true,
    },
  ],
  flags: [
    {
      name: 'exec',
      kind: 'text',
      value: 'COMMAND',
      help: 'run the application too, pass signals on to it, and end when it ends, with its exit code',
    },
    { name: 'once', kind: 'boolean', help: 'ship what is there now, and end' },
    ...CONFIG_FLAGS,
  ],
  examples: [
    { command: 'rivulet replicate /var/lib/app.db file:///backup/app', does: 'one database to a directory' },
    { command: 'rivulet replicate /var/lib/app.db s3://mybkt/db', does: 'one database to a bucket' },
    { command: 'rivulet replicate', does: 'everything in the configuration' },
    {
      command: 'rivulet replicate -exec "node server.js"',
      does: 'in a container: the application and its backup',
    },
    { command: 'rivulet replicate -once app.db file:///backup/app', does: 'from a timer: catch up and end' },
  ],
  environment: CONFIG_ENVIRONMENT,
  exitCodes: [
    { name: '3', help: 'the last changes could not be stored everywhere; they are sent at the next start' },
    { name: '4', help: 'a destination refused its credentials, and `on-auth-failure: exit` is configured' },
    { name: '5', help: 'a database or replica stood still, and `on-stall: exit` is configured' },
    { name: '128+n', help: 'ended at once by a second signal' },
    { name: 'other', help: "with -exec: the application's own exit code" },
  ],
  run: replicate,
};

async function replicate(context: CommandContext): Promise<number> {
  const { chooseConfig, reloadConfig } = await import('../choose-config.ts');
  const { config, warnings } = await chooseConfig(context);
  const { createAdjustableLogger } = await import('../../daemon/logging.ts');
  const { runReplicate } = await import('../../daemon/replicate.ts');
  const logging = await createAdjustableLogger(config.logging);
  const { logger } = logging;
  for (const warning of warnings) logger.warn(warning);
  const outcome = await runReplicate({
    config,
    once: context.flags.boolean('once'),
    logger,
    clock: context.clock,
    signals: context.signals,
    reload: {
      load: async () => reloadConfig(context),
      setLogging: async (settings) => logging.set(settings),
    },
  });
  const code = exitCodeOf(outcome);
  // What hangs keeps the process alive; what it has to say is out.
  if (outcome.isHung === true) endProcess(code);
  return code;
}

function exitCodeOf({ refusal, unfinished, childCode }: ReplicateOutcome): number {
  if (refusal !== undefined) {
    if (isRivuletError(refusal.error, 'STALLED')) return EXIT_STALLED;
    const areCredentials = isRivuletError(refusal.error, 'CREDENTIALS_FAILED', 'STORAGE_DENIED');
    return areCredentials ? EXIT_CREDENTIALS_REFUSED : EXIT_FAILED;
  }
  return unfinished > 0 ? EXIT_FINAL_SYNC_FAILED : (childCode ?? EXIT_OK);
}
