/** Flags and notes that several commands have in common. */
import type { Argument, Note } from './command.ts';
import type { Flag } from './flags.ts';

export const CONFIG_FLAG: Flag = {
  name: 'config',
  kind: 'text',
  value: 'PATH',
  help:
    'configuration file (default: $RIVULET_CONFIG, else $LITESTREAM_CONFIG, else /etc/rivulet.yml or ' +
    '/etc/litestream.yml)',
};

export const NO_EXPAND_ENV_FLAG: Flag = {
  name: 'no-expand-env',
  kind: 'boolean',
  help: 'take $NAME in the configuration file literally',
};

export const CONFIG_FLAGS: readonly Flag[] = [CONFIG_FLAG, NO_EXPAND_ENV_FLAG];

export const JSON_FLAG: Flag = { name: 'json', kind: 'boolean', help: 'print JSON, errors included' };

export const REPLICA_FLAG: Flag = {
  name: 'replica',
  kind: 'text',
  value: 'NAME',
  help: 'only the replica of this name (with DB_PATH)',
};

export const AGE_FLAGS: readonly Flag[] = [
  {
    name: 'age-identity-file',
    kind: 'text',
    value: 'PATH',
    help: 'file with the age identities that decrypt the replica, one a line',
  },
  {
    name: 'age-passphrase-file',
    kind: 'text',
    value: 'PATH',
    help: 'file with the passphrase that opens the identity file, or the replica itself',
  },
];

export const CONFIG_ENVIRONMENT: readonly Note[] = [
  { name: 'RIVULET_CONFIG', help: 'path of the configuration file when -config is absent' },
  { name: 'LITESTREAM_CONFIG', help: 'the same, when RIVULET_CONFIG is not set' },
];

export const SOURCE_ARGUMENT: Argument = {
  name: 'DB_PATH|REPLICA_URL',
  help: 'a database of the configuration, or where a replica lies, such as file:///backup/app',
};
