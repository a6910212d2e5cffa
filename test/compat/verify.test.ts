/**
 * `rivulet verify` of what the real Litestream v0.3.13 wrote: proven, where its layout can prove it, broken where it is, and
 * never broken because its retention runs. And the proofs of a running Rivulet on a replica that both have written.
 */
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EXIT_BROKEN, EXIT_INCONCLUSIVE, EXIT_OK } from '../../src/cli/exit-codes.ts';
import { Scratch } from '../support/scratch.ts';
import { Application } from './support/application.ts';
import { writeConfiguration } from './support/configuration.ts';
import { contentsOf } from './support/contents.ts';
import { countObjects, forgetLocalState, generationsOf, objectsOf, urlOf } from './support/replica-files.ts';
import { run, Running, skip, type Tool } from './support/tools.ts';

const ROUNDS = 8;

class Scene implements Disposable {
  readonly scratch: Scratch = new Scratch();
  readonly application: Application = new Application(this.scratch.file('app.db'));
  readonly replicaPath: string = this.scratch.file('replica');

  configure(replica: Record<string, unknown> = {}, more: Record<string, unknown> = {}): string {
    const { path } = this.application;
    const database = { 'min-checkpoint-page-count': 10 };
    const file = writeConfiguration(this.scratch.file('config.yml'), [
      { path, replicaPath: this.replicaPath, database, replica },
    ]);
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...more }));
    return file;
  }

  /** Replicates for some rounds. */
  async turn(tool: Tool, replica: Record<string, unknown> = {}, rounds: number = ROUNDS): Promise<void> {
    const known = countObjects(this.replicaPath);
    await using replicator = new Running(tool, ['replicate', '-config', this.configure(replica)]);
    await replicator.until('something stored', () => countObjects(this.replicaPath) > known);
    for (let round = 0; round < rounds; round += 1) {
      const before = countObjects(this.replicaPath);
      this.application.write(10);
      await replicator.settle(() => countObjects(this.replicaPath) > before);
      await delay(50);
    }
    await replicator.stop();
  }

  [Symbol.dispose](): void {
    this.application[Symbol.dispose]();
    this.scratch[Symbol.dispose]();
  }
}

interface Verified {
  readonly code: number | null;
  readonly results: readonly {
    readonly outcome: string;
    readonly key?: string;
    readonly unproven?: readonly string[];
    readonly restoreWith?: string;
    readonly error?: { readonly code: string; readonly message: string };
  }[];
  readonly text: string;
}

async function verify(replicaPath: string, ...flags: string[]): Promise<Verified> {
  using place = new Scratch();
  const where = flags.includes('-full') ? ['-temporary-path', place.path] : [];
  const { code, out, err } = await run('rivulet', [
    'verify',
    '-json',
    ...flags,
    ...where,
    urlOf(replicaPath),
  ]);
  assert.deepEqual(place.names(), [], 'something was left');
  const { results } = out === '' ? { results: [] } : (JSON.parse(out) as Pick<Verified, 'results'>);
  return { code, results, text: out + err };
}

describe('a replica of v0.3.13 with several generations', { skip }, () => {
  const scene = new Scene();
  before(async () => {
    for (let generation = 0; generation < 3; generation += 1) {
      forgetLocalState(scene.application.path);
      await scene.turn('litestream', { 'snapshot-interval': '200ms' });
    }
  });
  after(() => scene[Symbol.dispose]());

  test('there are generations and logs to be looked at', () => {
    const objects = objectsOf(scene.replicaPath);
    assert.ok(generationsOf(scene.replicaPath).length >= 3);
    assert.ok(objects.filter(({ kind }) => kind === 'snapshots').length > 4);
    assert.ok(new Set(objects.map(({ generation, index }) => `${generation} ${index}`)).size > 6);
  });

  test('a full proof of every point: proven', async () => {
    const { code, results, text } = await verify(scene.replicaPath, '-all', '-full');
    assert.equal(code, EXIT_OK, text);
    const snapshots = objectsOf(scene.replicaPath).filter(({ kind }) => kind === 'snapshots');
    assert.equal(results.length, snapshots.length);
  });

  test('a quick proof says what it cannot prove, and takes that for no damage', async () => {
    const { results, code, text } = await verify(scene.replicaPath, '-all', '-quick');
    assert.equal(code, EXIT_INCONCLUSIVE, text);
    for (const { outcome, unproven = [] } of results) {
      assert.equal(outcome, unproven.length > 0 ? 'inconclusive' : 'proven', text);
    }
  });

  /** The result of a copy of the replica in which `damage` has been done. */
  async function damaged(damage: (copy: string) => void, ...flags: string[]): Promise<Verified> {
    using place = new Scratch();
    const copy = place.file('replica');
    cpSync(scene.replicaPath, copy, { recursive: true, preserveTimestamps: true });
    damage(copy);
    const verified = await verify(copy, ...flags);
    for (const { restoreWith } of verified.results) {
      if (restoreWith === undefined) continue;
      const output = place.file('restored.db');
      const words = restoreWith.replace('OUTPUT', output).split(' ').slice(1);
      const restored = await run('rivulet', words);
      assert.equal(restored.code, 0, `${restoreWith}\n${restored.out}${restored.err}`);
      assert.ok(scene.application.states.includes(contentsOf(output).rows), restoreWith);
      rmSync(output);
    }
    return verified;
  }

  const newest = (kind: 'snapshots' | 'wal', nth: number): string => {
    const { generation } = objectsOf(scene.replicaPath).at(-1) ?? assert.fail();
    const keys = objectsOf(scene.replicaPath)
      .filter((one) => one.kind === kind && one.generation === generation)
      .map(({ key }) => key)
      .sort();
    return keys.at(nth) ?? assert.fail(`${keys.length} ${kind}`);
  };

  const flip = (path: string): void => {
    const { atime, mtime } = statSync(path);
    const bytes = readFileSync(path);
    const at = bytes.length >>> 1;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at);
    writeFileSync(path, bytes);
    utimesSync(path, atime, mtime);
  };

  for (const depth of ['-quick', '-full']) {
    test(`${depth}: a flipped bit in a log or a snapshot, another object in its place, one that is cut`, async () => {
      const [segment, snapshot] = [newest('wal', -2), newest('snapshots', -1)];
      const last = newest('wal', -1);
      const cases: readonly (readonly [string, string, (copy: string) => void])[] = [
        ['a flipped log', last, (copy) => flip(join(copy, last))],
        ['a flipped snapshot', snapshot, (copy) => flip(join(copy, snapshot))],
        ['another object', last, (copy) => copyFileSync(join(copy, segment), join(copy, last))],
        [
          'cut',
          last,
          (copy) => writeFileSync(join(copy, last), readFileSync(join(copy, last)).subarray(0, -1)),
        ],
      ];
      for (const [what, key, damage] of cases) {
        const { code, results, text } = await damaged(damage, depth);
        assert.equal(code, EXIT_BROKEN, `${what}: ${text}`);
        assert.equal(results[0]?.key, key, `${what}: ${text}`);
      }
    });
  }

  test('without its snapshots a generation is broken, and the others are not', async () => {
    const { generation } = objectsOf(scene.replicaPath).at(-1) ?? assert.fail();
    const { code, results, text } = await damaged(
      (copy) => rmSync(join(copy, 'generations', generation, 'snapshots'), { recursive: true }),
      '-all',
      '-full',
    );
    assert.equal(code, EXIT_BROKEN, text);
    const broken = results.filter(({ outcome }) => outcome === 'broken');
    assert.equal(broken.length, 1, text);
    assert.ok(JSON.stringify(broken[0]).includes(generation), text);
    assert.ok(results.filter(({ outcome }) => outcome === 'proven').length >= 2, text);
  });
});

test('while the retention of v0.3.13 runs nothing is broken', { skip, timeout: 120_000 }, async (t) => {
  using scene = new Scene();
  const quick = { 'snapshot-interval': '200ms', retention: '500ms', 'retention-check-interval': '50ms' };
  await using replicator = new Running('litestream', ['replicate', '-config', scene.configure(quick)]);
  await replicator.until('a first snapshot', () => countObjects(scene.replicaPath) > 0);
  const over = new AbortController();
  const known = new Set<string>();
  const writing = (async () => {
    while (!over.signal.aborted) {
      for (const { key } of objectsOf(scene.replicaPath)) known.add(key);
      scene.application.change('INSERT INTO notes (body) SELECT randomblob(900) FROM (VALUES (1), (2), (3))');
      await delay(20);
    }
  })();
  const codes: string[] = [];
  try {
    for (let round = 0; round < 8; round += 1) {
      for (const flags of [['-quick'], ['-full'], ['-all']]) {
        const { code, text } = await verify(scene.replicaPath, ...flags);
        assert.ok(code === EXIT_OK || code === EXIT_INCONCLUSIVE, `${flags.join(' ')}: ${code}\n${text}`);
        codes.push(`${flags.join()} ${code}`);
      }
    }
  } finally {
    over.abort();
    await writing;
  }
  const present = new Set(objectsOf(scene.replicaPath).map(({ key }) => key));
  const gone = [...known].filter((key) => !present.has(key));
  assert.ok(gone.length > 20, `retention took ${gone.length} objects`);
  assert.ok(codes.includes(`-full ${EXIT_OK}`), codes.join(', '));
  t.diagnostic(`${gone.length} objects went; ${codes.join(', ')}`);
});

describe('a replica that both have written by turns', { skip, timeout: 120_000 }, () => {
  const scene = new Scene();
  before(async () => {
    for (const tool of ['rivulet', 'litestream', 'rivulet', 'litestream'] as const) {
      await scene.turn(tool, { 'snapshot-interval': '200ms' });
    }
  });
  after(() => scene[Symbol.dispose]());

  test('every point is proven in full', async () => {
    const { code, results, text } = await verify(scene.replicaPath, '-all', '-full');
    assert.equal(code, EXIT_OK, text);
    assert.ok(results.length >= 4, text);
  });

  test('a running Rivulet proves the newest state and moments of all of them, and sees no damage', async (t) => {
    const proofs = { 'quick-interval': '100ms', interval: '100ms' };
    const replica = { 'snapshot-interval': '300ms', verify: proofs };
    const config = scene.configure(replica, { logging: { level: 'debug' } });
    await using replicator = new Running('rivulet', ['replicate', '-config', config]);
    const older = (): string[] => replicator.log.match(/an older moment restores.*/g) ?? [];
    const of = (what: string): number => older().filter((line) => line.includes(what)).length;
    const enough = (): boolean => {
      scene.application.write(2);
      return older().length >= 12 && of('former generation') > 0 && of('at random') > 0;
    };
    await replicator.until('older moments of all kinds', enough);
    assert.doesNotMatch(replicator.log, /ERROR/);
    t.diagnostic(`${older().length} older moments, ${of('former generation')} ends of former generations`);
    await replicator.stop();
  });
});
