/** The shape that DESIGN and the architecture page promise, checked on every source file. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** From the bottom up: a file imports only from its own room or from rooms that stand before it here. */
const ROOMS = [
  'base',
  'kernel',
  'wal',
  'codec',
  'storage',
  'credentials',
  'generations',
  'primary',
  'restore',
  'verify',
  'replica',
  'config',
  'server',
  'daemon',
  'cli',
];
/** The library's door, which may import everything. */
const DOOR = 'index.ts';

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^;'"]*?from\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)\s*import\s*['"]([^'"]+)['"]/g;

interface Import {
  readonly from: string;
  readonly to: string;
}

function sourceFiles(): string[] {
  return globSync('src/**/*.ts', { cwd: ROOT }).map((file) =>
    file.replaceAll('\\', '/').slice('src/'.length),
  );
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, 'src', file), 'utf8');
  return [...text.matchAll(IMPORT)]
    .map((match) => match[1] ?? match[2] ?? match[3] ?? '')
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => ({
      from: file,
      to: normalize(join(dirname(file), specifier)).replaceAll('\\', '/'),
    }));
}

function roomOf(file: string): string {
  return file.split('/')[0] ?? '';
}

const imports = sourceFiles().flatMap(importsOf);

test('every source file lies in a room', () => {
  const strays = sourceFiles().filter((file) => file !== DOOR && !ROOMS.includes(roomOf(file)));
  assert.deepEqual(strays, []);
});

test('imports are found, so that the other tests can fail', () => {
  assert.ok(
    imports.some(({ from, to }) => from === 'cli/main.ts' && to === 'cli/run.ts'),
    'dynamic import',
  );
  assert.ok(
    imports.some(({ from, to }) => from === 'cli/main.ts' && to === 'base/errors.ts'),
    'static import',
  );
});

test('no file imports from a room below its own', () => {
  const wrong = imports
    .filter(({ from }) => from !== DOOR)
    .filter(
      ({ from, to }) =>
        ROOMS.indexOf(roomOf(to)) > ROOMS.indexOf(roomOf(from)) || !ROOMS.includes(roomOf(to)),
    )
    .map(({ from, to }) => `${from} imports ${to}`);
  assert.deepEqual(wrong, []);
});

test('only daemon knows concrete storage backends', () => {
  const isBackend = (file: string): boolean => roomOf(file) === 'storage' && file.split('/').length > 2;
  const wrong = imports
    .filter(({ from, to }) => isBackend(to) && roomOf(from) !== 'storage' && roomOf(from) !== 'daemon')
    .map(({ from, to }) => `${from} imports ${to}`);
  assert.deepEqual(wrong, []);
});

test('node:sqlite is the only SQLite library', () => {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  assert.deepEqual(
    Object.keys(devDependencies).filter((name) => /sqlite|libsql|sql\.js/i.test(name)),
    [],
  );
});

test('imports of our own files carry their .ts ending', () => {
  assert.deepEqual(
    imports.filter(({ to }) => !/\.(ts|json)$/.test(to)).map(({ from, to }) => `${from} imports ${to}`),
    [],
  );
});

/** Who may write to a terminal without having it made visible: the sink itself, and terminal codes of our own. */
const WRITES_CODES = [
  'cli/command-logger.ts',
  'cli/command.ts',
  'cli/commands/status.ts',
  'cli/restore/progress-bar.ts',
  'cli/screen.ts',
];
/** The program's entry, which writes before anything else is loaded, and a helper that answers to its parent. */
const USES_STREAMS = ['cli/main.ts', 'credentials/hsm-request.ts'];

test('text reaches a terminal through one place only', () => {
  assert.deepEqual(withText(/\bwriteCodes\b/), WRITES_CODES);
  assert.deepEqual(withText(/\bprocess\.(?:stdout|stderr)\.write\b|\bconsole\.\w+\(/), USES_STREAMS);
});

function withText(pattern: RegExp): string[] {
  return sourceFiles()
    .filter((file) => pattern.test(readFileSync(join(ROOT, 'src', file), 'utf8')))
    .sort();
}

test('a live database and its WAL index are opened in one place, and closed when nobody has the database open', () => {
  assert.deepEqual(withText(/new DatabaseFile\(/), ['primary/database-file.ts', 'primary/open-database.ts']);
  assert.deepEqual(withText(/new LiveIndex\(/), ['primary/open-database.ts']);
  assert.deepEqual(withText(/closeWhenUnused\(/), [
    'primary/database-file.ts',
    'primary/kept-descriptors.ts',
    'primary/live-index.ts',
  ]);
  // One looks whether it may be read, one makes it empty and never opens it, one looks whether a file of that name lies beside an output.
  assert.deepEqual(withText(/\}-shm`|'-shm'/), [
    'daemon/check/check-database.ts',
    'primary/open-database.ts',
    'primary/sidecars.ts',
    'restore/sidecars.ts',
  ]);
});

test("nothing is committed to the application's database", () => {
  const commits =
    /\b(?:COMMIT|INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE TABLE|user_version\s*=|application_id\s*=)/;
  assert.deepEqual(
    withText(commits).filter((file) => file.startsWith('primary/')),
    [],
  );
});

/** Functions of `node:fs` that make, change or remove something, or may, and who may import them. All others only look. */
const MAY_WRITE: Readonly<Record<string, readonly string[]>> = {
  'base/directory-handle.ts': ['chmodSync', 'mkdirSync', 'openSync'],
  'base/files.ts': ['fdatasync', 'mkdirSync', 'openSync', 'renameSync', 'unlinkSync', 'write', 'writeSync'],
  'base/private-directory.ts': ['fchmodSync', 'mkdirSync', 'mkdtempSync', 'rmdirSync'],
  'base/shared-file.ts': [
    'chmodSync',
    'chownSync',
    'fchmodSync',
    'fchownSync',
    'linkSync',
    'openSync',
    'unlinkSync',
  ],
  // Entries of a directory that is held open, and descriptors.
  'restore/output.ts': ['link', 'openSync', 'rename', 'unlink', 'unlinkSync'],
  'restore/output-lock.ts': ['openSync', 'unlinkSync'],
  'restore/build.ts': ['ftruncateSync'],
  'restore/page-file.ts': ['ftruncateSync', 'writeSync'],
  'restore/transaction-stage.ts': ['ftruncateSync'],
  // A socket that nobody listens on any more.
  'server/control-socket.ts': ['unlinkSync'],
  // The log goes to a descriptor that is open.
  'daemon/blocking-writer.ts': ['writeSync'],
  'daemon/blocking-writer-worker.ts': ['writeSync'],
  'daemon/log-descriptor.ts': ['writeSync'],
  // For reading.
  'config/load.ts': ['open'],
  'config/secret-file.ts': ['openSync'],
  'daemon/encryption.ts': ['openSync'],
  'daemon/follow-failures.ts': ['openSync'],
  'storage/file/at-once.ts': ['openSync'],
  'storage/sftp/login.ts': ['open'],
  // Each call by name, for `real-directories.ts` and what works in the directories that it opens.
  'storage/file/file-system.ts': ['*'],
};

const ONLY_LOOKS =
  /^(?:access|close|constants|existsSync|fstat|fsync|lstat|read|readdir|readFile|readlink|realpath|stat|statfs|watch)(?:Sync)?$|^(?:constants|existsSync|createReadStream|[A-Z].*)$/;

const FS_IMPORT = /import\s+(type\s+)?(\*|\{[^}]*\})[^'";]*from\s*'(?:node:)?fs(?:\/promises)?'/g;

function writingFunctions(text: string): string[] {
  return [...text.matchAll(FS_IMPORT)]
    .filter(([, isType]) => isType === undefined)
    .flatMap(([, , names = '']) => names.replaceAll(/[{}]/g, '').split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '' && !name.startsWith('type ') && !ONLY_LOOKS.test(name));
}

test('only the files named here make, change or remove files', () => {
  const found = sourceFiles()
    .map((file) => [file, writingFunctions(readFileSync(join(ROOT, 'src', file), 'utf8'))] as const)
    .filter(([, names]) => names.length > 0);
  const sorted = (entries: readonly (readonly [string, readonly string[]])[]): unknown =>
    Object.fromEntries(entries.map(([file, names]) => [file, names.toSorted()]));
  assert.deepEqual(sorted(found), sorted(Object.entries(MAY_WRITE)));
  assert.deepEqual(writingFunctions("import { rmSync, type Stats, statSync } from 'node:fs';"), ['rmSync']);
});

test('a file replica gives nothing away by its path, and removes nothing with all that is in it', () => {
  const text = readFileSync(join(ROOT, 'src/storage/file/file-system.ts'), 'utf8');
  assert.match(text, /fs\.fchown\b/);
  assert.doesNotMatch(text, /fs\.(?:rm|chmod|chown|lchown|cp|truncate|mkdtemp|writeFile)\b/);
});

test('SQLite opens files in these places only: it follows links, and may make files', () => {
  const found = sourceFiles().filter((file) =>
    readFileSync(join(ROOT, 'src', file), 'utf8').match(/new DatabaseSync\(|\bopenAnySchema\((?!path: )/),
  );
  assert.deepEqual(found.toSorted(), [
    'daemon/check/check-database.ts',
    'primary/any-schema.ts',
    'primary/checkpoint-worker.ts',
    'primary/connections.ts',
    'primary/instance-lock.ts',
    'primary/wal-mode.ts',
    'restore/integrity.ts',
    'restore/output-lock.ts',
  ]);
});

test('what runs as a program of its own is built as one', () => {
  const build = readFileSync(join(ROOT, 'scripts/build.mjs'), 'utf8');
  const workers = sourceFiles().filter((file) => file.endsWith('-worker.ts'));
  assert.ok(workers.length > 3);
  assert.deepEqual(
    workers.filter((file) => !build.includes(`'${file}'`)),
    [],
  );
});
