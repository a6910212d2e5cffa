/** What people and their programs write: configuration, URLs, durations, sizes, addresses, command lines. */
import assert from 'node:assert/strict';
import { isRivuletError } from '../../src/base/errors.ts';
import { formatDuration, parseDuration } from '../../src/base/duration.ts';
import { formatSize, parseSize } from '../../src/base/size.ts';
import { loadCommands } from '../../src/cli/commands.ts';
import { parseLine } from '../../src/cli/flags.ts';
import { parseTimestamp } from '../../src/cli/restore/target.ts';
import { parseAddress } from '../../src/config/address.ts';
import { configFromCommandLine } from '../../src/config/from-command-line.ts';
import { parseReplicaUrl } from '../../src/config/replica-url.ts';
import { restoreUrl } from '../../src/config/restore-url.ts';
import { SECTIONS } from '../../src/config/schema.ts';
import type { Destination } from '../../src/config/settings.ts';
import { parse, PLACES } from '../config/support.ts';
import { bytesOf, type FuzzTarget, textOf } from './target.ts';

const SECRET = 'S3CRET-wJalrXUtnFEMI';

const YAML = [
  `addr: ":9090"
access-key-id: AKIAIOSFODNN7EXAMPLE
secret-access-key: ${SECRET}
dbs:
  - path: /srv/app.db
    monitor-interval: 1s
    checkpoint-interval: 1m
    replicas:
      - url: s3://bucket.s3.eu-west-1.amazonaws.com/app?part-size=8MiB
        retention: 24h
        snapshot-interval: 1h30m
      - type: file
        path: \${HOME}/backup
        age:
          recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]
      - {type: sftp, host: "example.com:22", user: me, password: ${SECRET}, path: /backup}
`,
  'dbs:\n  - &a\n    path: ~/x.db\n    replicas: [{url: "gs://b/p"}]\n  - <<: *a\n    path: /y.db\n',
  'logging: {level: debug, type: json}\ndbs: []\n',
];

const YAML_WORDS = [
  ...Object.values(SECTIONS).flatMap((specs) => Object.values(specs).map(({ key }) => `${key}: `)),
  '\n  - ',
  '\n    ',
  '\n',
  '&a ',
  '*a',
  '<<: ',
  '!!int ',
  '!!binary ',
  '|\n',
  '>-\n',
  '? ',
  '--- ',
  '%YAML 1.1\n',
  '$HOME',
  '${A:-x}',
  '\t',
];

function isShort({ length }: string): boolean {
  return length <= 400;
}

/** Accepted, or refused with places that are in the text; and no secret in what is said. */
function readYaml(input: Uint8Array): void {
  const text = textOf(input);
  try {
    parse(text, { HOME: '/home/me', A: 'a: b\n- c' });
  } catch (error) {
    if (isRivuletError(error, 'CONFIG_INVALID')) checkProblems(text, error.details['list'], error.message);
    throw error;
  }
}

function checkProblems(text: string, list: unknown, message: string): void {
  const problems = list as { line: number; column: number; message: string }[];
  const lines = text.split(/\r\n|\r|\n/).length;
  assert.ok(problems.length > 0);
  for (const { line, column, message: what } of problems) {
    assert.ok(line >= 1 && line <= lines && column >= 1, `line ${line} of ${lines}, column ${column}`);
    assert.ok(what.length < 2_000 + 4 * text.length, `a problem of ${what.length} characters`);
  }
  const isOnlyThere = text.includes(`secret-access-key: ${SECRET}\n`) && text.split(SECRET).length === 2;
  if (isOnlyThere) assert.ok(!message.includes(SECRET), 'a secret is shown');
}

// ---- URLs ----------------------------------------------------------------------------------------------------------

const URLS = [
  'file:///var/backup/app',
  's3://bucket/path',
  's3://bucket.s3.eu-west-1.amazonaws.com/app?part-size=8MiB&force-path-style=true',
  's3://bucket.localhost:9000/db',
  's3://arn:aws:s3:eu-west-1:123456789012:accesspoint/name/prefix',
  'gs://bucket/p',
  'abs://account@container/p',
  `sftp://me:${SECRET}@example.com:2222/srv/backup?key-path=/k`,
];
const URL_WORDS = [
  '://',
  's3://',
  'file://',
  '@',
  ':',
  '/',
  '//',
  '?',
  '&',
  '=',
  '%2F',
  '%zz',
  '#',
  '[::1]',
  '..',
  '%00',
];

function readUrl(input: Uint8Array): void {
  const text = textOf(input);
  const read = parseReplicaUrl(text);
  if ('problem' in read) {
    assert.ok(!read.problem.includes(SECRET) || !isSecretThere(text), 'a password is shown');
    assert.ok(
      read.problem.length < 1_500 + 4 * text.length,
      `a problem of ${read.problem.length} characters`,
    );
    return;
  }
  const config = configFromCommandLine('/srv/app.db', [text], { environment: {}, ...PLACES });
  const destination = config.databases[0]?.replicas[0]?.destination;
  assert.ok(destination !== undefined);
  const shown = restoreUrl(destination) ?? assert.fail('a URL was read');
  assert.ok(!shown.includes(SECRET) || !isSecretThere(text), `a password is shown: ${shown}`);
  if (!hasPlainName(destination)) return;
  const again = parseReplicaUrl(shown);
  assert.ok(!('problem' in again), `${shown} is not read again: ${'problem' in again ? again.problem : ''}`);
}

/** Names that a server can have. Those of buckets can all be written. */
function hasPlainName(destination: Destination): boolean {
  return destination.type !== 'sftp' || /^[A-Za-z0-9._-]+$/.test(destination.host);
}

/** The password stands where passwords stand. */
function isSecretThere(text: string): boolean {
  return new RegExp(`^sftp://[^/@:]*:${SECRET}@`).test(text) && text.split(SECRET).length === 2;
}

// ---- small texts ---------------------------------------------------------------------------------------------------

function readDuration(input: Uint8Array): void {
  const ms = parseDuration(textOf(input));
  if (ms === undefined) return;
  assert.ok(Number.isFinite(ms));
  const again = parseDuration(formatDuration(ms));
  assert.ok(
    again !== undefined && Math.abs(again - ms) <= Math.max(1e-6, Math.abs(ms) * 1e-12),
    `${ms} becomes ${again}`,
  );
}

function readSize(input: Uint8Array): void {
  const bytes = parseSize(textOf(input));
  if (bytes === undefined) return;
  assert.ok(Number.isSafeInteger(bytes) && bytes >= 0);
  assert.equal(parseSize(formatSize(bytes)), bytes);
}

function readAddress(input: Uint8Array): void {
  const address = parseAddress(textOf(input));
  if (address === undefined) return;
  assert.ok(address.port >= 0 && address.port <= 65_535);
  assert.notEqual(address.host, '');
}

function readTimestamp(input: Uint8Array): void {
  const text = textOf(input);
  const ms = parseTimestamp(text);
  assert.ok(Number.isFinite(ms), `${text} is ${ms}`);
  assert.equal(parseTimestamp(new Date(ms).toISOString()), ms);
}

/** The first word is the command; each further line is a word. */
async function readCommandLine(input: Uint8Array): Promise<void> {
  const [name = '', ...words] = textOf(input).split('\n');
  const commands = await loadCommands();
  const command =
    commands.find((candidate) => candidate.name === name) ?? commands[name.length % commands.length];
  assert.ok(command !== undefined);
  const { flags, positionals } = parseLine(command.flags, words);
  for (const flag of command.flags) {
    const text = flags.text(flag.name);
    if (flag.kind === 'boolean') assert.ok(text === undefined || text === 'true' || text === 'false');
    if (flag.kind === 'count' && text !== undefined) assert.ok((flags.count(flag.name) ?? 0) >= 1);
    if (flag.choices !== undefined && text !== undefined) assert.ok(flag.choices.includes(text));
  }
  // With what is read written plainly, it is read the same.
  const plain = command.flags.flatMap(({ name: flag }) => {
    const text = flags.text(flag);
    return text === undefined ? [] : [`-${flag}=${text}`];
  });
  const again = parseLine(command.flags, [...plain, '--', ...positionals]);
  assert.deepEqual(again.positionals, positionals);
  for (const { name: flag } of command.flags) assert.equal(again.flags.text(flag), flags.text(flag));
}

function texts(...samples: string[]): () => Uint8Array[] {
  return () => samples.filter(isShort).map(bytesOf);
}

export const CONFIG_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'config/yaml',
    isShownInMessages: true,
    codes: ['CONFIG_INVALID'],
    samples: () => YAML.map(bytesOf),
    words: YAML_WORDS,
    read: readYaml,
    inputBytesMax: 16 * 1024,
  },
  {
    name: 'config/replica-url',
    isShownInMessages: true,
    codes: ['USAGE', 'CONFIG_INVALID', 'PACKAGE_MISSING', 'UNSUPPORTED'],
    samples: texts(...URLS),
    words: URL_WORDS,
    read: readUrl,
    inputBytesMax: 4_096,
  },
  {
    name: 'config/duration',
    codes: [],
    samples: texts('1h30m', '500ms', '-1.5s', '0', '2562047h47m16.854775807s', '.5µs'),
    words: ['h', 'm', 's', 'ms', 'us', 'µs', 'ns', '.', '-', '+', '9223372036854775807'],
    read: readDuration,
  },
  {
    name: 'config/size',
    codes: [],
    samples: texts('4096', '64MB', '1GiB', '1.5 TiB', '0'),
    words: ['KiB', 'MB', ' ', '.', 'TiB', 'B', 'E'],
    read: readSize,
  },
  {
    name: 'config/address',
    codes: [],
    samples: texts(':9090', '127.0.0.1:9090', '[::1]:80', 'localhost:65535', '[fe80::1%eth0]:1'),
    words: [':', '[', ']', '::', '%', '65536', '00080'],
    read: readAddress,
  },
  {
    name: 'cli/timestamp',
    isShownInMessages: true,
    codes: ['USAGE'],
    samples: texts('2026-01-31T12:00:00Z', '2026-01-31T12:00:00.123456789+02:00', '2024-02-29t23:59:60z'),
    words: ['T', 'Z', '+00:00', '-99:99', '60', '24', '02-30', '0000-00-00', '275760-09-13T00:00:00Z'],
    read: readTimestamp,
  },
  {
    name: 'cli/command-line',
    isShownInMessages: true,
    codes: ['USAGE'],
    samples: texts(
      'restore\n-o\n/tmp/x\n-timestamp=2026-01-31T12:00:00Z\n-parallelism\n4\n/srv/app.db',
      'replicate\n-config\n/etc/rivulet.yml\n--exec=app -x\n-no-expand-env',
      'databases\n-json\n--\n-x',
    ),
    words: [
      '-',
      '--',
      '=',
      '\n',
      '-config',
      '=true',
      '=T',
      '=',
      '-help',
      '-if-replica-exists',
      '-parallelism\n0',
    ],
    read: readCommandLine,
    inputBytesMax: 4_096,
  },
];
