/** The real program takes another configuration at SIGHUP, under load. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { readInventory } from '../../src/generations/inventory.ts';
import { restore } from '../../src/restore/restore.ts';
import { FileObjectStore } from '../../src/storage/file/file-object-store.ts';
import { startRivulet, type Started } from '../support/run-rivulet.ts';
import { freePort } from '../support/free-port.ts';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';

const EVERY_MS = 5;

/** An application that writes a row every few milliseconds, from before the start to after the end. */
class Writer {
  readonly #database: DatabaseSync;
  readonly #timer: NodeJS.Timeout;
  rows = 0;
  /** The longest time between two rows. */
  pauseMaxMs = 0;
  #wroteAtMs = performance.now();

  constructor(path: string) {
    this.#database = new DatabaseSync(path, { timeout: 10_000 });
    this.#database.exec('PRAGMA journal_mode=WAL; CREATE TABLE t(n INTEGER, at REAL)');
    this.#timer = setInterval(() => this.write(), EVERY_MS);
  }

  write(): void {
    this.#database.prepare('INSERT INTO t VALUES (?, ?)').run(this.rows, Date.now());
    this.rows++;
    const nowMs = performance.now();
    this.pauseMaxMs = Math.max(this.pauseMaxMs, nowMs - this.#wroteAtMs);
    this.#wroteAtMs = nowMs;
  }

  stop(): void {
    clearInterval(this.#timer);
    if (this.#database.isOpen) this.#database.close();
  }
}

class Scene implements Disposable {
  readonly scratch = new Scratch();
  readonly config: string = this.scratch.file('rivulet.yml');

  readonly #writers: Writer[] = [];
  readonly #started: Started[] = [];

  path(name: string): string {
    return this.scratch.file(name);
  }

  writer(name: string): Writer {
    const writer = new Writer(this.path(name));
    this.#writers.push(writer);
    return writer;
  }

  /** `extra` are lines at the top level; a database is its name with the lines of its replicas. */
  configure(databases: Readonly<Record<string, readonly string[]>>, extra: readonly string[] = []): void {
    const dbs = Object.entries(databases).map(([name, replicas]) =>
      [
        `  - path: ${this.path(name)}`,
        '    monitor-interval: 50ms',
        '    replicas:',
        ...replicas.map((replica) => `      - {${replica}, sync-interval: 10ms}`),
      ].join('\n'),
    );
    writeFileSync(this.config, ['shutdown-timeout: 60s', ...extra, 'dbs:', ...dbs, ''].join('\n'));
  }

  start(...more: string[]): Started {
    const started = startRivulet(['replicate', '-config', this.config, ...more]);
    this.#started.push(started);
    return started;
  }

  async rowsOf(replica: string): Promise<number[]> {
    const outputPath = this.path(`restored-${replica}-${performance.now()}`);
    await restore({
      store: new FileObjectStore(this.path(replica)),
      target: {},
      outputPath,
      integrityCheck: 'full',
    });
    const database = new DatabaseSync(outputPath);
    try {
      return database
        .prepare('SELECT n FROM t ORDER BY n')
        .all()
        .map(({ n }) => Number(n));
    } finally {
      database.close();
    }
  }

  async generations(replica: string): Promise<string[]> {
    const { generations } = await readInventory(new FileObjectStore(this.path(replica)));
    return generations.map(({ generation }) => generation);
  }

  /** Times at which segments were stored. */
  async uploads(replica: string): Promise<number[]> {
    const { generations } = await readInventory(new FileObjectStore(this.path(replica)));
    return generations
      .flatMap(({ segments }) => segments.map(({ createdAt }) => createdAt))
      .map(Number)
      .sort((a, b) => a - b);
  }

  /** Also after a failure: nothing goes on writing or replicating. */
  [Symbol.dispose](): void {
    for (const writer of this.#writers) writer.stop();
    for (const { process: child } of this.#started) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    }
    this.scratch[Symbol.dispose]();
  }
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}

async function reloaded(running: Started, times: number): Promise<void> {
  await saidTimes(running, 'the configuration was reloaded', times);
}

async function saidTimes(running: Started, text: string, times: number): Promise<void> {
  const isSaid = (): boolean => running.text().split(text).length - 1 >= times;
  await until(`"${text}" ${times} times`, isSaid, () => running.text());
}

describe('SIGHUP', () => {
  it('changes replicas and databases under load; the untouched one has no gap, and no row is lost', async () => {
    using scene = new Scene();
    const first = scene.writer('a');
    const second = scene.writer('b');
    scene.configure({
      a: [`name: stays, path: ${scene.path('stays')}`, `name: changes, path: ${scene.path('changes')}`],
      b: [`path: ${scene.path('b-replica')}`],
    });
    const running = scene.start();
    await saidTimes(running, 'snapshot written', 3);
    const stored = async (): Promise<number> => (await scene.uploads('stays')).length;
    await until('it is under way', async () => (await stored()) > 10);

    scene.configure({
      a: [
        `name: stays, path: ${scene.path('stays')}`,
        `name: changes, path: ${scene.path('changes')}, retention: 48h`,
        `name: new, path: ${scene.path('new')}`,
      ],
      b: [`path: ${scene.path('b-replica')}, retention: 48h`],
    });
    running.process.kill('SIGHUP');
    await reloaded(running, 1);
    assert.match(running.text(), /replicasAdded=1.*replicasRestarted=2|replicasRestarted=2.*replicasAdded=1/);
    assert.match(running.text(), /replicating .*replica=new .*restoreWith=/);
    const between = await stored();
    await until('it goes on', async () => (await stored()) > between + 10);

    const third = scene.writer('c');
    scene.configure(
      {
        a: [`name: stays, path: ${scene.path('stays')}`, `name: new, path: ${scene.path('new')}`],
        c: [`path: ${scene.path('c-replica')}`],
      },
      ['logging: {level: debug}'],
    );
    const secondRows = second.rows;
    running.process.kill('SIGHUP');
    await reloaded(running, 2);
    const afterwards = await stored();
    await until('it goes on', async () => (await stored()) > afterwards + 10);

    for (const writer of [first, second, third]) writer.stop();
    running.process.kill('SIGTERM');
    assert.equal((await running.ended).code, 0);

    assert.deepEqual(await scene.rowsOf('stays'), upTo(first.rows));
    assert.deepEqual(await scene.rowsOf('new'), upTo(first.rows));
    assert.deepEqual(await scene.rowsOf('c-replica'), upTo(third.rows));
    const removed = await scene.rowsOf('b-replica');
    assert.deepEqual(removed, upTo(removed.length));
    assert.ok(removed.length >= secondRows, `${removed.length} rows of at least ${secondRows}`);
    for (const replica of ['stays', 'changes', 'new', 'b-replica']) {
      assert.equal((await scene.generations(replica)).length, 1, `${replica} went on with its generation`);
    }
    const uploads = await scene.uploads('stays');
    const gapMs = Math.max(...uploads.slice(1).map((at, n) => at - (uploads[n] ?? at)));
    // A machine that is slow is slow for the application, too.
    const limitMs = 1_500 + 10 * first.pauseMaxMs;
    assert.ok(gapMs < limitMs, `a gap of ${gapMs} ms, the application paused for ${first.pauseMaxMs} ms`);
  });

  it('a configuration with errors is refused, line by line, and everything goes on', async () => {
    using scene = new Scene();
    const writer = scene.writer('a');
    scene.configure({ a: [`path: ${scene.path('r')}`] });
    const running = scene.start();
    await running.said('snapshot written');
    scene.configure({ a: [`path: ${scene.path('other')}, retention: 7d`, 'bukket: x'] });
    running.process.kill('SIGHUP');
    await running.said('everything goes on as before');
    assert.match(running.text(), /ERROR[^\n]*rivulet\.yml:\d+:\d+: [^\n]*retention/);
    assert.match(running.text(), /ERROR[^\n]*rivulet\.yml:\d+:\d+: [^\n]*bukket: unknown key/);
    scene.configure({ a: [`path: ${scene.path('r')}`] });
    running.process.kill('SIGHUP');
    await running.said('changes=none');
    writer.stop();
    running.process.kill('SIGTERM');
    assert.equal((await running.ended).code, 0);
    assert.deepEqual(await scene.rowsOf('r'), upTo(writer.rows));
  });

  it('a database whose own settings change is restarted in the same generation; the address moves', async () => {
    using scene = new Scene();
    const writer = scene.writer('a');
    const [one, two] = [await freePort(), await freePort()];
    scene.configure({ a: [`path: ${scene.path('r')}`] }, [`addr: 127.0.0.1:${one}`]);
    const running = scene.start();
    await running.said('snapshot written');
    await delay(200);
    scene.configure({ a: [`path: ${scene.path('r')}`] }, [`addr: 127.0.0.1:${two}`]);
    const text = readFileSync(scene.config, 'utf8');
    writeFileSync(scene.config, text.replace('    replicas:', '    busy-timeout: 2s\n    replicas:'));
    running.process.kill('SIGHUP');
    await reloaded(running, 1);
    assert.match(running.text(), /databasesRestarted=1/);
    const metrics = await (await fetch(`http://127.0.0.1:${two}/metrics`)).text();
    assert.match(metrics, /rivulet_config_reload_total\{result="ok"\} 1/);
    await assert.rejects(fetch(`http://127.0.0.1:${one}/metrics`));
    await delay(300);
    writer.stop();
    running.process.kill('SIGTERM');
    assert.equal((await running.ended).code, 0);
    assert.deepEqual(await scene.rowsOf('r'), upTo(writer.rows));
    assert.equal((await scene.generations('r')).length, 1);
  });

  it('has failed when the address is refused; the rest is in effect', async () => {
    using scene = new Scene();
    scene.writer('a').stop();
    await using taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const own = await freePort();
    const counted = async (): Promise<string[]> => {
      const metrics = await (await fetch(`http://127.0.0.1:${own}/metrics`)).text();
      return [...metrics.matchAll(/^rivulet_config_reload_total\{result="(\w+)"\} (\d+)$/gm)].map(
        ([, result, times]) => `${result} ${times}`,
      );
    };
    const replicas = [`path: ${scene.path('r')}`];
    scene.configure({ a: replicas }, [`addr: 127.0.0.1:${own}`]);
    const running = scene.start();
    await running.said('snapshot written');
    const other = `name: other, path: ${scene.path('other')}`;
    scene.configure({ a: [...replicas, other] }, [`addr: 127.0.0.1:${port}`]);
    running.process.kill('SIGHUP');
    await running.said('the address was not changed');
    await reloaded(running, 1);
    assert.match(running.text(), /the configuration was reloaded in part only/);
    assert.doesNotMatch(running.text(), /addr=true/);
    assert.deepEqual(await counted(), ['ok 0', 'error 1']);
    await saidTimes(running, 'snapshot written', 2);
    running.process.kill('SIGTERM');
    await running.ended;
  });

  it('leaves the application of -exec alone', async () => {
    using scene = new Scene();
    const writer = scene.writer('a');
    const done = scene.path('done');
    scene.configure({ a: [`path: ${scene.path('r')}`] });
    const app = `sh -c 'trap "exit 9" HUP; while [ ! -e ${done} ]; do sleep 0.05; done; exit 7'`;
    const running = scene.start('-exec', app);
    await running.said('snapshot written');
    running.process.kill('SIGHUP');
    await running.said('changes=none');
    writer.stop();
    writeFileSync(done, '');
    assert.equal((await running.ended).code, 7);
  });
});
