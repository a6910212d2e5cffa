/** The same words at the same replica: what is alike, and what is different on purpose. */
import assert from 'node:assert/strict';
import { cpSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DatabaseSync } from 'node:sqlite';
import { Scratch } from '../support/scratch.ts';
import { Application } from './support/application.ts';
import { contentsOf } from './support/contents.ts';
import {
  countObjects,
  generationsOf,
  type ObjectFile,
  objectsOf,
  restoreWith,
  urlOf,
} from './support/replica-files.ts';
import { type Result, run, runBoth, Running, skip, type Tool, TOOLS } from './support/tools.ts';

const ROUNDS = 6;

/** Every key that a v0.3.13 file for directories can have. */
function configuration(scratch: Scratch): string {
  return `
access-key-id: unused
secret-access-key: unused
logging:
  level: info
  type: text
  stderr: false
dbs:
  - path: ${scratch.file('app.db')}
    meta-path: ${scratch.file('meta')}
    monitor-interval: 20ms
    checkpoint-interval: 1m
    min-checkpoint-page-count: 20
    max-checkpoint-page-count: 10000
    replicas:
      - path: ${scratch.file('replica')}
        retention: 24h
        retention-check-interval: 1h
        sync-interval: 20ms
        snapshot-interval: 12h
        validation-interval: 24h
      - name: second
        type: file
        path: \${PLACE}/second
      - name: third
        url: file://${scratch.file('third')}
  - path: ${scratch.file('other.db')}
    replicas:
      - url: file://${scratch.file('other')}
`;
}

function codesOf(results: Readonly<Record<Tool, Result>>): [number | null, number | null] {
  return [results.rivulet.code, results.litestream.code];
}

/** A listing without what depends on the moment it is made. */
function settled(text: string): string[][] {
  const [header = [], ...rows] = text
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().split(/ {2,}/));
  const lag = header.indexOf('lag');
  const kept = rows.map((row) => row.filter((_, column) => column !== lag));
  return [header, ...kept.sort((a, b) => (a.join() < b.join() ? -1 : 1))];
}

describe('command line', { skip, concurrency: 2 }, () => {
  const scratch = new Scratch();
  const application = new Application(scratch.file('app.db'));
  const [database, replicaPath] = [application.path, scratch.file('replica')];
  const url = urlOf(replicaPath);
  const none = urlOf(scratch.file('none'));
  const config = scratch.file('config.yml');
  const env = { PLACE: scratch.path };
  let generation = '';

  before(async () => {
    writeFileSync(config, configuration(scratch));
    await using replicator = new Running('litestream', ['replicate', '-config', config], { env });
    await replicator.until('a first snapshot', () => countObjects(replicaPath) > 0);
    for (let round = 0; round < ROUNDS; round += 1) {
      const known = countObjects(replicaPath);
      application.write(12);
      await replicator.settle(() => countObjects(replicaPath) > known);
    }
    await replicator.stop();
    generation = generationsOf(replicaPath)[0] ?? '';
  });
  after(() => {
    application[Symbol.dispose]();
    scratch[Symbol.dispose]();
  });

  /** A fresh output path for each use of OUT. */
  let outputs = 0;
  const fill = (words: readonly string[]): string[] =>
    words.map((word) => (word === 'OUT' ? scratch.file(`out-${(outputs += 1)}.db`) : word));

  async function both(words: readonly string[]): Promise<Readonly<Record<Tool, Result>>> {
    const [rivulet, litestream] = await Promise.all(TOOLS.map((tool) => run(tool, fill(words), { env })));
    assert.ok(rivulet !== undefined && litestream !== undefined);
    return { rivulet, litestream };
  }

  describe('alike', () => {
    test('listings have the same columns and rows', async () => {
      const commands = [
        ['databases', '-config', config],
        ['databases', '--config', config, '-no-expand-env'],
        ['databases', `-config=${config}`, '--no-expand-env=true'],
        ['generations', '-config', config, database],
        ['generations', '-config', config, '-replica', 'file', database],
        ['generations', url],
        ['snapshots', '-config', config, database],
        ['snapshots', '--replica=second', '--config', config, database],
        ['snapshots', url],
        ['wal', '-config', config, '-replica', 'third', database],
        ['wal', '-generation', generation, '-config', config, database],
        ['wal', '--generation', generation, url],
        ['wal', url],
        ['generations', none],
        ['snapshots', none],
        ['wal', none],
      ];
      for (const words of commands) {
        const results = await both(words);
        assert.deepEqual(codesOf(results), [0, 0], words.join(' '));
        assert.deepEqual(settled(results.rivulet.out), settled(results.litestream.out), words.join(' '));
      }
    });

    test('LITESTREAM_CONFIG names the configuration', async () => {
      const results = await runBoth(['databases'], { env: { ...env, LITESTREAM_CONFIG: config } });
      assert.deepEqual(codesOf(results), [0, 0]);
      assert.equal(results.rivulet.out, results.litestream.out);
    });

    test('restore takes the same flags', async () => {
      const targets = [
        ['-o', 'OUT', url],
        ['--o', 'OUT', '--parallelism=2', url],
        ['-o', 'OUT', '-generation', generation, url],
        ['-o', 'OUT', '-generation', generation, '-index', '00000001', url],
        ['-o', 'OUT', '-index=1', url],
        ['-o', 'OUT', '-if-replica-exists', '-if-db-not-exists', url],
        ['-o', 'OUT', '-config', config, database],
        ['-o', 'OUT', '-config', config, '-replica', 'second', database],
        ['-o', 'OUT', '--config', config, '--replica', 'third', '-parallelism', '1', database],
      ];
      for (const target of targets) {
        const made: string[] = [];
        for (const tool of TOOLS) {
          const words = fill(['restore', ...target]);
          const { code, out, err } = await run(tool, words, { env });
          assert.equal(code, 0, `${tool} ${words.join(' ')}: ${out}${err}`);
          made.push(contentsOf(words.find((word) => basename(word).startsWith('out-')) ?? '').pages);
        }
        assert.equal(made[0], made[1], target.join(' '));
      }
    });

    test('exit codes', async () => {
      const existing = scratch.file('existing.db');
      writeFileSync(existing, 'something');
      const commands: (readonly [number, readonly string[]])[] = [
        [0, ['version']],
        [1, ['nonsense']],
        [1, ['databases', '-nonsense']],
        [1, ['databases', 'surplus']],
        [1, ['databases', '-config', scratch.file('none.yml')]],
        [1, ['snapshots']],
        [1, ['wal', '-config', config, scratch.file('unknown.db')]],
        [1, ['generations', '-config', config, '-replica', 'unknown', database]],
        [1, ['restore']],
        [1, ['restore', url]],
        [1, ['restore', '-o', 'OUT', '-config', config, url]],
        [1, ['restore', '-o', 'OUT', none]],
        [0, ['restore', '-o', 'OUT', '-if-replica-exists', none]],
        [1, ['restore', '-o', existing, url]],
        [0, ['restore', '-o', existing, '-if-db-not-exists', url]],
        [1, ['restore', '-config', config, database]],
        [0, ['restore', '-config', config, '-if-db-not-exists', database]],
        [1, ['restore', '-o', 'OUT', '-timestamp', 'yesterday', url]],
        [1, ['restore', '-o', 'OUT', '-timestamp', '2001-01-01T00:00:00Z', url]],
        [1, ['restore', '-o', 'OUT', '-index', 'xyz', url]],
        [1, ['restore', '-o', 'OUT', '-generation', 'ffffffffffffffff', url]],
        [1, ['replicate', scratch.file('lone.db')]],
        [1, ['replicate', '-config', config, database, url]],
      ];
      for (const [code, words] of commands) {
        assert.deepEqual(codesOf(await both(words)), [code, code], words.join(' '));
      }
    });
  });

  describe('different on purpose', () => {
    test('help that was asked for is a success', async () => {
      for (const words of [['help'], ['-h'], ['restore', '-h'], []]) {
        assert.deepEqual(codesOf(await both(words)), [0, 1], words.join(' '));
      }
    });

    test('a surplus argument of version is refused', async () => {
      assert.deepEqual(codesOf(await both(['version', 'surplus'])), [1, 0]);
    });

    test('restore -v exists', async () => {
      assert.deepEqual(codesOf(await both(['restore', '-v', '-o', 'OUT', url])), [0, 1]);
    });

    test('a moment after the last upload is the newest state', async () => {
      const target = ['-timestamp', '2199-01-01T00:00:00Z'];
      assert.deepEqual(codesOf(await both(['restore', '-o', 'OUT', ...target, url])), [0, 1]);
      const newest = await restoreWith('rivulet', replicaPath);
      assert.deepEqual((await restoreWith('rivulet', replicaPath, target)).contents, newest.contents);
    });

    test('an index after the last one is refused', async () => {
      assert.deepEqual(codesOf(await both(['restore', '-o', 'OUT', '-index', '7fff', url])), [1, 0]);
    });

    test('a hole is an error that names the missing object', async () => {
      const damaged = scratch.file('damaged');
      cpSync(replicaPath, damaged, { recursive: true, preserveTimestamps: true });
      const segments = objectsOf(damaged).filter(({ kind }) => kind === 'wal');
      const hole = segments.find((segment) => isInTheMiddle(segment, segments));
      assert.ok(hole !== undefined, 'no segment in the middle of an index');
      rmSync(join(damaged, hole.key));
      const target = ['-index', hole.index.toString(16)];
      const results = await both(['restore', '-o', 'OUT', ...target, urlOf(damaged)]);
      assert.deepEqual(codesOf(results), [1, 0]);
      assert.ok(results.rivulet.err.includes(basename(hole.key)), results.rivulet.err);
    });

    test('a restore that fails leaves nothing behind', async () => {
      const damaged = scratch.file('cut');
      cpSync(replicaPath, damaged, { recursive: true, preserveTimestamps: true });
      const snapshot = objectsOf(damaged).find(({ kind }) => kind === 'snapshots');
      assert.ok(snapshot !== undefined);
      truncateSync(join(damaged, snapshot.key), snapshot.sizeBytes / 2);
      const left = TOOLS.map(async (tool) => {
        using place = new Scratch();
        const { code } = await run(tool, ['restore', '-o', place.file('out.db'), urlOf(damaged)]);
        return [code, place.names().length > 0];
      });
      assert.deepEqual(await Promise.all(left), [
        [1, false],
        [1, true],
      ]);
    });

    test('a replica that cannot be read is an error of the listings', async () => {
      const file = scratch.file('a-file');
      writeFileSync(file, '');
      assert.deepEqual(codesOf(await both(['wal', urlOf(file)])), [1, 0]);
    });

    test('mistakes in the configuration are errors', async () => {
      const lines = ['monitor-intervall: 1s', 'monitor-interval: 5'];
      for (const line of lines) {
        const path = scratch.file(`mistake-${lines.indexOf(line)}.yml`);
        writeFileSync(
          path,
          `dbs:\n  - path: ${database}\n    ${line}\n    replicas:\n      - path: ${replicaPath}\n`,
        );
        const results = await both(['databases', '-config', path]);
        assert.deepEqual(codesOf(results), [1, 0], line);
        assert.match(results.rivulet.err, /mistake-\d\.yml:3/);
      }
    });

    test('a literal dollar sign can be written', async () => {
      const path = scratch.file('dollar.yml');
      writeFileSync(
        path,
        `dbs:\n  - path: "${scratch.file('a$$b.db')}"\n    replicas:\n      - path: ${replicaPath}\n`,
      );
      const { rivulet, litestream } = await both(['databases', '-config', path]);
      assert.ok(rivulet.out.includes(`${scratch.file('a$b.db')} `), rivulet.out);
      assert.equal(litestream.out.includes('a$b.db'), false);
    });

    test('several replicas of one type can be given on the command line', async () => {
      const source = scratch.file('twice.db');
      using _ = new Application(source);
      const urls = [urlOf(scratch.file('twice-1')), urlOf(scratch.file('twice-2'))];
      const ours = await run('rivulet', ['replicate', '-once', source, ...urls]);
      assert.deepEqual([ours.code, countObjects(scratch.file('twice-2')) > 0], [0, true], ours.err);
      assert.equal((await run('litestream', ['replicate', source, ...urls])).code, 1);
    });

    test("the application's exit code is passed on", async () => {
      const codes = await Promise.all(
        TOOLS.map(async (tool) => {
          const source = scratch.file(`exec-${tool}.db`);
          using _ = new Application(source);
          const words = ['replicate', '-exec', "sh -c 'exit 7'", source, urlOf(scratch.file(`exec-${tool}`))];
          return (await run(tool, words)).code;
        }),
      );
      assert.deepEqual(codes, [7, 1]);
    });

    test('nothing is added to the database', async () => {
      const tables: string[][] = [];
      for (const tool of TOOLS) {
        const source = scratch.file(`tables-${tool}.db`);
        using _ = new Application(source);
        const replica = scratch.file(`tables-${tool}`);
        await using replicator = new Running(tool, ['replicate', source, urlOf(replica)]);
        await replicator.until('a snapshot', () => countObjects(replica) > 0);
        await replicator.stop();
        using copy = new DatabaseSync(source);
        tables.push(
          copy
            .prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1`)
            .all()
            .map(({ name }) => String(name)),
        );
      }
      assert.equal(tables[0]?.length, 1);
      assert.equal(tables[1]?.length, 3);
    });
  });
});

/** Whether segments of the same index come before and after this one. */
function isInTheMiddle(segment: ObjectFile, segments: readonly ObjectFile[]): boolean {
  const ofIndex = segments.filter(({ index }) => index === segment.index).map(({ key }) => key);
  const place = ofIndex.sort().indexOf(segment.key);
  return place > 0 && place < ofIndex.length - 1;
}
