/** A real process that proves its replica, with somebody who damages it, and a retention that removes all the time. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, globSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { suite, test } from 'node:test';
import { type Ended, EXECUTABLE, startRivulet } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';

const ALARM = 'the destination does not restore';

/** A database that is written to all the time, and the process that replicates it. */
class Scene implements AsyncDisposable {
  readonly scratch: Scratch = new Scratch();
  readonly replica: string = this.scratch.file('replica');
  readonly config: string = this.scratch.file('rivulet.yml');
  readonly #database: DatabaseSync;
  readonly #writing: NodeJS.Timeout;
  readonly #process: ChildProcess;
  #text = '';

  constructor(settings: string, database: string = '') {
    const path = this.scratch.file('app.db');
    this.#database = new DatabaseSync(path, { timeout: 5000 });
    this.#database.exec('PRAGMA journal_mode=wal; CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)');
    this.#writing = setInterval(() => {
      this.#database.exec('INSERT INTO t (body) VALUES (randomblob(2000)); DELETE FROM t WHERE id % 50 = 7');
    }, 60);
    writeFileSync(
      this.config,
      `addr: "127.0.0.1:0"\nlogging: {type: json}\nsocket: {enabled: false}\n` +
        `dbs:\n  - path: ${path}\n${database}    replicas:\n      - path: ${this.replica}\n` +
        `        sync-interval: 100ms\n${settings}`,
    );
    this.#process = spawn(EXECUTABLE, ['replicate', '-config', this.config], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => (this.#text += chunk));
    }
  }

  lines(): Record<string, unknown>[] {
    const whole = this.#text.slice(0, this.#text.lastIndexOf('\n') + 1).split('\n');
    return whole.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  }

  saying(message: string): Record<string, unknown>[] {
    return this.lines().filter(({ msg }) => String(msg).includes(message));
  }

  async until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    await until(what, condition, () => this.#text);
  }

  get metricsUrl(): string {
    return String(this.saying('serving metrics and health').at(-1)?.['url']);
  }

  async health(): Promise<{ status: number; outcome: string | undefined; reasons: { reason: string }[] }> {
    const response = await fetch(this.metricsUrl.replace('/metrics', '/healthz')).catch(() => undefined);
    if (response === undefined) return { status: 0, outcome: undefined, reasons: [] };
    const body = (await response.json()) as {
      reasons: { reason: string }[];
      databases: { replicas: { proof?: { outcome: string } }[] }[];
    };
    const outcome = body.databases[0]?.replicas[0]?.proof?.outcome;
    return { status: response.status, outcome, reasons: body.reasons };
  }

  /** Paths of objects, oldest first. */
  objects(kind: 'wal' | 'snapshots'): string[] {
    return globSync(`generations/*/${kind}/*.lz4`, { cwd: this.replica })
      .map((name) => `${this.replica}/${name}`)
      .sort();
  }

  async verify(...flags: string[]): Promise<Ended> {
    return startRivulet(['verify', ...flags, `file://${this.replica}`]).ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#writing);
    const ended = new Promise((resolve) => this.#process.once('close', resolve));
    this.#process.kill('SIGTERM');
    await ended;
    this.#database.close();
    this.scratch[Symbol.dispose]();
  }
}

function flip(path: string): void {
  const bytes = readFileSync(path);
  const at = bytes.length >>> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 32;
  writeFileSync(path, bytes);
}

suite('a process that proves its replica', () => {
  test('damage after damage: noticed, healed, proven', { timeout: 300_000 }, async () => {
    await using scene = new Scene('        verify: {quick-interval: 400ms, interval: 0}\n');
    const damages: Readonly<Record<string, () => void>> = {
      'a segment is deleted': () => rmSync(scene.objects('wal').at(-3) ?? ''),
      'a bit is flipped': () => flip(scene.objects('wal').at(-2) ?? ''),
      'a segment is cut off': () => truncateSync(scene.objects('wal').at(-3) ?? '', 60),
      'the snapshots are gone': () => scene.objects('snapshots').forEach((path) => rmSync(path)),
      'the destination is emptied': () => rmSync(`${scene.replica}/generations`, { recursive: true }),
    };
    await scene.until('it is proven', async () => (await scene.health()).outcome === 'proven');
    let alarms = 0;
    let before = 0;
    for (const [name, damage] of Object.entries(damages)) {
      // What lies behind earlier damage is given up, and whatever happens to it is no news.
      await scene.until(`${name}: there is something`, () => scene.objects('wal').length > before + 4);
      damage();
      await scene.until(`${name}: it is noticed`, () => scene.saying(ALARM).length > alarms);
      await scene.until(`${name}: it is healed`, async () => {
        const { status, outcome } = await scene.health();
        return status === 200 && outcome === 'proven';
      });
      assert.equal(scene.saying(ALARM).length, alarms + 1, name);
      alarms += 1;
      before = scene.objects('wal').length;
    }
    const { code, out } = await scene.verify('-full', '-temporary-path', scene.scratch.path);
    assert.equal(code, 0, out);
    const metrics = await (await fetch(scene.metricsUrl)).text();
    assert.match(metrics, /rivulet_replica_proof_total\{[^}]*depth="quick",outcome="broken"\} [5-9]/);
    assert.match(metrics, /rivulet_replica_broken\{.*\} 0/);
    assert.match(metrics, /rivulet_replica_restorable_until_seconds\{.*\} 1\d{9}/);
  });

  test('a retention that removes all the time is never taken for damage', { timeout: 300_000 }, async () => {
    await using scene = new Scene(
      '        retention: 2s\n        retention-check-interval: 200ms\n        snapshot-interval: 700ms\n' +
        '        verify: {quick-interval: 200ms, interval: 1s}\n',
      '    checkpoint-interval: 300ms\n    min-checkpoint-page-count: 5\n',
    );
    await scene.until('it removes', () => scene.saying('removed what is older').length > 2);
    const endMs = Date.now() + 12_000;
    const codes: (number | null)[] = [];
    while (Date.now() < endMs) {
      const { code, out, err } = await scene.verify('-all');
      assert.notEqual(code, 6, out);
      assert.notEqual(code, 1, err);
      codes.push(code);
    }
    assert.ok(codes.includes(0), codes.join());
    await scene.until('it removes and proves', () => {
      return (
        scene.saying('removed what is older').length > 10 && scene.saying('validation passed').length > 3
      );
    });
    const errors = scene
      .lines()
      .filter(({ level }) => level === 'error' || level === 'ERROR' || level === 50);
    assert.deepEqual(errors, []);
    assert.equal((await scene.health()).outcome, 'proven');
    // Between two proofs.
    await scene.until('no copy is left', () => {
      return !existsSync(scene.scratch.file('.app.db-rivulet/validation-file.db'));
    });
  });
});
