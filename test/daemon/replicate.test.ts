import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import type { Config } from '../../src/config/settings.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import { type ReplicateOptions, type ReplicateOutcome, runReplicate } from '../../src/daemon/replicate.ts';
import { restore } from '../../src/restore/restore.ts';
import { FileObjectStore } from '../../src/storage/file/file-object-store.ts';
import { LiveDatabase } from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';

/** The settled configuration of a text. */
function configOf(text: string): Config {
  return parseConfig(text, { file: 'rivulet.yml', environment: {} }).config;
}

function textOf(scratch: Scratch, paths: readonly string[], more: string = ''): string {
  const databases = paths.map(
    (path, i) => `
  - path: ${path}
    monitor-interval: 20ms
    replicas:
      - path: ${scratch.file(`replica${i}`)}
        sync-interval: 5ms`,
  );
  return `shutdown-timeout: 30s\n${more}\ndbs:${databases.join('')}\n`;
}

interface Run {
  readonly outcome: Promise<ReplicateOutcome>;
  readonly logger: RecordingLogger;
  stop(signal?: NodeJS.Signals): void;
}

/** @param options.reload - reads another configuration; asked for as soon as that can be */
function start(
  config: Config,
  options: { once?: boolean; clock?: Clock; reload?: () => Promise<void>; onReload?: () => void } = {},
): Run {
  const logger = new RecordingLogger();
  const graceful = new AbortController();
  const signals: {
    graceful: AbortSignal;
    received: NodeJS.Signals | undefined;
    onForce(): void;
    onReload(listener: () => void): void;
  } = {
    graceful: graceful.signal,
    received: undefined,
    onForce: () => undefined,
    onReload: (listener) => {
      options.onReload?.();
      if (options.reload !== undefined) listener();
    },
  };
  const all: ReplicateOptions = {
    config,
    once: options.once ?? false,
    logger,
    clock: options.clock ?? systemClock,
    signals,
    ...(options.reload === undefined ? {} : { reload: reloadFrom(config, options.reload) }),
  };
  return {
    outcome: runReplicate(all),
    logger,
    stop: (signal = 'SIGTERM') => {
      signals.received = signal;
      graceful.abort();
    },
  };
}

function reloadFrom(config: Config, read: () => Promise<void>): ReplicateOptions['reload'] & object {
  return {
    load: async () => {
      await read();
      return { config, warnings: [] };
    },
    setLogging: async () => undefined,
  };
}

/** Rows of `t` in what the destination restores to. */
async function restoredCount(path: string): Promise<number> {
  using scratch = new Scratch();
  const outputPath = scratch.file('out');
  const store = new FileObjectStore(path);
  await restore({ store, target: {}, outputPath, integrityCheck: 'full' });
  const database = new DatabaseSync(outputPath);
  try {
    return Number(database.prepare('SELECT count(*) AS n FROM t').get()?.['n']);
  } finally {
    database.close();
  }
}

describe('replicate', () => {
  it('a request to reload that comes while databases are being opened is kept, and is none to end', async () => {
    using live = new LiveDatabase();
    const order: string[] = [];
    const note = (what: string): void =>
      void order.push(`${what}, opened: ${run?.logger.matching('replicating').length ?? 0}`);
    let run: Run | undefined;
    run = start(configOf(textOf(live.scratch, [live.path])), {
      reload: async () => note('reload'),
      onReload: () => note('request'),
    });
    await until('it was reloaded', () => order.length === 2);
    run.stop();
    assert.deepEqual(await run.outcome, { childCode: undefined, unfinished: 0 });
    assert.deepEqual(order, ['request, opened: 0', 'reload, opened: 1']);
  });

  it('that is to end while it reads another configuration ends without an error', async () => {
    using live = new LiveDatabase();
    const reading = Promise.withResolvers<void>();
    const isRead = Promise.withResolvers<void>();
    const run = start(configOf(textOf(live.scratch, [live.path])), {
      reload: async () => {
        reading.resolve();
        await isRead.promise;
      },
    });
    await reading.promise;
    run.stop();
    await until('it ends', () => run.logger.matching('stopping').length === 1);
    isRead.resolve();
    assert.deepEqual(await run.outcome, { childCode: undefined, unfinished: 0 });
    assert.deepEqual(run.logger.messages('error'), []);
  });

  it('with an application: its exit code, and everything that it wrote', async () => {
    using live = new LiveDatabase();
    const script = live.scratch.file('app.mjs');
    writeFileSync(
      script,
      `import { DatabaseSync } from 'node:sqlite';
       const db = new DatabaseSync(process.argv[2], { timeout: 5000 });
       for (let n = 0; n < 50; n++) db.exec('INSERT INTO t (body) VALUES (randomblob(3000))');
       process.exit(7);`,
    );
    const command = `${process.execPath} --no-warnings ${script} ${live.path}`;
    const run = start({ ...configOf(textOf(live.scratch, [live.path])), exec: command });
    assert.deepEqual(await run.outcome, { childCode: 7, unfinished: 0 });
    assert.equal(run.logger.matching('the application ended')[0]?.fields['code'], 7);
    assert.equal(await restoredCount(live.scratch.file('replica0')), 50);
  });

  it('with shell syntax, and with an application that a signal ends', async () => {
    using live = new LiveDatabase();
    const config = configOf(textOf(live.scratch, [live.path]));
    const shell = start({ ...config, exec: 'true && (exit 3) || exit 4' });
    assert.deepEqual(await shell.outcome, { childCode: 4, unfinished: 0 });
    const asleep = start({ ...config, exec: 'sleep 60' });
    await until('it runs', () => asleep.logger.matching('replicating').length > 0);
    live.insert(3);
    await delay(50);
    asleep.stop('SIGINT');
    assert.deepEqual(await asleep.outcome, { childCode: 130, unfinished: 0 });
    assert.equal(await restoredCount(live.scratch.file('replica0')), 3);
  });

  it('with an application that cannot be started: an error, nothing left open, everything stored', async () => {
    using live = new LiveDatabase();
    live.insert(2);
    const run = start({ ...configOf(textOf(live.scratch, [live.path])), exec: 'rivulet-no-such-command' });
    await assert.rejects(run.outcome, { code: 'EXEC_FAILED' });
    assert.equal(await restoredCount(live.scratch.file('replica0')), 2);
    const again = start({ ...configOf(textOf(live.scratch, [live.path])), exec: 'true' });
    assert.deepEqual(await again.outcome, { childCode: 0, unfinished: 0 });
  });

  it('until a signal: a final sync ships what came last', async () => {
    using live = new LiveDatabase();
    const run = start(configOf(textOf(live.scratch, [live.path])));
    await until('the first upload', () => run.logger.matching('snapshot written').length > 0);
    live.insert(9);
    run.stop();
    assert.deepEqual(await run.outcome, { childCode: undefined, unfinished: 0 });
    assert.equal(await restoredCount(live.scratch.file('replica0')), 9);
    assert.equal(run.logger.matching('stopping')[0]?.fields['signal'], 'SIGTERM');
  });

  it('a destination that cannot be written to: the others are served, and the end tells the truth', async () => {
    using live = new LiveDatabase();
    using other = new LiveDatabase();
    writeFileSync(live.scratch.file('replica0'), 'a file where a directory should be');
    const text = textOf(live.scratch, [live.path, other.path], 'addr: 127.0.0.1:0');
    const run = start(configOf(text.replace('shutdown-timeout: 30s', 'shutdown-timeout: 1s')));
    other.insert(4);
    await until('it failed', () => run.logger.matching('the destination failed').length > 0);
    await until('the other one is served', () => run.logger.matching('snapshot written').length > 0);
    run.stop();
    assert.deepEqual(await run.outcome, { childCode: undefined, unfinished: 1 });
    assert.equal(await restoredCount(live.scratch.file('replica1')), 4);
    assert.ok(run.logger.messages('error').some((text) => text.includes('not everything was stored')));
  });

  it('without databases, or with none that can be opened: an error at once', async () => {
    using scratch = new Scratch();
    await assert.rejects(start({ ...configOf(textOf(scratch, ['/x.db'])), databases: [] }).outcome, {
      code: 'CONFIG_INVALID',
    });
    for (const name of ['a', 'b']) writeFileSync(scratch.file(name), 'words '.repeat(2000));
    const config = configOf(textOf(scratch, [scratch.file('a'), scratch.file('b')]));
    await assert.rejects(start(config).outcome, { code: 'DB_INVALID' });
  });

  it('one broken database does not stop the others, and is followed once it is whole', async () => {
    using live = new LiveDatabase();
    using scratch = new Scratch();
    const broken = scratch.file('broken.db');
    writeFileSync(broken, 'words '.repeat(2000));
    const run = start(configOf(textOf(scratch, [broken, live.path])));
    await until('it says so', () => run.logger.matching('cannot be replicated').length > 0);
    live.insert(5);
    rmSync(broken);
    const made = new DatabaseSync(broken);
    made.exec('PRAGMA journal_mode=wal; CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)');
    await until('it heals', () => run.logger.matching('is replicated again').length > 0);
    made.close();
    run.stop();
    assert.equal((await run.outcome).unfinished, 0);
    assert.equal(await restoredCount(scratch.file('replica0')), 2);
    assert.equal(await restoredCount(scratch.file('replica1')), 5);
  });

  it('a database that is not there yet is waited for', async () => {
    using scratch = new Scratch();
    const path = scratch.file('later.db');
    const run = start(configOf(textOf(scratch, [path])));
    await until('it waits', () => run.logger.matching('waiting for it').length > 0);
    const made = new DatabaseSync(path);
    made.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
    await until('it is shipped', () => run.logger.matching('snapshot written').length > 0);
    made.close();
    run.stop();
    assert.equal((await run.outcome).unfinished, 0);
    assert.equal(await restoredCount(scratch.file('replica0')), 1);
  });
});

describe('replicate -once', () => {
  it('ships what is there and ends; the next run goes on from there', async () => {
    using live = new LiveDatabase();
    for (const rows of [3, 7]) {
      live.insert(rows - live.count());
      const run = start(configOf(textOf(live.scratch, [live.path])), { once: true });
      assert.deepEqual(await run.outcome, { childCode: undefined, unfinished: 0 });
      assert.equal(await restoredCount(live.scratch.file('replica0')), rows);
    }
    assert.equal(readdirSync(`${live.scratch.file('replica0')}/generations`).length, 1);
  });

  it('with one database missing: an error, and the others are shipped whole', async () => {
    using live = new LiveDatabase();
    live.insert(2000, 3000);
    const config = configOf(textOf(live.scratch, [live.scratch.file('missing.db'), live.path]));
    await assert.rejects(start(config, { once: true }).outcome, { code: 'DB_NOT_FOUND' });
    assert.equal(await restoredCount(live.scratch.file('replica1')), 2000);
  });

  it('with one of two destinations failing: an error, and the other one is served', async () => {
    using live = new LiveDatabase();
    live.insert(2000, 3000);
    writeFileSync(live.scratch.file('replica0'), 'a file');
    const text = `${textOf(live.scratch, [live.path]).replace('30s', '200ms')}
      - path: ${live.scratch.file('good')}
        name: good`;
    await assert.rejects(start(configOf(text), { once: true }).outcome, { code: 'FINAL_SYNC_FAILED' });
    assert.equal(await restoredCount(live.scratch.file('good')), 2000);
  });

  it('with a destination that fails: an error', async () => {
    using live = new LiveDatabase();
    writeFileSync(live.scratch.file('replica0'), 'a file');
    const text = textOf(live.scratch, [live.path]).replace('30s', '200ms');
    await assert.rejects(start(configOf(text), { once: true }).outcome, {
      code: /FINAL_SYNC_FAILED|STORAGE_FAILED/,
    });
  });
});

describe('metrics and health', () => {
  interface Seen {
    readonly metrics: ReadonlyMap<string, number>;
    readonly health: { status: number; ok: boolean };
  }

  async function look(logger: RecordingLogger): Promise<Seen> {
    const url = String(logger.matching('serving metrics')[0]?.fields['url']);
    const text = await (await fetch(url)).text();
    const metrics = new Map<string, number>();
    for (const line of text.split('\n')) {
      const match = /^(\w+)(?:\{.*\})? (\S+)$/.exec(line);
      if (match?.[1] !== undefined) metrics.set(match[1], (metrics.get(match[1]) ?? 0) + Number(match[2]));
    }
    const health = await fetch(url.replace('/metrics', '/healthz'));
    return { metrics, health: { status: health.status, ok: ((await health.json()) as { ok: boolean }).ok } };
  }

  it('tell the true position, no lag, and good health', async () => {
    using live = new LiveDatabase();
    const logger = new RecordingLogger();
    const daemon = new Daemon(configOf(textOf(live.scratch, [live.path], 'addr: 127.0.0.1:0')), {
      clock: systemClock,
      logger,
    });
    await daemon.start();
    live.insert(20, 500);
    await until('it is level', () =>
      daemon
        .status()
        .every(({ replicas }) => replicas.every((one) => one.lagBytes === 0 && one.confirmed !== undefined)),
    );
    await delay(200);
    const { metrics, health } = await look(logger);
    const wal = live.checkpoint('PASSIVE').log * (4096 + 24) + 32;
    const get = (name: string): number | undefined => metrics.get(name);
    assert.equal(get('litestream_replica_wal_offset'), wal);
    assert.equal(get('litestream_shadow_wal_size'), wal);
    assert.equal(get('litestream_replica_wal_index'), 0);
    assert.equal(get('rivulet_replica_lag_bytes'), 0);
    assert.equal(get('rivulet_replica_lag_seconds'), 0);
    assert.equal(get('litestream_replica_wal_bytes'), wal);
    assert.equal(get('litestream_db_size'), 4096);
    assert.ok((get('litestream_wal_size') ?? 0) >= wal);
    assert.ok((get('litestream_sync_count') ?? 0) > 0);
    assert.equal(get('litestream_sync_error_count'), 0);
    assert.ok((get('litestream_replica_operation_total') ?? 0) >= 3);
    assert.deepEqual(health, { status: 200, ok: true });
    assert.equal(await daemon.stop(), 0);
  });

  it('a destination that fails for long is bad health, and good again when it works', async () => {
    using live = new LiveDatabase();
    let laterMs = 0;
    const clock: Clock = {
      ...systemClock,
      now: () => systemClock.now() + laterMs,
      monotonicMs: () => systemClock.monotonicMs() + laterMs,
    };
    const logger = new RecordingLogger();
    writeFileSync(live.scratch.file('replica0'), 'a file');
    const daemon = new Daemon(configOf(textOf(live.scratch, [live.path], 'addr: 127.0.0.1:0')), {
      clock,
      logger,
    });
    await daemon.start();
    await until('it fails', () => logger.matching('the destination failed').length > 0);
    assert.deepEqual((await look(logger)).health, { status: 200, ok: true });
    laterMs = 31_000;
    const bad = await look(logger);
    assert.deepEqual(bad.health, { status: 503, ok: false });
    assert.ok((bad.metrics.get('rivulet_replica_lag_seconds') ?? 0) >= 31);
    assert.ok((bad.metrics.get('rivulet_replica_lag_bytes') ?? 0) > 0);
    rmSync(live.scratch.file('replica0'));
    mkdirSync(live.scratch.file('replica0'));
    await until('it heals', () => logger.matching('works again').length > 0);
    assert.deepEqual((await look(logger)).health, { status: 200, ok: true });
    assert.equal(await daemon.stop(), 0);
  });

  it('a database that is no database any more is bad health', async () => {
    using live = new LiveDatabase();
    const logger = new RecordingLogger();
    const daemon = new Daemon(
      configOf(textOf(live.scratch, [live.path], 'addr: 127.0.0.1:0').replace('30s', '1s')),
      {
        clock: systemClock,
        logger,
      },
    );
    await daemon.start();
    live.close();
    for (const ending of ['', '-wal', '-shm']) rmSync(live.path + ending, { force: true });
    writeFileSync(live.path, 'words '.repeat(2000));
    await until('it says so', () => logger.matching('cannot be replicated').length > 0);
    const { health, metrics } = await look(logger);
    assert.deepEqual(health, { status: 503, ok: false });
    assert.ok((metrics.get('litestream_sync_error_count') ?? 0) > 0);
    assert.equal(readFileSync(live.path, 'utf8').slice(0, 6), 'words ');
    await daemon.stop();
  });

  it('an address that is taken is an error before anything starts', async () => {
    using live = new LiveDatabase();
    const logger = new RecordingLogger();
    const config = configOf(textOf(live.scratch, [live.path], 'addr: 127.0.0.1:0'));
    const first = new Daemon(config, { clock: systemClock, logger });
    await first.start();
    const url = new URL(String(logger.matching('serving metrics')[0]?.fields['url']));
    const second = new Daemon({ ...config, addr: url.host }, { clock: systemClock, logger });
    await assert.rejects(second.start(), { code: 'CONFIG_INVALID' });
    await first.stop();
  });
});
