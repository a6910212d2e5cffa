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
  name: 'verify',
  summary: 'Prove that a replica restores, or find what keeps it from doing so',
  description:
    'Reads a replica back and checks it as a restore does: every size, checksum and link of the chain. Nothing is ' +
    'written, unless -full asks for a restored copy, which SQLite checks and which is removed. Without DB_PATH or ' +
    'REPLICA_URL every replica of the configuration is looked at.',
  arguments: [{ ...SOURCE_ARGUMENT, optional: true }],
  flags: [
    {
      name: 'quick',
      kind: 'boolean',
      help: 'read and check everything, and write nothing (the default)',
    },
    {
      name: 'full',
      kind: 'boolean',
      help: "restore to a temporary place as well, and run SQLite's integrity_check on the copy",
    },
    { name: 'timestamp', kind: 'text', value: 'TIME', help: 'this moment, as restore takes it' },
    { name: 'generation', kind: 'text', value: 'NAME', help: 'only this generation' },
    { name: 'index', kind: 'text', value: 'HEX', help: 'the state at the end of this WAL index' },
    {
      name: 'all',
      kind: 'boolean',
      help: 'every generation, and every snapshot with what follows it, instead of the newest state',
    },
    REPLICA_FLAG,
    ...AGE_FLAGS,
    {
      name: 'temporary-path',
      kind: 'text',
      value: 'DIR',
      help: 'with -full: where the copy is made (default: as configured, or the system directory)',
    },
    JSON_FLAG,
    ...CONFIG_FLAGS,
  ],
  examples: [
    { command: 'rivulet verify', does: 'the newest state of every replica of the configuration' },
    { command: 'rivulet verify -full /var/lib/app.db', does: 'with a restored copy that SQLite checks' },
    { command: 'rivulet verify -all file:///backup/app', does: 'everything that a replica holds' },
    {
      command: 'rivulet verify -full -timestamp 2026-01-31T12:00:00Z /var/lib/app.db',
      does: 'one moment of the past',
    },
  ],
  environment: CONFIG_ENVIRONMENT,
  exitCodes: [
    { name: '0', help: 'proven' },
    {
      name: '1',
      help: 'the command line or configuration has an error, or that point is not in the replica',
    },
    { name: '6', help: 'broken: an object is missing or wrong' },
    {
      name: '7',
      help: 'inconclusive: a destination is away, a key is missing, or nothing there can prove it',
    },
  ],
  run: async (context) => {
    const { runVerify } = await import('../verify/run-verify.ts');
    return runVerify(context);
  },
};
