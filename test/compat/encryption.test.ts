/** Replicas that are encrypted with age: written by each tool, restored and continued by the other. */
import assert from 'node:assert/strict';
import { globSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { newKeyPair, type KeyPair } from '../support/age-keys.ts';
import { Scratch } from '../support/scratch.ts';
import { Application, assertShipped } from './support/application.ts';
import { writeConfiguration } from './support/configuration.ts';
import { contentsOf, type Contents } from './support/contents.ts';
import { countObjects, generationsOf, objectsOf, urlOf } from './support/replica-files.ts';
import { run, Running, skip, TOOLS, type Tool } from './support/tools.ts';

const MARK = 'age-encryption.org/v1\n';
const LZ4_MAGIC = 0x184d2204;

class Scene {
  readonly scratch: Scratch = new Scratch();
  readonly path: string = this.scratch.file('app.db');
  readonly replicaPath: string = this.scratch.file('replica');
  readonly keyPath: string = this.scratch.file('key.txt');
  readonly application: Application;
  readonly #keys: KeyPair;
  /** For both tools, with identities. */
  readonly config: string;
  /** For whoever only writes. */
  readonly writeOnly: string;

  constructor(keys: KeyPair, others: readonly KeyPair[] = []) {
    this.#keys = keys;
    writeFileSync(this.keyPath, `# created by a test\n${keys.identity}\n`);
    const recipients = [keys, ...others].map(({ recipient }) => recipient).join('\n# another one\n');
    this.config = this.#configuration('both.yml', { recipients: [recipients], identities: [keys.identity] });
    this.writeOnly = this.#configuration('write-only.yml', { recipients: [recipients] });
    this.application = new Application(this.path);
  }

  #configuration(name: string, age: object): string {
    const { path, replicaPath } = this;
    const database = { 'min-checkpoint-page-count': 20 };
    return writeConfiguration(this.scratch.file(name), [{ path, replicaPath, database, replica: { age } }]);
  }

  async turn(tool: Tool, config: string, changes: number = 5): Promise<void> {
    const before = countObjects(this.replicaPath);
    this.application.write(8);
    await using replicator = new Running(tool, ['replicate', '-config', config]);
    await replicator.until('something stored', () => countObjects(this.replicaPath) > before);
    for (let change = 0; change < changes; change += 1) {
      const known = countObjects(this.replicaPath);
      this.application.write(8);
      await replicator.settle(() => countObjects(this.replicaPath) > known);
    }
    await replicator.stop();
  }

  /** Every way to restore it gives the same bytes. */
  async restoreAlike(): Promise<Contents> {
    const all: Contents[] = [];
    const ways: [Tool, string[]][] = [
      ...TOOLS.map((tool): [Tool, string[]] => [tool, ['-config', this.config, this.path]]),
      ['rivulet', ['-age-identity-file', this.keyPath, urlOf(this.replicaPath)]],
      ['rivulet', ['-config', this.writeOnly, '-age-identity-file', this.keyPath, this.path]],
    ];
    for (const [tool, words] of ways) {
      const output = this.scratch.file('restored.db');
      const { code, err } = await run(tool, ['restore', '-o', output, ...words]);
      assert.equal(code, 0, `${tool} ${words.join(' ')}: ${err}`);
      all.push(contentsOf(output));
      rmSync(output);
    }
    for (const one of all) assert.deepEqual(one, all[0]);
    return all[0] ?? assert.fail();
  }

  /** No object is in the clear, the lease apart. */
  assertSealed(): void {
    const keys = globSync('generations/**', { cwd: this.replicaPath }).filter((key) =>
      statSync(join(this.replicaPath, key)).isFile(),
    );
    assert.ok(keys.length > 3);
    for (const key of keys) {
      const bytes = readFileSync(join(this.replicaPath, key));
      assert.equal(bytes.toString('latin1', 0, MARK.length), MARK, key);
    }
    assert.ok(!JSON.stringify(keys).includes(this.#keys.recipient));
  }

  async refuses(words: readonly string[], expected: RegExp): Promise<void> {
    const output = this.scratch.file('refused.db');
    const { code, err } = await run('rivulet', ['restore', '-json', '-o', output, ...words]);
    assert.equal(code, 1, err);
    assert.match(err, expected);
    assert.deepEqual(globSync('refused.db*', { cwd: this.scratch.path }), [], 'something was left behind');
  }

  dispose(): void {
    this.application[Symbol.dispose]();
    this.scratch[Symbol.dispose]();
  }
}

describe('age', { skip }, () => {
  let keys: KeyPair;
  let other: KeyPair;

  before(async () => {
    keys = await newKeyPair();
    other = await newKeyPair();
  });

  for (const tool of TOOLS) {
    test(`written by ${tool}, restored by both`, async () => {
      const scene = new Scene(keys, [other]);
      try {
        await scene.turn(tool, scene.config, 8);
        scene.assertSealed();
        assertShipped(tool, (await scene.restoreAlike()).rows, scene.application);
      } finally {
        scene.dispose();
      }
    });
  }

  describe('by turns', () => {
    let scene: Scene;
    before(() => {
      scene = new Scene(keys);
    });
    after(() => scene.dispose());

    for (const [turn, tool] of (
      ['litestream', 'rivulet', 'litestream', 'rivulet', 'rivulet'] as const
    ).entries()) {
      test(`turn ${turn + 1}: ${tool}`, async () => {
        await scene.turn(tool, scene.config);
        scene.assertSealed();
        assertShipped(tool, (await scene.restoreAlike()).rows, scene.application);
      });
    }
  });

  test('recipients only: rivulet starts again and again, in one generation, and v0.3.13 restores', async () => {
    const scene = new Scene(keys);
    try {
      for (let round = 0; round < 4; round += 1) {
        await scene.turn('rivulet', scene.writeOnly, 3);
        assert.equal(generationsOf(scene.replicaPath).length, 1, `round ${round}`);
      }
      // Killed, not stopped.
      for (let round = 0; round < 3; round += 1) {
        const known = countObjects(scene.replicaPath);
        await using replicator = new Running('rivulet', ['replicate', '-config', scene.writeOnly]);
        scene.application.write(8);
        await replicator.until('something stored', () => countObjects(scene.replicaPath) > known);
      }
      await scene.turn('rivulet', scene.writeOnly, 2);
      assert.equal(generationsOf(scene.replicaPath).length, 1);
      scene.assertSealed();
      assertShipped('rivulet', (await scene.restoreAlike()).rows, scene.application);
    } finally {
      scene.dispose();
    }
  });

  test('recipients only, after v0.3.13: a fresh snapshot, and it goes on', async () => {
    const scene = new Scene(keys);
    try {
      await scene.turn('litestream', scene.config);
      await scene.turn('rivulet', scene.writeOnly);
      await scene.turn('litestream', scene.config);
      await scene.turn('rivulet', scene.writeOnly);
      assertShipped('rivulet', (await scene.restoreAlike()).rows, scene.application);
    } finally {
      scene.dispose();
    }
  });

  test('without the key, or with another one, a restore says so and leaves nothing', async () => {
    const scene = new Scene(keys);
    try {
      await scene.turn('litestream', scene.config);
      const wrong = scene.scratch.file('wrong.txt');
      writeFileSync(wrong, other.identity);
      const url = urlOf(scene.replicaPath);
      await scene.refuses([url], /AGE_KEY_MISSING/);
      await scene.refuses(['-config', scene.writeOnly, scene.path], /AGE_KEY_MISSING/);
      await scene.refuses(['-age-identity-file', wrong, url], /AGE_KEY_WRONG/);
      await scene.refuses(['-age-identity-file', `${wrong}.none`, url], /AGE_INVALID.*none/s);
      writeFileSync(wrong, `# mine\n${keys.identity.slice(0, -3)}`);
      await scene.refuses(
        ['-age-identity-file', wrong, url],
        /wrong\.txt, line 2: this identity is not valid/,
      );
    } finally {
      scene.dispose();
    }
  });

  test('identities only: v0.3.13 stores in the clear, rivulet refuses to start', async () => {
    const scene = new Scene(keys);
    try {
      const { path, replicaPath } = scene;
      const age = { identities: [keys.identity] };
      const file = scene.scratch.file('identities.yml');
      const config = writeConfiguration(file, [{ path, replicaPath, replica: { age } }]);
      const { code, err } = await run('rivulet', ['replicate', '-config', config]);
      assert.equal(code, 1);
      assert.ok(err.includes('without recipients') && err.includes(keys.recipient), err);
      assert.equal(countObjects(replicaPath), 0);
      await scene.turn('litestream', config, 1);
      for (const { key } of objectsOf(replicaPath)) {
        assert.equal(readFileSync(join(replicaPath, key)).readUInt32LE(0), LZ4_MAGIC, key);
      }
    } finally {
      scene.dispose();
    }
  });

  test('encrypted later: what v0.3.13 stored in the clear before is restored, and told of', async () => {
    const scene = new Scene(keys);
    try {
      const { path, replicaPath } = scene;
      const plain = writeConfiguration(scene.scratch.file('plain.yml'), [{ path, replicaPath }]);
      await scene.turn('litestream', plain);
      const output = scene.scratch.file('restored.db');
      const { code, err } = await run('rivulet', ['restore', '-config', scene.config, '-o', output, path]);
      assert.equal(code, 0, err);
      assert.match(err, /not encrypted; they are read as they are/);
      assertShipped('litestream', contentsOf(output).rows, scene.application);
      rmSync(output);
      await scene.turn('rivulet', scene.writeOnly);
      assertShipped('rivulet', (await scene.restoreAlike()).rows, scene.application);
    } finally {
      scene.dispose();
    }
  });
});
