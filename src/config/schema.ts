/**
 * Every key of the configuration file, described once. The program's types, the checks, the JSON Schema, the table in
 * `docs/configuration.md` and the masking of secrets are derived from these tables; to add a key, add it here.
 *
 * Names and defaults are those of Litestream v0.3.13 unless `compat` says otherwise.
 */
import { CREDENTIALS_KEYS } from './schema-credentials.ts';
import { DESTINATION_KEYS } from './schema-destination.ts';
import type { KeySpecs, SectionName } from './key-spec.ts';

export const ROOT_KEYS = {
  addr: {
    key: 'addr',
    kind: 'text',
    help: 'Address of the HTTP server with metrics and health, `host:port`; `:9090` listens on this machine only, `0.0.0.0:9090` on all interfaces.',
    defaultNote: 'no server',
    compat: 'A missing port is an error before anything starts.',
  },
  exec: {
    key: 'exec',
    kind: 'text',
    help: 'Command to run beside replication; when it ends, Rivulet ends. `-exec` on the command line wins.',
    defaultNote: 'none',
  },
  shutdownTimeoutMs: {
    key: 'shutdown-timeout',
    kind: 'duration',
    default: '30s',
    help: 'The longest that the final sync may take when Rivulet is asked to stop.',
    compat: 'Rivulet only.',
  },
  accessKeyId: {
    key: 'access-key-id',
    kind: 'text',
    types: ['s3'],
    environment: 'LITESTREAM_ACCESS_KEY_ID',
    help: 'S3 access key for every s3 replica that has none of its own.',
    defaultNote: 'the usual AWS sources',
  },
  accessKeyIdFile: {
    key: 'access-key-id-file',
    kind: 'text',
    types: ['s3'],
    fileOf: 'accessKeyId',
    help: 'File that holds the `access-key-id`; it is read again when it changes.',
    compat: 'Rivulet only.',
  },
  secretAccessKey: {
    key: 'secret-access-key',
    kind: 'text',
    secret: true,
    types: ['s3'],
    environment: 'LITESTREAM_SECRET_ACCESS_KEY',
    help: 'The secret that belongs to `access-key-id`.',
    defaultNote: 'the usual AWS sources',
  },
  secretAccessKeyFile: {
    key: 'secret-access-key-file',
    kind: 'text',
    types: ['s3'],
    fileOf: 'secretAccessKey',
    help: 'File that holds the `secret-access-key`; it is read again when it changes.',
    compat: 'Rivulet only.',
  },
  sessionToken: {
    key: 'session-token',
    kind: 'text',
    secret: true,
    types: ['s3'],
    help: 'The token that belongs to a temporary access key.',
    compat: 'Rivulet only.',
  },
  sessionTokenFile: {
    key: 'session-token-file',
    kind: 'text',
    types: ['s3'],
    fileOf: 'sessionToken',
    help: 'File that holds the `session-token`; it is read again when it changes.',
    compat: 'Rivulet only.',
  },
  credentials: {
    key: 'credentials',
    kind: 'section',
    of: 'credentials',
    optional: true,
    types: ['s3'],
    help: 'Where the keys of every s3 replica come from that says nothing about them itself.',
    defaultNote: '`source: auto`',
    compat: 'Rivulet only.',
  },
  caFile: {
    key: 'ca-file',
    kind: 'text',
    types: ['s3', 'gcs', 'abs'],
    help: 'PEM file of a certificate authority of your own, for every replica that has no `ca-file` itself.',
    defaultNote: 'the stores of the system and of Node.js',
    compat: 'Rivulet only.',
  },
  socket: {
    key: 'socket',
    kind: 'section',
    of: 'socket',
    help: 'The socket through which `rivulet status` asks; see [monitoring](monitoring.md#rivulet-status).',
    compat: 'As in Litestream v0.5, but on.',
  },
  logging: { key: 'logging', kind: 'section', of: 'logging', help: 'What is logged, how and where.' },
  databases: { key: 'dbs', kind: 'sections', of: 'database', help: 'The databases to replicate.' },
} as const;

export const SOCKET_KEYS = {
  enabled: {
    key: 'enabled',
    kind: 'boolean',
    default: 'true',
    help: 'Whether there is a socket.',
  },
  path: {
    key: 'path',
    kind: 'text',
    help: 'The socket’s file; on Windows the name of a pipe.',
    defaultNote:
      'in `$RUNTIME_DIRECTORY` (systemd), else `$XDG_RUNTIME_DIR/rivulet`, else in `rivulet-UID` of the temporary directory',
    compat: 'Litestream: `/var/run/litestream.sock`.',
  },
  permissions: {
    key: 'permissions',
    kind: 'mode',
    default: '0600',
    help: 'Who may ask: permission bits in octal. Whoever may write to the file may ask.',
  },
} as const;

export const LOGGING_KEYS = {
  level: {
    key: 'level',
    kind: 'choice',
    choices: ['debug', 'info', 'warn', 'error'],
    synonyms: { warning: 'warn' },
    default: 'info',
    help: 'The least important messages to show; `warning` is read as `warn`.',
    compat: 'An unknown level is an error; Litestream takes it as `info`.',
  },
  type: {
    key: 'type',
    kind: 'choice',
    choices: ['text', 'json'],
    default: 'text',
    help: 'One readable line, or one JSON object, for each message.',
    compat: 'An unknown type is an error; Litestream panics.',
  },
  stderr: {
    key: 'stderr',
    kind: 'boolean',
    default: 'false',
    help: 'Write to standard error instead of standard output.',
  },
} as const;

export const DATABASE_KEYS = {
  path: {
    key: 'path',
    kind: 'text',
    required: true,
    help: 'The database file. `~` is the home directory; a relative path starts at the working directory.',
  },
  metaPath: {
    key: 'meta-path',
    kind: 'text',
    help: 'Directory for the local state of this database, of Rivulet alone: one that does not exist yet or is empty. In one that holds other files, a folder `.NAME-rivulet` is used.',
    defaultNote:
      '`.NAME-rivulet` beside the database; for root where others may write, `/var/lib/rivulet/NAME-…`',
    compat: 'Litestream uses `.NAME-litestream`; Rivulet never writes there. `~` is expanded.',
  },
  monitorIntervalMs: {
    key: 'monitor-interval',
    kind: 'duration',
    default: '1s',
    help: 'How often to look for changes when the file system announced none.',
    compat: '0 is an error; with Litestream it switches replication off silently.',
  },
  checkpointIntervalMs: {
    key: 'checkpoint-interval',
    kind: 'duration',
    default: '1m',
    zero: 'no checkpoints by time',
    help: 'Checkpoint at least this often when something was written.',
  },
  minCheckpointPageCount: {
    key: 'min-checkpoint-page-count',
    kind: 'count',
    default: '1000',
    help: 'Checkpoint when the WAL holds this many pages.',
  },
  maxCheckpointPageCount: {
    key: 'max-checkpoint-page-count',
    kind: 'count',
    default: '10000',
    zero: 'no such limit',
    help: 'Checkpoint with priority when the WAL holds this many pages; not less than `min-checkpoint-page-count`.',
  },
  busyTimeoutMs: {
    key: 'busy-timeout',
    kind: 'duration',
    default: '1s',
    zero: 'do not wait',
    help: 'How long to wait for a lock that another process holds on the database.',
    compat: 'Rivulet only; Litestream always waits 1s.',
  },
  walLimitBytes: {
    key: 'wal-limit',
    kind: 'size',
    default: '128MiB',
    help: 'From half of this WAL size on, what a destination lacks is spooled to disk, and a writer that never pauses is held up for moments (150 ms at most).',
    compat: 'Rivulet only.',
  },
  spoolLimitBytes: {
    key: 'spool-limit',
    kind: 'size',
    default: '1GiB',
    zero: '8 MiB',
    help: 'The most that the spool may take on disk; less than the 8 MiB that checkpoints need counts as so much.',
    compat: 'Rivulet only.',
  },
  replicas: {
    key: 'replicas',
    kind: 'sections',
    of: 'replica',
    help: 'Where the database is replicated to; several are allowed, each under its own `name`.',
  },
  replica: {
    key: 'replica',
    kind: 'section',
    of: 'replica',
    help: 'The only replica, instead of a list of one.',
    compat: 'As in Litestream v0.5; v0.3.13 ignores it.',
  },
} as const;

const COMMON_REPLICA_KEYS = {
  type: {
    key: 'type',
    kind: 'choice',
    choices: ['file', 's3', 'gcs', 'abs', 'sftp'],
    synonyms: { gs: 'gcs' },
    help: 'Kind of destination; `gs` is read as `gcs`. With a `url`, its scheme decides.',
    defaultNote: 'the scheme of `url`, else `file`',
  },
  name: {
    key: 'name',
    kind: 'text',
    help: 'Name of the replica, unique within its database.',
    defaultNote: 'the type',
  },
  url: {
    key: 'url',
    kind: 'text',
    help: 'The whole destination in one text, instead of `path`, `bucket` or `host`.',
  },
  path: {
    key: 'path',
    kind: 'text',
    help: 'Directory of a file or sftp replica; prefix inside the bucket for the others.',
  },
  retentionMs: {
    key: 'retention',
    kind: 'duration',
    default: '24h',
    zero: 'keep everything',
    help: 'How far back the database can be restored; older snapshots and WAL files are deleted.',
    compat: 'The window rolls: the snapshot that its beginning needs is kept too.',
  },
  retentionCheckIntervalMs: {
    key: 'retention-check-interval',
    kind: 'duration',
    default: '1h',
    help: 'How often to look for what retention may delete; never less often than `retention`.',
  },
  syncIntervalMs: {
    key: 'sync-interval',
    kind: 'duration',
    default: '1s',
    help: 'How long changes may be collected before they are stored.',
    compat: '0 is an error; Litestream panics.',
  },
  snapshotIntervalMs: {
    key: 'snapshot-interval',
    kind: 'duration',
    default: '0s',
    zero: 'off',
    help: 'How often to store a full copy. When off: once the newest one is as old as `retention`.',
  },
  validationIntervalMs: {
    key: 'validation-interval',
    kind: 'duration',
    default: '0s',
    zero: 'off',
    help: 'How often to restore the replica and compare it with the database.',
  },
  stallAfterMs: {
    key: 'stall-after',
    kind: 'duration',
    default: '5m',
    zero: 'never',
    help: 'A replica that stores nothing for so long although there is something to store counts as stalled: an error in the log, bad health, a metric.',
    compat: 'Rivulet only.',
  },
  onStall: {
    key: 'on-stall',
    kind: 'choice',
    choices: ['continue', 'exit'],
    default: 'continue',
    help: 'What `replicate` does then: go on trying, or send what it can and end, for a supervisor to start it anew.',
    compat: 'Rivulet only.',
  },
  age: {
    key: 'age',
    kind: 'section',
    of: 'age',
    help: 'Encryption with age; see [encryption](encryption.md).',
    compat: 'Recipients alone are enough to replicate.',
  },
  verify: {
    key: 'verify',
    kind: 'section',
    of: 'verify',
    help: 'How the replica proves that it restores; see [verify](verify.md).',
    compat: 'Rivulet only.',
  },
  lease: {
    key: 'lease',
    kind: 'section',
    of: 'lease',
    help: 'At most one process writes to a replica; see [one writer](one-writer.md).',
    compat: 'Rivulet only.',
  },
} as const;

export const REPLICA_KEYS: typeof COMMON_REPLICA_KEYS & typeof DESTINATION_KEYS = {
  ...COMMON_REPLICA_KEYS,
  ...DESTINATION_KEYS,
};

export const AGE_KEYS = {
  identities: {
    key: 'identities',
    kind: 'texts',
    secret: true,
    help: 'Secret keys that decrypt; each text may hold several lines. Replication does not need them.',
  },
  identitiesFile: {
    key: 'identities-file',
    kind: 'texts',
    isPath: true,
    help: 'Files with identities, as `age-keygen` writes them; one may itself be encrypted with the passphrase.',
    compat: 'Rivulet only.',
  },
  recipients: {
    key: 'recipients',
    kind: 'texts',
    help: 'Public keys to encrypt to; each text may hold several lines.',
    compat: 'Nothing is stored without one; Litestream stores in the clear then.',
  },
  recipientsFile: {
    key: 'recipients-file',
    kind: 'texts',
    isPath: true,
    help: 'Files with recipients, one a line.',
    compat: 'Rivulet only.',
  },
  passphrase: {
    key: 'passphrase',
    kind: 'text',
    secret: true,
    help: 'Opens identities that are encrypted with it. Without any recipient it encrypts the replica itself: a second of work and 256 MiB for each object.',
    compat: 'Rivulet only.',
  },
  passphraseFile: {
    key: 'passphrase-file',
    kind: 'text',
    isPath: true,
    fileOf: 'passphrase',
    help: 'File that holds the `passphrase`.',
    compat: 'Rivulet only.',
  },
} as const;

export const LEASE_KEYS = {
  mode: {
    key: 'mode',
    kind: 'choice',
    choices: ['auto', 'on', 'off'],
    default: 'auto',
    help: 'Whether a lease keeps a second writer out: `auto` where the destination can do it, `on` refuses to start where it cannot, `off` never.',
    compat: 'Rivulet only.',
  },
  durationMs: {
    key: 'duration',
    kind: 'duration',
    default: '1m',
    least: '1s',
    help: 'How long after the last sign of life of a writer another one may take over.',
    compat: 'Rivulet only.',
  },
  whenHeld: {
    key: 'when-held',
    kind: 'choice',
    choices: ['wait', 'exit'],
    default: 'wait',
    help: 'What to do while another process writes to the replica: stand by until it lets go, or end with an error.',
    compat: 'Rivulet only.',
  },
  renew: {
    key: 'renew',
    kind: 'choice',
    choices: ['active', 'always'],
    default: 'active',
    help: 'Whether the lease is renewed while nothing is stored: `active` makes no request then.',
    compat: 'Rivulet only.',
  },
} as const;

export const VERIFY_KEYS = {
  quickIntervalMs: {
    key: 'quick-interval',
    kind: 'duration',
    default: '5m',
    zero: 'off',
    help: 'How long something new may lie at the destination before it is fetched back and checked.',
    compat: 'Rivulet only.',
  },
  intervalMs: {
    key: 'interval',
    kind: 'duration',
    default: '24h',
    zero: 'off',
    help: 'How often the replica is restored in full, compared with the database page by page, and an older moment restored as well, if anything was written.',
    compat: 'Rivulet only.',
  },
  temporaryPath: {
    key: 'temporary-path',
    kind: 'text',
    isPath: true,
    help: 'Directory for the restored copies; each is as large as the database, and removed after the comparison.',
    defaultNote: 'the directory of the local state, beside the database',
    compat: 'Rivulet only.',
  },
  maxSizeBytes: {
    key: 'max-size',
    kind: 'size',
    default: '10GiB',
    zero: 'no limit',
    help: 'A larger database is not restored on a schedule, and a larger snapshot not fetched back. `validation-interval` and `rivulet verify` ask for it whatever the size.',
    compat: 'Rivulet only.',
  },
} as const;

/** The sections by name, for code that walks all keys. */
export const SECTIONS: Readonly<Record<SectionName, KeySpecs>> = {
  root: ROOT_KEYS,
  socket: SOCKET_KEYS,
  logging: LOGGING_KEYS,
  database: DATABASE_KEYS,
  replica: REPLICA_KEYS,
  credentials: CREDENTIALS_KEYS,
  age: AGE_KEYS,
  lease: LEASE_KEYS,
  verify: VERIFY_KEYS,
};

/** Where each section is written in the file. */
export const SECTION_PLACES: Readonly<Record<SectionName, string>> = {
  root: '',
  socket: 'socket',
  logging: 'logging',
  database: 'dbs[]',
  replica: 'dbs[].replicas[]',
  credentials: 'dbs[].replicas[].credentials',
  age: 'dbs[].replicas[].age',
  lease: 'dbs[].replicas[].lease',
  verify: 'dbs[].replicas[].verify',
};
