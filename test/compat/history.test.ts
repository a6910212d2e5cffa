/**
 * One database with a past: several generations, many indexes, snapshots in the middle. Both tools must agree on the
 * newest state, on every generation and index, and on every moment.
 */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Scratch } from '../support/scratch.ts';
import { Application, assertShipped } from './support/application.ts';
import { writeConfiguration } from './support/configuration.ts';
import {
  forgetLocalState,
  generationsOf,
  type ObjectFile,
  objectsOf,
  restoreAlike,
  restoreWith,
  urlOf,
} from './support/replica-files.ts';
import { run, runBoth, Running, skip, TOOLS, type Tool } from './support/tools.ts';

const GENERATIONS = 3;
const ROUNDS = 12;
const ROUND_MS = 60;
/** Restores are processes; so many moments of each generation are tried. */
const MOMENTS = 4;

class History implements Disposable {
  readonly scratch: Scratch = new Scratch();
  readonly application: Application = new Application(this.scratch.file('app.db'));
  readonly replicaPath: string = this.scratch.file('replica');
  /** In order of their time. */
  readonly generations: string[] = [];

  configure(replica: Record<string, string> = {}): string {
    const { path } = this.application;
    const database = { 'min-checkpoint-page-count': 10 };
    const entry = {
      path,
      replicaPath: this.replicaPath,
      database,
      replica: { 'snapshot-interval': '300ms', ...replica },
    };
    return writeConfiguration(this.scratch.file('config.yml'), [entry]);
  }

  async write(replicator: Running, rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round += 1) {
      const before = this.#newestMs();
      this.application.write(10);
      await replicator.settle(() => this.#newestMs() > before);
      await delay(ROUND_MS);
    }
  }

  #newestMs(): number {
    return this.objects().at(-1)?.modifiedMs ?? 0;
  }

  /** Replicates for some rounds, as a fresh installation that knows nothing of what is there. */
  async generation(writer: Tool): Promise<void> {
    forgetLocalState(this.application.path);
    const known = new Set(generationsOf(this.replicaPath));
    await using replicator = new Running(writer, ['replicate', '-config', this.configure()]);
    await replicator.until('a new generation', () =>
      objectsOf(this.replicaPath).some(({ generation }) => !known.has(generation)),
    );
    await this.write(replicator, ROUNDS);
    await replicator.stop();
    this.generations.push(...generationsOf(this.replicaPath).filter((name) => !known.has(name)));
  }

  objects(generation?: string): ObjectFile[] {
    return objectsOf(this.replicaPath).filter(
      (object) => generation === undefined || object.generation === generation,
    );
  }

  [Symbol.dispose](): void {
    this.application[Symbol.dispose]();
    this.scratch[Symbol.dispose]();
  }
}

/** Moments right after an object was stored and well before the next one, evenly spread. */
function momentsOf(objects: readonly ObjectFile[]): string[] {
  const times = objects.map(({ modifiedMs }) => modifiedMs);
  const apart = times.filter((time, at) => (times[at + 1] ?? 0) - time > 5);
  const step = Math.max(1, Math.floor(apart.length / MOMENTS));
  return apart.filter((_, at) => at % step === 0).map((time) => new Date(Math.ceil(time) + 1).toISOString());
}

/** The columns of a listing. Litestream lists the segments of one index in any order. */
function table(text: string): string[] {
  const [header = '', ...rows] = text.trimEnd().split('\n');
  return [header, ...rows.sort()];
}

for (const writer of TOOLS) {
  describe(`generations, indexes, snapshots and moments, written by ${writer}`, { skip }, () => {
    const history = new History();

    before(async () => {
      for (let count = 0; count < GENERATIONS; count += 1) await history.generation(writer);
    });
    after(() => history[Symbol.dispose]());

    test('there is something to compare', () => {
      assert.equal(history.generations.length, GENERATIONS);
      for (const generation of history.generations) {
        const objects = history.objects(generation);
        assert.ok(objects.filter(({ kind }) => kind === 'snapshots').length >= 2, 'snapshots');
        assert.ok(new Set(objects.map(({ index }) => index)).size >= 3, 'indexes');
      }
    });

    test('the newest state', async () => {
      const { rows } = await restoreAlike(history.replicaPath);
      assertShipped(writer, rows, history.application);
    });

    test('each generation', async () => {
      for (const generation of history.generations) {
        const { rows } = await restoreAlike(history.replicaPath, ['-generation', generation]);
        assert.ok(history.application.states.includes(rows));
      }
    });

    test('each index of a generation', async () => {
      const generation = history.generations[1] ?? '';
      const indexes = new Set(history.objects(generation).map(({ index }) => index));
      for (const index of indexes) {
        const target = ['-generation', generation, '-index', index.toString(16)];
        const { rows } = await restoreAlike(history.replicaPath, target);
        assert.ok(history.application.states.includes(rows), `index ${index}`);
      }
    });

    test('moments in every generation', async () => {
      for (const generation of history.generations) {
        const moments = momentsOf(history.objects(generation));
        assert.ok(moments.length >= MOMENTS, 'too few moments to compare');
        for (const moment of moments) {
          const { rows } = await restoreAlike(history.replicaPath, ['-timestamp', moment]);
          assert.ok(history.application.states.includes(rows), moment);
        }
      }
    });

    test('a moment within a named generation, with few and many downloads at a time', async () => {
      const generation = history.generations[0] ?? '';
      const moment = momentsOf(history.objects(generation)).at(-1) ?? '';
      const target = ['-generation', generation, '-timestamp', moment];
      const few = await restoreAlike(history.replicaPath, [...target, '-parallelism', '1']);
      const many = await restoreAlike(history.replicaPath, [...target, '-parallelism', '32']);
      assert.deepEqual(few, many);
    });

    test('listings', async () => {
      const url = urlOf(history.replicaPath);
      for (const words of [
        ['snapshots', url],
        ['wal', url],
        ['wal', '-generation', history.generations[1] ?? '', url],
      ]) {
        const { rivulet, litestream } = await runBoth(words);
        assert.deepEqual([rivulet.code, litestream.code], [0, 0]);
        assert.deepEqual(table(rivulet.out), table(litestream.out));
      }
    });

    test('what an interrupted upload left behind changes nothing', async () => {
      const whole = await restoreAlike(history.replicaPath);
      const folder = join(history.replicaPath, 'generations', history.generations[2] ?? '');
      const leftovers = [
        join(folder, 'wal', 'ffffffff_00000000.wal.lz4.tmp'),
        join(folder, 'snapshots', '0000ffff.snapshot.lz4.tmp'),
      ];
      for (const path of leftovers) writeFileSync(path, 'half of it');
      mkdirSync(join(history.replicaPath, 'generations', 'not-a-generation'));
      try {
        assert.deepEqual((await restoreWith('rivulet', history.replicaPath)).contents, whole);
      } finally {
        for (const path of leftovers) rmSync(path);
        rmSync(join(history.replicaPath, 'generations', 'not-a-generation'), { recursive: true });
      }
    });

    test('a replica whose beginning was let go', async () => {
      const first = history.generations.map((generation) => history.objects(generation)[0]?.key ?? '');
      const config = history.configure({ retention: '500ms', 'retention-check-interval': '200ms' });
      await using replicator = new Running(writer, ['replicate', '-config', config]);
      await history.write(replicator, ROUNDS);
      await replicator.until('the beginning to go', () =>
        history.objects().every(({ key }) => !first.includes(key)),
      );
      await replicator.stop();
      const { rows } = await restoreAlike(history.replicaPath);
      assertShipped(writer, rows, history.application);
    });

    test('nothing is written to the source by restoring or listing', async () => {
      const before = history.application.rows;
      const { code } = await run('rivulet', ['generations', urlOf(history.replicaPath)]);
      assert.deepEqual([code, history.application.rows], [0, before]);
    });
  });
}
