/**
 * What people get wrong, and what disks do: each ends with one clear sentence, a documented exit status, and with
 * nothing lost or left behind. Through the real executable.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { EXIT_FAILED, EXIT_FINAL_SYNC_FAILED, EXIT_OK } from '../../src/cli/exit-codes.ts';
import { type Ended, EXECUTABLE, runRivulet, startRivulet } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';

/** "nobody" on Linux; any user without rights here would do. */
const NOBODY = 65_534;
const PAGE_SIZE_OFFSET = 16;
const AGE_OBJECT = Buffer.concat([
  Buffer.from('age-encryption.org/v1\n-> X25519 key\n'),
  Buffer.alloc(400, 7),
]);

let scratch = new Scratch();
beforeEach(() => {
  scratch[Symbol.dispose]();
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.dispose]());

function fileUrl(name: string): string {
  return `file://${scratch.file(name)}`;
}

/** A database in WAL mode with `rows` rows; what it wrote stays in the log. */
function makeDatabase(path: string, rows: number): void {
  const child = spawnSync(
    process.execPath,
    [fileURLToPath(new URL('../support/write-and-die.ts', import.meta.url)), path, String(rows)],
    { encoding: 'utf8' },
  );
  assert.equal(child.signal, 'SIGKILL', child.stderr);
}

function rowsOf(path: string): number {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    assert.equal(database.prepare('PRAGMA integrity_check').get()?.['integrity_check'], 'ok');
    return Number(database.prepare('SELECT count(*) AS n FROM t').get()?.['n']);
  } finally {
    database.close();
  }
}

async function replicateOnce(database: string, url: string): Promise<void> {
  const { code, err } = await runRivulet(['replicate', '-once', database, url]);
  assert.equal(code, EXIT_OK, err);
}

/** One sentence that says all of `words`, and at most a hint; no stack trace. */
function assertSentence({ code, err }: Ended, words: readonly string[], expectedCode = EXIT_FAILED): void {
  assert.equal(code, expectedCode, err);
  const lines = err.trimEnd().split('\n');
  assert.match(lines[0] ?? '', /^rivulet: \S/);
  assert.ok(lines.length <= 2, err);
  if (lines.length === 2) assert.match(lines[1] ?? '', /^ {2}hint: \S/);
  assert.doesNotMatch(err, /this is a bug|\n\s+at /);
  for (const word of words) assert.ok(err.includes(word), `"${word}" in: ${err}`);
}

function errorOf({ code, err }: Ended): { code: string; message: string; hint?: string } {
  assert.equal(code, EXIT_FAILED, err);
  return JSON.parse(err).error;
}

/** What lies in the scratch folder, besides what was there. */
function newNames(before: readonly string[]): string[] {
  return scratch.names().filter((name) => !before.includes(name));
}

describe('a database that cannot be replicated', () => {
  const cases: { name: string; make: (path: string) => void; says: string[] }[] = [
    {
      name: 'a text file',
      make: (path) => writeFileSync(path, 'Dear diary, '.repeat(100)),
      says: ['is not a SQLite database', 'SQLite format 3'],
    },
    {
      name: 'random bytes, as an encrypted database has them',
      make: (path) => writeFileSync(path, Buffer.alloc(8192, 'q1\u0000zÿ')),
      says: ['or it is encrypted'],
    },
    {
      name: 'a header with page size 0',
      make: (path) => {
        makeDatabase(path, 1);
        const bytes = readFileSync(path);
        bytes.writeUInt16BE(0, PAGE_SIZE_OFFSET);
        writeFileSync(path, bytes);
      },
      says: ['corrupt header', 'page size 0'],
    },
    {
      name: 'a file cut off after 50 bytes',
      make: (path) => {
        makeDatabase(path, 1);
        truncateSync(path, 50);
      },
      says: ['is not a SQLite database', 'only 50 bytes'],
    },
    { name: 'a directory', make: (path) => mkdirSync(path), says: ['is a directory'] },
  ];
  for (const { name, make, says } of cases) {
    test(name, async () => {
      const path = scratch.file('app.db');
      make(path);
      const before = scratch.names();
      for (const once of [['-once'], []]) {
        const result = await runRivulet(['replicate', ...once, path, fileUrl('replica')]);
        assertSentence(result, [path, ...says]);
        assert.equal(result.out, '');
      }
      assert.deepEqual(newNames(before), []);
    });
  }

  test('one that does not exist is waited for, but not by -once', async () => {
    const path = scratch.file('app.db');
    const once = await runRivulet(['replicate', '-once', path, fileUrl('replica')]);
    assertSentence(once, [path, 'does not exist']);
    const waiting = startRivulet(['replicate', path, fileUrl('replica')]);
    await waiting.said('waiting for it');
    makeDatabase(path, 5);
    await waiting.said('snapshot written');
    waiting.process.kill('SIGTERM');
    assert.equal((await waiting.ended).code, EXIT_OK);
  });

  test('one of several: the others are replicated all the same', async () => {
    makeDatabase(scratch.file('good.db'), 5);
    writeFileSync(scratch.file('bad.db'), 'no database'.repeat(50));
    const dbs = ['bad', 'good'].map((name) => ({
      path: scratch.file(`${name}.db`),
      replicas: [{ path: scratch.file(`${name}-replica`) }],
    }));
    writeFileSync(scratch.file('rivulet.yml'), JSON.stringify({ dbs }));
    const both = startRivulet(['replicate', '-config', scratch.file('rivulet.yml')]);
    await both.said('snapshot written');
    await both.said('bad.db is not a SQLite database');
    both.process.kill('SIGTERM');
    assert.equal((await both.ended).code, EXIT_FINAL_SYNC_FAILED, 'nobody knows what is in the other one');
    await runRivulet(['restore', '-o', scratch.file('out.db'), fileUrl('good-replica')]);
    assert.equal(rowsOf(scratch.file('out.db')), 5);
  });

  test('a pipe', async () => {
    const path = scratch.file('app.db');
    assert.equal(spawnSync('mkfifo', [path]).status, 0);
    assertSentence(await runRivulet(['replicate', '-once', path, fileUrl('replica')]), [path, 'not a file']);
  });

  test('a symbolic link is followed: the log lies beside the real file', async () => {
    mkdirSync(scratch.file('real'));
    makeDatabase(scratch.file('real/app.db'), 5);
    symlinkSync('real/app.db', scratch.file('link.db'));
    await replicateOnce(scratch.file('link.db'), fileUrl('replica'));
    makeDatabase(scratch.file('real/app.db'), 5);
    await replicateOnce(scratch.file('link.db'), fileUrl('replica'));
    await runRivulet(['restore', '-o', scratch.file('out.db'), fileUrl('replica')]);
    assert.equal(rowsOf(scratch.file('out.db')), 10);
  });

  test('one that another process replicates', async () => {
    const path = scratch.file('app.db');
    makeDatabase(path, 5);
    const first = startRivulet(['replicate', path, fileUrl('replica')]);
    await first.said('snapshot written');
    const second = await runRivulet(['replicate', path, fileUrl('replica')]);
    assertSentence(second, [path, 'is being replicated by another process already']);
    assert.equal(first.process.exitCode, null);
    first.process.kill('SIGINT');
    assert.equal((await first.ended).code, EXIT_OK);
    await replicateOnce(path, fileUrl('replica'));
  });
});

describe('an application that cannot be started', () => {
  for (const [exec, says] of [
    ['/nowhere/command x', ['cannot start "/nowhere/command"', 'no such command']],
    ["echo 'hello", ['a quote that is never closed']],
    ['  ', ['-exec is empty']],
  ] as const) {
    test(`-exec "${exec}"`, async () => {
      const path = scratch.file('app.db');
      makeDatabase(path, 5);
      assertSentence(await runRivulet(['replicate', '-exec', exec, path, fileUrl('replica')]), says);
      await replicateOnce(path, fileUrl('replica'));
    });
  }
});

describe('a log that is only half there', () => {
  test('what is whole of it is replicated, and the application sees the same', async () => {
    const path = scratch.file('app.db');
    makeDatabase(path, 40);
    truncateSync(`${path}-wal`, Math.floor(statSync(`${path}-wal`).size / 2));
    await replicateOnce(path, fileUrl('replica'));
    const result = await runRivulet(['restore', '-o', scratch.file('out.db'), fileUrl('replica')]);
    assert.equal(result.code, EXIT_OK, result.err);
    const rows = rowsOf(path);
    assert.ok(rows > 0 && rows < 40, `${rows} rows`);
    assert.equal(rowsOf(scratch.file('out.db')), rows);
  });
});

describe('paths with blanks, percent signs, quotes and letters of the world', () => {
  const FOLDER = "we ird %41 ünï #1 'q' 東京";

  test('as the path in a configuration: taken literally', async () => {
    mkdirSync(scratch.file(FOLDER));
    const database = scratch.file(`${FOLDER}/a b%20?.db`);
    makeDatabase(database, 7);
    const config = scratch.file(`${FOLDER}/rivulet ü.yml`);
    const replica = scratch.file(`${FOLDER}/the replica%2F`);
    writeFileSync(config, JSON.stringify({ dbs: [{ path: database, replicas: [{ path: replica }] }] }));
    const replicated = await runRivulet(['replicate', '-once', '-config', config]);
    assert.equal(replicated.code, EXIT_OK, replicated.err);
    assert.ok(existsSync(join(replica, 'generations')));
    const output = scratch.file(`${FOLDER}/öut 100%.db`);
    const restored = await runRivulet(['restore', '-config', config, '-o', output, database]);
    assert.equal(restored.code, EXIT_OK, restored.err);
    assert.equal(rowsOf(output), 7);
  });

  test('as a URL: the same URL leads back to it', async () => {
    const database = scratch.file('a b%20 ü.db');
    makeDatabase(database, 7);
    const url = fileUrl(`${FOLDER}/replica`);
    await replicateOnce(database, url);
    const output = scratch.file('öut 100%.db');
    const restored = await runRivulet(['restore', '-o', output, url]);
    assert.equal(restored.code, EXIT_OK, restored.err);
    assert.equal(rowsOf(output), 7);
    const listed = await runRivulet(['wal', '-json', url]);
    assert.ok(JSON.parse(listed.out).length > 0);
  });
});

describe('with a good replica', () => {
  const ROWS = 20;

  const template = new Scratch();

  before(async () => {
    const database = template.file('app.db');
    for (const rows of [ROWS / 2, ROWS / 2]) {
      makeDatabase(database, rows);
      await replicateOnce(database, `file://${template.file('replica')}`);
    }
  });
  beforeEach(() => cpSync(template.path, scratch.path, { recursive: true, preserveTimestamps: true }));
  after(() => template[Symbol.dispose]());

  async function restore(output: string, ...flags: string[]): Promise<Ended> {
    return runRivulet(['restore', ...flags, '-o', scratch.file(output), fileUrl('replica')]);
  }

  function objects(kind: 'wal' | 'snapshots'): string[] {
    return globSync(scratch.file(`replica/generations/*/${kind}/*`)).sort();
  }

  function lastSegment(): string {
    return objects('wal').at(-1) ?? '';
  }

  test('an output that exists stays as it is', async () => {
    writeFileSync(scratch.file('out.db'), 'precious');
    mkdirSync(scratch.file('folder.db'));
    const before = scratch.names();
    assertSentence(await restore('out.db'), ['out.db exists already', 'never overwrites']);
    assertSentence(await restore('folder.db'), ['folder.db exists already']);
    assert.equal(errorOf(await restore('out.db', '-json')).code, 'OUTPUT_EXISTS');
    assert.equal(readFileSync(scratch.file('out.db'), 'utf8'), 'precious');
    assert.equal((await restore('out.db', '-if-db-not-exists')).code, EXIT_OK);
    assert.deepEqual(newNames(before), []);
  });

  test('what is left of an old database beside the output', async () => {
    const old = 'old'.repeat(1000);
    writeFileSync(scratch.file('out.db-wal'), old);
    assertSentence(await restore('out.db'), ['out.db-wal exists', 'another database']);
    assert.equal(readFileSync(scratch.file('out.db-wal'), 'utf8'), old);
    assert.equal(existsSync(scratch.file('out.db')), false);
  });

  test('an output under a file', async () => {
    writeFileSync(scratch.file('file'), '');
    assertSentence(await restore('file/out.db'), [scratch.file('file'), 'is not a directory']);
    assert.equal(errorOf(await restore('file/out.db', '-json')).code, 'OUTPUT_UNWRITABLE');
  });

  test('the last segment cut in half: what is still to be had is named, and is right', async () => {
    const before = scratch.names();
    truncateSync(lastSegment(), Math.floor(statSync(lastSegment()).size / 2));
    const broken = await restore('out.db');
    assertSentence(broken, [basename(lastSegment()), 'is damaged', 'the newest restorable point']);
    assert.deepEqual(newNames(before), []);
    const { code, hint = '' } = errorOf(await restore('out.db', '-json'));
    assert.equal(code, 'CHAIN_BROKEN');
    const flags = hint.slice(hint.indexOf('-generation')).split(' ');
    assert.equal((await restore('out.db', ...flags)).code, EXIT_OK);
    assert.equal(rowsOf(scratch.file('out.db')), ROWS / 2);
  });

  test('the last segment gone', async () => {
    const key = basename(lastSegment());
    rmSync(lastSegment());
    const { code, message } = errorOf(await restore('out.db', '-json'));
    assert.equal(code, 'CHAIN_BROKEN');
    assert.ok(message.includes(key) && message.includes('is missing'), message);
    assert.equal(existsSync(scratch.file('out.db')), false);
  });

  test('an empty segment', async () => {
    truncateSync(lastSegment(), 0);
    const { code, message } = errorOf(await restore('out.db', '-json'));
    assert.equal(code, 'CHAIN_BROKEN');
    assert.ok(message.includes(basename(lastSegment())), message);
  });

  test('objects encrypted with age, without a key', async () => {
    for (const path of [lastSegment(), objects('snapshots')[0] ?? '']) {
      copyFileSync(path, scratch.file('kept'));
      writeFileSync(path, AGE_OBJECT);
      assertSentence(await restore('out.db'), [basename(path), 'encrypted with age']);
      assert.equal(errorOf(await restore('out.db', '-json')).code, 'AGE_KEY_MISSING');
      copyFileSync(scratch.file('kept'), path);
    }
    assert.equal((await restore('out.db')).code, EXIT_OK);
  });

  test('garbage in generations/ is passed over', async () => {
    const generations = scratch.file('replica/generations');
    const [generation = ''] = globSync('*', { cwd: generations });
    mkdirSync(join(generations, '0123456789abcdef'));
    mkdirSync(join(generations, 'GARBAGE'));
    mkdirSync(join(generations, generation, 'wal', '00000009_00000000.wal.lz4'));
    for (const name of ['.DS_Store', `${generation}/notes.txt`, `${generation}/wal/0_0.wal.lz4`]) {
      writeFileSync(join(generations, name), 'garbage');
    }
    writeFileSync(join(generations, generation, 'snapshots', '00000000.snapshot.lz4.tmp'), 'half');
    const restored = await restore('out.db');
    assert.equal(restored.code, EXIT_OK, restored.err);
    assert.equal(rowsOf(scratch.file('out.db')), ROWS);
    const listed = JSON.parse((await runRivulet(['generations', '-json', fileUrl('replica')])).out);
    assert.deepEqual(
      listed.map((row: { generation: string }) => row.generation),
      [generation],
    );
    makeDatabase(scratch.file('app.db'), 1);
    await replicateOnce(scratch.file('app.db'), fileUrl('replica'));
  });

  test('a snapshot that is no snapshot', async () => {
    writeFileSync(objects('snapshots')[0] ?? '', 'garbage '.repeat(100));
    const { code, message } = errorOf(await restore('out.db', '-json'));
    assert.equal(code, 'CHAIN_BROKEN');
    assert.ok(message.includes('.snapshot.lz4'), message);
    assert.equal(existsSync(scratch.file('out.db')), false);
  });

  test('a time, generation or index that is not there', async () => {
    const early = await restore('out.db', '-json', '-timestamp', '2001-01-01T00:00:00Z');
    assert.equal(errorOf(early).code, 'TARGET_UNAVAILABLE');
    const generation = await restore('out.db', '-json', '-generation', '0123456789abcdef');
    assert.equal(errorOf(generation).code, 'TARGET_UNAVAILABLE');
    const index = await restore('out.db', '-json', '-index', '00ff0000');
    assert.equal(errorOf(index).code, 'TARGET_UNAVAILABLE');
  });

  test('without the rights', { skip: reasonToSkipRights() }, async () => {
    mkdirSync(scratch.file('closed'), { mode: 0o755 });
    chmodSync(scratch.path, 0o755);
    const asNobody = async (...words: string[]): Promise<Ended> => runRivulet(words, { uid: NOBODY });
    const replica = fileUrl('replica');

    chmodSync(scratch.file('replica'), 0o700);
    const unreadable = await asNobody('restore', '-if-replica-exists', '-o', '/tmp/never', replica);
    assertSentence(unreadable, [scratch.file('replica'), 'EACCES']);

    chmodSync(scratch.file('replica'), 0o755);
    cpSync(scratch.file('replica'), scratch.file('open'), { recursive: true });
    for (const path of globSync(scratch.file('open/**/*'))) chmodSync(path, 0o755);
    const output = scratch.file('closed/out.db');
    const unwritable = await asNobody('restore', '-o', output, fileUrl('open'));
    assertSentence(unwritable, [output, 'cannot be written', 'permission denied']);

    const database = scratch.file('closed/app.db');
    makeDatabase(database, 3);
    chmodSync(database, 0o600);
    assertSentence(await asNobody('replicate', '-once', database, fileUrl('closed/replica')), [
      database,
      'cannot be read',
      'permission denied',
    ]);
    chmodSync(database, 0o644);
    assertSentence(await asNobody('replicate', '-once', database, fileUrl('closed/replica')), [
      scratch.file('closed'),
      'permission denied',
      'meta-path',
    ]);
    assert.equal(rowsOf(database), 3);
  });

  test('a replica path that is a file', async () => {
    writeFileSync(scratch.file('a-file'), 'precious');
    const reading = await runRivulet([
      'restore',
      '-if-replica-exists',
      '-o',
      scratch.file('o'),
      fileUrl('a-file'),
    ]);
    assertSentence(reading, ['a-file', 'is a file', 'expected a directory']);
    const config = scratch.file('rivulet.yml');
    const dbs = [{ path: scratch.file('app.db'), replicas: [{ path: scratch.file('a-file') }] }];
    writeFileSync(config, JSON.stringify({ 'shutdown-timeout': '300ms', dbs }));
    const writing = await runRivulet(['replicate', '-once', '-config', config]);
    const words = ['not everything was stored', 'a-file', 'is a file', 'move it away', 'the next start'];
    assertSentence(writing, words, EXIT_FINAL_SYNC_FAILED);
    assert.equal(readFileSync(scratch.file('a-file'), 'utf8'), 'precious');
  });

  test('a replica that is empty, or is not there', async () => {
    assertSentence(await runRivulet(['restore', '-o', scratch.file('o'), fileUrl('nowhere')]), [
      scratch.file('nowhere'),
      'holds nothing that could be restored',
    ]);
    const forgiven = await runRivulet(['restore', '-if-replica-exists', '-o', 'o', fileUrl('nowhere')]);
    assert.deepEqual([forgiven.code, forgiven.err], [EXIT_OK, '']);
    assert.equal(existsSync(scratch.file('nowhere')), false);
  });
});

/** Being root lets a test become somebody who is not; who is nobody special has no need to. */
function reasonToSkipRights(): string | false {
  if (process.getuid?.() !== 0) return 'only root can start a process as another user';
  const probe = spawnSync(EXECUTABLE, ['version'], { uid: NOBODY, gid: NOBODY });
  return probe.status === 0 ? false : 'the checkout lies where another user may not read';
}

describe('a command line or configuration with a mistake', () => {
  const configs: [string, string, string[]][] = [
    [
      'unknown key',
      'dbs:\n  - path: /x\n    replcas: []\n',
      [':3:5:', 'replcas', 'did you mean `replicas`?'],
    ],
    ['misplaced key', 'retention: 1h\ndbs: []\n', [':1:1:', 'belongs under a replica']],
    ['no unit', 'dbs:\n  - path: /x\n    monitor-interval: 5\n', [':3:23:', 'monitor-interval']],
    ['not YAML', 'dbs: [\n', ['not valid YAML']],
    ['a list for a text', 'dbs:\n  - path: [/x]\n', [':2:11:', 'path']],
  ];
  for (const [name, text, says] of configs) {
    test(`configuration: ${name}`, async () => {
      const path = scratch.file('rivulet.yml');
      writeFileSync(path, text);
      const result = await runRivulet(['replicate', '-config', path]);
      assertSentence(result, [path, ...says]);
      const asJson = errorOf(await runRivulet(['databases', '-json', '-config', path]));
      assert.equal(asJson.code, 'CONFIG_INVALID');
    });
  }

  test('configuration that is not there, or is a directory', async () => {
    const missing = await runRivulet(['databases', '-json', '-config', scratch.file('none.yml')]);
    assert.equal(errorOf(missing).code, 'CONFIG_NOT_FOUND');
    assertSentence(await runRivulet(['replicate', '-config', scratch.path]), [scratch.path]);
  });

  const lines: [string[], string[]][] = [
    [['replcate'], ['no command "replcate"', 'rivulet replicate']],
    [
      ['replicate', '-exek', 'true'],
      ['no flag -exek', '-exec'],
    ],
    [
      ['restore', '-timestamp', 'yesterday', '-o', 'x', 'file:///x'],
      ['-timestamp is "yesterday"', 'RFC 3339'],
    ],
    [
      ['restore', '-parallelism', '0', '-o', 'x', 'file:///x'],
      ['-parallelism is "0"', 'a whole number'],
    ],
    [['restore', '-integrity-check', 'maybe', '-o', 'x', 'file:///x'], ['one of none, quick, full']],
    [['restore', 'file:///x'], ['needs -o PATH']],
    [
      ['wal', '/'],
      ['/ is a directory', 'file:///'],
    ],
    [['replicate', 'only.db'], ['without a replica URL']],
    [
      ['replicate', 'x.db', 's3://AKIA:hunter2@bucket/x'],
      ['replica URL', 'must not hold access keys'],
    ],
    [
      ['replicate', 'x.db', 'sftp://host/x'],
      ['replica URL 1', 'names no user'],
    ],
    [['replicate', 'x.db', 'ftp://host/x'], ['ftp']],
  ];
  for (const [words, says] of lines) {
    test(`rivulet ${words.join(' ')}`, async () => {
      assertSentence(await runRivulet(words), says);
    });
  }

  test('age keys are refused: nothing is stored in the clear', async () => {
    const age = { recipients: ['age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq'] };
    const dbs = [{ path: scratch.file('app.db'), replicas: [{ path: scratch.file('replica'), age }] }];
    writeFileSync(scratch.file('rivulet.yml'), JSON.stringify({ dbs }));
    makeDatabase(scratch.file('app.db'), 3);
    for (const command of ['replicate', 'config']) {
      const answer = await runRivulet([command, '-config', scratch.file('rivulet.yml')]);
      assertSentence(answer, ['the replica `file` of', 'age.recipients', 'was changed or cut off']);
    }
    assert.equal(existsSync(scratch.file('replica')), false);
  });
});
