import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { loadCommands } from '../../src/cli/commands.ts';
import { parseTimestamp } from '../../src/cli/restore/target.ts';
import { roundLag } from '../../src/cli/commands/generations.ts';
import { formatBytes } from '../../src/cli/output.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import { fillSmallReplica, lastPoint, ReplicaMaker } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(...words: string[]): Promise<Result> {
  const text = { out: '', err: '' };
  const code = await runCommandLine(words, {
    stdout: { write: (chunk) => void (text.out += chunk) },
    stderr: { write: (chunk) => void (text.err += chunk) },
    env: {},
  });
  return { code, ...text };
}

describe('the frame', () => {
  test('help that was asked for goes to stdout and is a success', async () => {
    for (const words of [[], ['help'], ['-h'], ['--help'], ['-help']]) {
      const { code, out, err } = await run(...words);
      assert.deepEqual([code, err], [0, '']);
      for (const { name, summary } of await loadCommands())
        assert.match(out, new RegExp(`^  ${name} +${summary}$`, 'm'));
    }
  });

  test('every command explains itself in the same way by all three roads', async () => {
    for (const { name, flags, examples } of await loadCommands()) {
      const { code, out } = await run('help', name);
      assert.equal(code, 0);
      for (const flag of flags) assert.ok(out.includes(`  -${flag.name}`), `${name} -${flag.name}`);
      assert.ok(examples.length >= 2, `${name} has examples`);
      assert.match(out, /Exit status:/);
      const statuses = [...(out.split('Exit status:')[1] ?? '').matchAll(/^  (\S+)/gm)].map(
        ([, code]) => code,
      );
      assert.equal(statuses.length, new Set(statuses).size, `${name} tells each exit status once`);
      assert.ok(
        out.split('\n').every((line) => line.length <= 110),
        `${name} fits the screen`,
      );
      assert.equal((await run(name, '-h')).out, out);
      assert.equal((await run(name, '--help')).out, out);
    }
  });

  test('the version is that of the package, by every road', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    for (const word of ['version', '-version', '--version']) {
      assert.deepEqual(await run(word), { code: 0, out: `v${version}\n`, err: '' });
    }
    assert.equal(JSON.parse((await run('version', '-json')).out).rivulet, `v${version}`);
  });

  test('a command line that is not understood exits with 1 and says what is', async () => {
    const cases: [string[], RegExp][] = [
      [['restroe'], /there is no command "restroe"\n  hint: did you mean "rivulet restore"\?/],
      [['constructor'], /there is no command "constructor"/],
      [['-config', 'x'], /a flag, -config, stands where a command is expected/],
      [['restore'], /restore needs DB_PATH\|REPLICA_URL/],
      [['restore', 'a', 'b'], /does not take "b"/],
      [['restore', '-timestmap', 'x', 'a'], /no flag -timestmap\n  hint: did you mean -timestamp\?/],
      [['help', 'nope'], /there is no command "nope"/],
      [['restore', 'file:///x'], /needs -o PATH/],
      [['wal', '-config', 'c', 'file:///x'], /-config does not go with a replica URL/],
      [['wal', 's3://bucket/x?endpont=h'], /did you mean `endpoint`\?/],
      [['restore', '-o', 'x.db', 's3:bucket/app'], /s3:b\.\.\. is no replica URL\n +hint: .*s3:\/\//],
      [['config', 'scheme'], /config takes "schema" or nothing/],
      [
        ['restore', '-index', '1', '-timestamp', '2026-01-01T00:00:00Z', '-o', 'x', 'file:///x'],
        /cannot both/,
      ],
    ];
    for (const [words, message] of cases) {
      const { code, err } = await run(...words);
      assert.equal(code, 1, words.join(' '));
      assert.match(err, message);
      assert.match(err, /^rivulet: /);
    }
  });

  test('an error ends with its code, by which it is looked up', async () => {
    const { code, err } = await run('restore', '-o', '/no/such/out.db', 'file:///no/such/place');
    assert.equal(code, 1);
    assert.match(err, /^rivulet: [^\n]+ \[REPLICA_EMPTY\]\n/);
  });

  test('with -json an error is one JSON object, too', async () => {
    const { code, err } = await run('wal', '-json', '-nope');
    assert.equal(code, 1);
    assert.equal(JSON.parse(err).error.code, 'USAGE');
  });
});

describe('values for people', () => {
  test('timestamps are RFC 3339, strictly', () => {
    assert.equal(parseTimestamp('2026-01-31T12:00:00.123456Z'), Date.UTC(2026, 0, 31, 12, 0, 0, 123));
    assert.equal(parseTimestamp('2024-02-29t12:00:00+02:00'), Date.UTC(2024, 1, 29, 10));
    const wrong = [
      '',
      'now',
      '2026-01-31',
      '2026-01-31T12:00:00',
      '2026-02-29T00:00:00Z',
      '2026-13-01T00:00:00Z',
    ];
    for (const text of [...wrong, '2026-01-01T25:00:00Z', '1767225600', '2026-01-01 00:00:00Z']) {
      assert.throws(() => parseTimestamp(text), { code: 'USAGE' }, text);
    }
  });

  test('lag is coarser the longer it is, and may be negative', () => {
    assert.deepEqual([999, 1234, -1999, 10_999, 123_456].map(roundLag), [999, 1200, -1900, 10_000, 123_000]);
  });

  test('sizes show three digits', () => {
    assert.deepEqual([0, 999, 1000, 1499, 999_499, 999_500, 123_456_789, 5e15].map(formatBytes), [
      '0 B',
      '999 B',
      '1.00 kB',
      '1.50 kB',
      '999 kB',
      '1.00 MB',
      '123 MB',
      '5000 TB',
    ]);
  });
});

describe('commands on a replica', () => {
  let scratch = new Scratch();
  let maker = new ReplicaMaker(new MemoryStore());
  let url = '';
  let config = '';

  beforeEach(() => {
    scratch[Symbol.dispose]();
    maker[Symbol.dispose]();
    scratch = new Scratch();
    maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    writeReplica('replica');
    url = `file://${scratch.file('replica')}`;
    config = scratch.file('rivulet.yml');
    const replicas = [
      { name: 'good', path: scratch.file('replica') },
      { name: 'empty', path: scratch.file('nothing') },
    ];
    writeFileSync(config, JSON.stringify({ dbs: [{ path: scratch.file('app.db'), replicas }] }));
  });
  afterEach(() => {
    maker[Symbol.dispose]();
    scratch[Symbol.dispose]();
    maker = new ReplicaMaker(new MemoryStore());
    scratch = new Scratch();
  });

  function writeReplica(name: string): void {
    for (const [key, { bytes }] of maker.store.objects) {
      const path = join(scratch.file(name), key);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
    }
  }

  test('listings show every object, as a table and as JSON', async () => {
    const keys = maker.store.keys();
    const snapshots = await run('snapshots', url);
    assert.match(
      snapshots.out,
      /^replica +generation +index +size +created\nfile +[0-9a-f]{16} +\d+ +\d+ +\S+Z\n/,
    );
    assert.equal(
      snapshots.out.split('\n').length - 2,
      keys.filter((key) => key.includes('/snapshots/')).length,
    );
    const wal = JSON.parse((await run('wal', '-json', url)).out) as Record<string, unknown>[];
    assert.equal(wal.length, keys.filter((key) => key.includes('/wal/')).length);
    assert.deepEqual(Object.keys(wal[0] ?? {}), [
      'replica',
      'generation',
      'index',
      'offset',
      'size',
      'created',
    ]);
    assert.match(String(wal[0]?.['created']), /\.\d{3}Z$/);
    assert.equal((await run('wal', '-generation', '0000000000000000', url)).out.split('\n').length, 2);
    const generations = await run('generations', '-config', config, scratch.file('app.db'));
    assert.match(generations.out, /^name +generation +lag +start +end\ngood +/);
  });

  test('databases and config show what is configured', async () => {
    const listing = await run('databases', '-config', config);
    assert.match(listing.out, /^path +replicas\n.*app\.db +good,empty\n$/);
    assert.match((await run('config', '-config', config)).out, /retention: 24h/);
    assert.equal(JSON.parse((await run('config', '-json', '-config', config)).out).dbs.length, 1);
    assert.match(JSON.parse((await run('config', 'schema')).out).$schema, /json-schema/);
  });

  test('restore takes the replica that has data, and says what it did', async () => {
    const { code, out, err } = await run('restore', '-config', config, scratch.file('app.db'));
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /^restored .*app\.db \(.*\) as of .*; every byte was checked\n$/);
    assert.ok(readFileSync(scratch.file('app.db')).equals(lastPoint(maker).database));
    const again = await run('restore', '-config', config, scratch.file('app.db'));
    assert.deepEqual([again.code, again.out], [1, '']);
    const left = scratch.file(`app.db.tmp-${'0'.repeat(16)}`);
    writeFileSync(left, 'of a killed restore');
    const skipped = await run('restore', '-if-db-not-exists', '-config', config, scratch.file('app.db'));
    assert.deepEqual([skipped.code, skipped.err, existsSync(left)], [0, '', false]);
  });

  test('restore passes what holds nothing beside the output, and says where it is now', async () => {
    const output = scratch.file('boot.db');
    writeFileSync(`${output}-wal`, '');
    const flags = ['-if-db-not-exists', '-if-replica-exists', '-o', output];
    const { code, err } = await run('restore', ...flags, url);
    assert.equal(code, 0, err);
    assert.match(
      err,
      /^rivulet: a file beside the output that held nothing is now .*boot\.db-wal\.aside-[0-9a-f]{16}\n$/,
    );
  });

  test('an empty file is no database: beside a replica that has one it is an error, beside an empty one nothing', async () => {
    const output = scratch.file('empty.db');
    writeFileSync(output, '');
    const flags = ['-if-db-not-exists', '-if-replica-exists', '-o', output];
    const refused = await run('restore', ...flags, url);
    assert.deepEqual([refused.code, refused.out], [1, '']);
    assert.match(refused.err, /empty\.db is an empty file and no database.*OUTPUT_EXISTS/);
    assert.match(refused.err, /hint: Remove the empty file/);
    assert.equal((await run('restore', ...flags, `file://${scratch.file('nothing')}`)).code, 0);
    assert.equal(readFileSync(output).length, 0);
    rmSync(output);
    assert.equal((await run('restore', ...flags, url)).code, 0);
    assert.ok(readFileSync(output).length > 0);
  });

  test('restore -json and -dry-run tell scripts the same facts, and a dry run writes nothing', async () => {
    const output = scratch.file('out.db');
    const plan = JSON.parse((await run('restore', '-dry-run', '-json', '-o', output, url)).out);
    assert.equal(existsSync(output), false);
    const done = JSON.parse((await run('restore', '-json', '-o', output, url)).out);
    assert.deepEqual(
      [plan.generation, plan.resultingTime, plan.output],
      [done.generation, done.resultingTime, output],
    );
    assert.equal(done.proven, true);
  });

  test('restore -v tells each step on standard error, and says the same on standard output', async () => {
    const output = scratch.file('told.db');
    const { code, out, err } = await run('restore', '-v', '-integrity-check', 'quick', '-o', output, url);
    assert.equal(code, 0);
    assert.match(out, /^restored .*; every byte was checked\n$/);
    for (const key of maker.store
      .keys()
      .filter((name) => name.endsWith('.lz4'))
      .slice(-2)) {
      assert.ok(err.includes(`segment applied key=${key}`), `${key} in:\n${err}`);
    }
    assert.match(err, / DEBUG restoring generation=.*\n.* DEBUG snapshot read key=/);
    assert.match(err, /checked by SQLite check=quick\n.*the database has its name path=.*told\.db\n$/);
  });

  test('a hole is an error that names the object, and leaves nothing', async () => {
    const lost = maker.store.keys().filter((key) => key.includes('/wal/'))[1] ?? '';
    rmSync(join(scratch.file('replica'), lost));
    const target = ['-index', '0', '-o', scratch.file('out.db')];
    const { code, err } = await run('restore', ...target, url);
    assert.equal(code, 1);
    assert.ok(err.includes(lost), err);
    assert.deepEqual(
      scratch.names().filter((name) => name.startsWith('out.db')),
      [],
    );
  });

  test('-if-replica-exists forgives an empty replica, never one that cannot be read', async () => {
    const output = scratch.file('out.db');
    const flags = ['-if-replica-exists', '-o', output];
    assert.equal((await run('restore', '-o', output, `${url}-none`)).code, 1);
    assert.equal((await run('restore', ...flags, `${url}-none`)).code, 0);
    copyFileSync(config, scratch.file('a-file'));
    const unreadable = await run('restore', ...flags, `file://${scratch.file('a-file')}`);
    assert.equal(unreadable.code, 1);
    assert.match(unreadable.err, /a-file/);
    const listing = await run('wal', `file://${scratch.file('a-file')}`);
    assert.deepEqual([listing.code, listing.err !== ''], [1, true]);
  });

  test('a place with something else in it is never called empty, and an empty one in the words that entry points know', async () => {
    const flags = ['-if-replica-exists', '-o', scratch.file('out.db')];
    const deeper = await run('restore', ...flags, `file://${dirname(scratch.file('replica'))}`);
    assert.deepEqual([deeper.code, deeper.out], [1, '']);
    assert.match(deeper.err, /hint: Did you mean .*\/replica\?/);
    const place = scratch.file('v5');
    mkdirSync(join(place, 'ltx/0'), { recursive: true });
    writeFileSync(join(place, 'ltx/0/0000000000000001-0000000000000001.ltx'), 'LTX1');
    for (const words of [['restore', ...flags], ['generations'], ['snapshots'], ['wal']]) {
      const { code, out, err } = await run(...words, `file://${place}`);
      assert.equal(code, 1, words.join(' '));
      assert.match(err, /v5 holds a replica of Litestream v0\.5 .*REPLICA_UNREADABLE/);
      assert.doesNotMatch(out + err, /no matching backups found/);
    }
    assert.equal((await run('verify', `file://${place}`)).code, 7);
    const empty = await run('restore', '-o', scratch.file('out.db'), `${url}-none`);
    assert.match(empty.err, /no matching backups found.*REPLICA_EMPTY/);
    assert.match((await run('restore', ...flags, `${url}-none`)).out, /^no matching backups found/);
  });

  test('a lease whose data is gone is no empty replica', async () => {
    const place = scratch.file('lease-only');
    mkdirSync(join(place, 'rivulet-lease'), { recursive: true });
    writeFileSync(join(place, 'rivulet-lease/0000000001'), '{}');
    const left = await run('restore', '-if-replica-exists', '-o', scratch.file('out.db'), `file://${place}`);
    assert.deepEqual([left.code, left.out], [1, '']);
    assert.match(left.err, /nothing but the lease.*REPLICA_EMPTY/);
  });

  test('what lies at a replica that was passed over is told', async () => {
    mkdirSync(scratch.file('nothing'));
    writeFileSync(join(scratch.file('nothing'), 'dump.sql'), 'x');
    const { code, err } = await run('restore', '-config', config, scratch.file('app.db'));
    assert.equal(code, 0);
    assert.match(err, /nothing holds files of other programs, such as dump\.sql/);
  });

  test('newer data of Litestream v0.5 beside a replica is not passed over for the newest state', async () => {
    const place = join(scratch.file('replica'), '0000');
    mkdirSync(place);
    const file = join(place, '0000000000000001-0000000000000001.ltx');
    writeFileSync(file, 'LTX1');
    const laterSeconds = Date.now() / 1000 + 60;
    utimesSync(file, laterSeconds, laterSeconds);
    const flags = ['-o', scratch.file('out.db')];
    const refused = await run('restore', ...flags, url);
    assert.deepEqual([refused.code, refused.out], [1, '']);
    assert.match(refused.err, /it was written at .*REPLICA_UNREADABLE/);
    utimesSync(file, 0, 0);
    assert.equal((await run('restore', ...flags, url)).code, 0);
  });

  test('a database or replica that is not configured is named together with those that are', async () => {
    const other = await run('wal', '-config', config, scratch.file('other.db'));
    assert.match(other.err, /other\.db is not a database of .*app\.db/);
    const replica = await run('wal', '-config', config, '-replica', 'x', scratch.file('app.db'));
    assert.match(replica.err, /has no replica "x"; there: good, empty/);
  });
});
