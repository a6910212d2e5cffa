import type { Command } from '../command.ts';
import {
  AGE_FLAGS,
  CONFIG_ENVIRONMENT,
  CONFIG_FLAGS,
  JSON_FLAG,
  REPLICA_FLAG,
  SOURCE_ARGUMENT,
} from '../shared-flags.ts';

export const command: Command = {
  name: 'restore',
  summary: 'Rebuild a database from a replica',
  description:
    'Rebuilds the newest state, or the one that -timestamp, -generation or -index asks for, and checks every byte on ' +
    'the way: the result is exact or there is none. An existing file is never overwritten. With DB_PATH the replica ' +
    'with the newest data is taken.',
  arguments: [SOURCE_ARGUMENT],
  flags: [
    { name: 'o', kind: 'text', value: 'PATH', help: 'where to write (default: DB_PATH; needed with a URL)' },
    REPLICA_FLAG,
    { name: 'generation', kind: 'text', value: 'NAME', help: 'only from this generation' },
    { name: 'index', kind: 'text', value: 'HEX', help: 'the state at the end of this WAL index' },
    {
      name: 'timestamp',
      kind: 'text',
      value: 'TIME',
      help: 'the state at this moment, RFC 3339, such as 2026-01-31T12:00:00.5Z; a later one than all data: the latest',
    },
    { name: 'if-db-not-exists', kind: 'boolean', help: 'exit with 0 when the output exists already' },
    { name: 'if-replica-exists', kind: 'boolean', help: 'exit with 0 when the replica is empty' },
    { name: 'parallelism', kind: 'count', value: 'N', defaultValue: '8', help: 'objects fetched at a time' },
    {
      name: 'integrity-check',
      kind: 'text',
      value: 'KIND',
      choices: ['none', 'quick', 'full'],
      help: "SQLite's own check of the result; default: quick where the chain is not proven, else none",
    },
    ...AGE_FLAGS,
    { name: 'dry-run', kind: 'boolean', help: 'print what would be fetched and restored, and do nothing' },
    { name: 'v', kind: 'boolean', help: 'tell each step on stderr' },
    JSON_FLAG,
    ...CONFIG_FLAGS,
  ],
  examples: [
    { command: 'rivulet restore /var/lib/app.db', does: 'the newest state, to where the database was' },
    {
      command: 'rivulet restore -o copy.db file:///backup/app',
      does: 'from a place, without a configuration',
    },
    {
      command: 'rivulet restore -timestamp 2026-01-31T12:00:00Z -o then.db /var/lib/app.db',
      does: 'the state of a moment, beside the live database',
    },
    {
      command: 'rivulet restore -age-identity-file key.txt -o copy.db s3://bucket/app',
      does: 'an encrypted replica',
    },
    {
      command: 'rivulet restore -if-db-not-exists -if-replica-exists /var/lib/app.db',
      does: 'at the start of a container: only when there is no database yet but a backup',
    },
  ],
  environment: CONFIG_ENVIRONMENT,
  exitCodes: [{ name: '128+n', help: 'cancelled by signal n; nothing is left behind' }],
  run: async (context) => {
    const { runRestore } = await import('../restore/run-restore.ts');
    return runRestore(context);
  },
};
