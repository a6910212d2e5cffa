/** Rivulet and the application are two users: what Rivulet makes beside the database must not lock the application out. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { asMember, type Ended, runRivulet, startRivulet } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';

const APP = 61_001;
const OWN = 61_002;
const SHARED = 62_000;

function isPossible(t: TestContext): boolean {
  if (process.geteuid?.() === 0 && spawnSync('setpriv', ['--version']).status === 0) return true;
  t.skip('needs root and setpriv');
  return false;
}

/** A directory of the application, with a database to which its group may write; and one of Rivulet's for the replica. */
class Scene implements Disposable {
  readonly #scratch = new Scratch();
  readonly data: string = this.#scratch.file('data');
  readonly path: string = join(this.data, 'a.db');
  readonly replica: string = this.#scratch.file('replica');
  readonly #home = this.#scratch.file('home');

  constructor(mode: number, journal: 'wal' | 'delete' = 'wal') {
    chmodSync(this.#scratch.path, 0o755);
    for (const directory of [this.data, this.replica, this.#home]) mkdirSync(directory);
    const app = new DatabaseSync(this.path);
    app.exec(`PRAGMA journal_mode=${journal}; CREATE TABLE t (a)`);
    app.close();
    chmodSync(this.path, mode);
    chmodSync(this.data, 0o770);
    for (const path of [this.data, this.path]) chownSync(path, APP, SHARED);
    for (const path of [this.replica, this.#home]) chownSync(path, OWN, OWN);
  }

  get options(): { uid: number; group: number; env: Record<string, string> } {
    return { uid: OWN, group: SHARED, env: { HOME: this.#home } };
  }

  get words(): [string, string] {
    return [this.path, `file://${this.replica}`];
  }

  get config(): string {
    const path = this.#scratch.file('c.yml');
    writeFileSync(path, JSON.stringify({ dbs: [{ path: this.path, replicas: [{ path: this.replica }] }] }));
    return path;
  }

  /** Writes a row as the application does. @returns what it is told */
  write(): string {
    const script = `
      const { DatabaseSync } = require('node:sqlite');
      const db = new DatabaseSync(process.argv[1], { timeout: 3000 });
      db.exec('INSERT INTO t VALUES (1)');`;
    const [command, ...words] = [...asMember(APP, SHARED), process.execPath, '-e', script, this.path];
    const { status, stderr } = spawnSync(command, words, { encoding: 'utf8', cwd: '/' });
    return status === 0 ? 'works' : stderr;
  }

  beside(): string[] {
    return readdirSync(this.data)
      .filter((name) => name.startsWith('a.db-'))
      .map((name) => {
        const { gid, mode } = statSync(join(this.data, name));
        return `${name} ${gid} ${(mode & 0o777).toString(8)}`;
      });
  }

  [Symbol.dispose](): void {
    this.#scratch[Symbol.dispose]();
  }
}

function explained({ code, err }: Ended, pattern: RegExp): void {
  assert.equal(code, 1, err);
  assert.match(err, pattern);
}

describe('beside the database of another user of the same group', () => {
  for (const journal of ['wal', 'delete'] as const) {
    it(`what is made in ${journal} mode can be used by the application, while it runs and afterwards`, async (t) => {
      if (!isPossible(t)) return;
      using scene = new Scene(0o660, journal);
      const started = startRivulet(['replicate', ...scene.words], scene.options);
      await started.said('snapshot written');
      const both = [`a.db-shm ${SHARED} 660`, `a.db-wal ${SHARED} 660`];
      assert.deepEqual(scene.beside(), both);
      assert.equal(scene.write(), 'works');
      started.process.kill('SIGTERM');
      assert.equal((await started.ended).code, 0);
      assert.deepEqual(scene.beside(), both);
      assert.equal(scene.write(), 'works');
    });
  }

  it('what an earlier run has left for itself alone is healed', async (t) => {
    if (!isPossible(t)) return;
    using scene = new Scene(0o660);
    const held = new DatabaseSync(scene.path);
    held.prepare('SELECT * FROM t').get();
    for (const suffix of ['-wal', '-shm']) chownSync(`${scene.path}${suffix}`, OWN, OWN);
    assert.match(scene.write(), /unable to open|readonly/);
    assert.equal((await runRivulet(['replicate', '-once', ...scene.words], scene.options)).code, 0);
    assert.equal(scene.write(), 'works');
    held.close();
  });

  it('a database that may only be read is refused, and nothing is made', async (t) => {
    if (!isPossible(t)) return;
    for (const journal of ['wal', 'delete'] as const) {
      using scene = new Scene(0o640, journal);
      explained(
        await runRivulet(['replicate', ...scene.words], scene.options),
        /a\.db cannot be read and written.*\[DB_UNREADABLE\]/s,
      );
      assert.deepEqual(scene.beside(), []);
      assert.equal(scene.write(), 'works');
    }
  });

  it('where the group cannot be given, nothing is opened', async (t) => {
    if (!isPossible(t)) return;
    // Root without the right to give files away: it may write all the same.
    using scene = new Scene(0o660);
    const bounds = ['--bounding-set=-chown', '--inh-caps=-chown'];
    const run = spawnSync(
      'setpriv',
      [...bounds, `${import.meta.dirname}/../../bin/rivulet`, 'replicate', '-once', ...scene.words],
      { encoding: 'utf8' },
    );
    assert.equal(run.status, 1, run.stdout);
    assert.match(run.stderr, /would lock the application out.*\[DB_UNREADABLE\]/s);
    assert.deepEqual(scene.beside(), []);
    assert.equal(scene.write(), 'works');
  });

  it('check leaves nothing behind, and says what replication would say', async (t) => {
    if (!isPossible(t)) return;
    using scene = new Scene(0o660);
    const good = await runRivulet(['check', '-config', scene.config], scene.options);
    assert.equal(good.code, 0, good.out + good.err);
    assert.match(good.out, /WAL mode/);
    assert.deepEqual(scene.beside(), []);
    chmodSync(scene.path, 0o640);
    assert.match(
      (await runRivulet(['check', '-config', scene.config], scene.options)).out,
      /cannot be read and written/,
    );
    assert.deepEqual(scene.beside(), []);
  });
});

describe('a directory of the database that does not exist', () => {
  it('is left to the application, and replication begins when it is made', async () => {
    using scratch = new Scratch();
    const folder = scratch.file('srv/app');
    const path = join(folder, 'a.db');
    const started = startRivulet(['replicate', path, `file://${scratch.file('srv/copies')}`]);
    await started.said('does not exist yet; waiting for it');
    assert.ok(!existsSync(scratch.file('srv')));
    mkdirSync(folder, { recursive: true });
    const app = new DatabaseSync(path);
    app.exec('CREATE TABLE t (a)');
    await started.said('snapshot written');
    started.process.kill('SIGTERM');
    assert.equal((await started.ended).code, 0);
    app.close();
  });

  it('is an error for a single pass', async () => {
    using scratch = new Scratch();
    const path = scratch.file('srv/a.db');
    explained(
      await runRivulet(['replicate', '-once', path, `file://${scratch.file('copies')}`]),
      /srv of the database does not exist.*\[DB_NOT_FOUND\]/s,
    );
    assert.deepEqual(scratch.names(), []);
  });
});

describe('a file system on which WAL mode does not work', () => {
  it('is found out before the database is switched', async () => {
    using scratch = new Scratch();
    const path = scratch.file('a.db');
    const app = new DatabaseSync(path);
    app.exec('CREATE TABLE t (a)');
    // Too little for the shared memory of an index, enough for a database.
    explained(
      await runRivulet(['replicate', path, `file://${scratch.file('copies')}`], { fileKibMax: 16 }),
      /a\.db cannot be switched to WAL mode: .*\[DB_UNREADABLE\].*local disk/s,
    );
    const config = scratch.file('c.yml');
    writeFileSync(config, JSON.stringify({ dbs: [{ path, replicas: [{ path: scratch.file('copies') }] }] }));
    const { code, out } = await runRivulet(['check', '-config', config], { fileKibMax: 16 });
    assert.equal(code, 1);
    assert.match(out, /FAILED +sqlite: .*cannot be switched to WAL mode/);
    app.exec('INSERT INTO t VALUES (1)');
    assert.equal(app.prepare('PRAGMA journal_mode').get()?.['journal_mode'], 'delete');
    assert.deepEqual(
      scratch.names().filter((name) => name.includes('a.db') || name.includes('trial')),
      ['.a.db-rivulet', 'a.db'],
    );
    app.close();
  });
});
