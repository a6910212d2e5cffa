/** A daemon that notices what stands still: destinations that fail or hang, a database that cannot be read, itself. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, it, mock } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { within } from '../../src/base/within.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import type { Config } from '../../src/config/settings.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import { runReplicate } from '../../src/daemon/replicate.ts';
import { Primary } from '../../src/primary/primary.ts';
import { FileObjectStore } from '../../src/storage/file/file-object-store.ts';
import { LiveDatabase } from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { until } from '../support/until.ts';

type Write = FileObjectStore['write'];

const STALL_MS = 400;

/** Those that a test which failed has not stopped. */
let daemons: Daemon[] = [];

afterEach(async () => {
  mock.restoreAll();
  for (const daemon of daemons) await daemon.stop();
  daemons = [];
});

function configOf(live: LiveDatabase, more: string = '', shutdownTimeout: string = '30s'): Config {
  const text = `
shutdown-timeout: ${shutdownTimeout}
socket: {enabled: false}
dbs:
  - path: ${live.path}
    monitor-interval: 20ms
    replicas:
      - path: ${live.scratch.file('replica')}
        sync-interval: 5ms
        stall-after: ${STALL_MS}ms
        ${more}
`;
  return parseConfig(text, { file: 'rivulet.yml', environment: {} }).config;
}

/** Time as it is, but nobody waits for long before another attempt. */
const hastyClock: Clock = {
  ...systemClock,
  sleep: async (ms, signal) => systemClock.sleep(Math.min(ms, STALL_MS / 2), signal),
};

async function started(
  live: LiveDatabase,
  config: Config = configOf(live),
): Promise<{ daemon: Daemon; logger: RecordingLogger }> {
  const logger = new RecordingLogger();
  const daemon = new Daemon(config, { clock: hastyClock, logger });
  daemons.push(daemon);
  await daemon.start();
  return { daemon, logger };
}

function isLevel(daemon: Daemon): boolean {
  return daemon
    .status()
    .every(({ replicas }) =>
      replicas.every((one) => one.lagBytes === 0 && one.lagMs === 0 && one.confirmed !== undefined),
    );
}

describe('a destination', () => {
  it('that is away: one error with what to do, bad health with the reason, one line when it is over', async () => {
    using live = new LiveDatabase();
    live.insert(1);
    writeFileSync(live.scratch.file('replica'), 'a file');
    const { daemon, logger } = await started(live);
    await until('the alarm', () => logger.messages('error').length > 0);
    await delay(3 * STALL_MS);
    assert.deepEqual(logger.messages('error'), [
      'the replica stands still: later changes are on this machine only',
    ]);
    const { fields } = logger.matching('stands still')[0] ?? {};
    assert.match(String(fields?.['hint']), /\w/);
    assert.equal(fields?.['code'], 'STORAGE_FAILED');
    assert.equal(fields?.['replica'], 'file');
    const { ok, reasons, databases } = daemon.health();
    assert.equal(ok, false);
    assert.deepEqual(
      reasons.map(({ replica, reason }) => [replica, reason]),
      [['file', 'stalled']],
    );
    assert.equal(databases[0]?.replicas[0]?.state, 'stalled');
    rmSync(live.scratch.file('replica'));
    mkdirSync(live.scratch.file('replica'));
    await until('it is over', () => logger.matching('stores changes again').length > 0);
    await until('it is level', () => isLevel(daemon));
    assert.deepEqual(daemon.health().reasons, []);
    assert.equal(await daemon.stop(), 0);
  });

  it('that goes away while nothing is written is no stall', async () => {
    using live = new LiveDatabase();
    live.insert(1);
    const { daemon, logger } = await started(live);
    await until('it is level', () => isLevel(daemon));
    mock.method(FileObjectStore.prototype, 'write', async () => {
      throw new Error('away');
    });
    await delay(4 * STALL_MS);
    assert.deepEqual(logger.messages('error'), []);
    assert.equal(daemon.health().ok, true);
    mock.restoreAll();
    await daemon.stop();
  });

  it('that goes away after a long rest lacks changes since the first of them, not since the rest began', async () => {
    using live = new LiveDatabase();
    live.insert(1);
    let laterMs = 0;
    const clock = { ...systemClock, now: () => Date.now() + laterMs };
    const daemon = new Daemon(configOf(live), { clock, logger: new RecordingLogger() });
    await daemon.start();
    await until('it is level', () => isLevel(daemon));
    mock.method(FileObjectStore.prototype, 'write', async () => {
      throw new Error('away');
    });
    laterMs = 3_600_000;
    live.insert(1);
    const lagMs = (): number => daemon.status()[0]?.replicas[0]?.lagMs ?? 0;
    await until('it lags', () => lagMs() > 0);
    assert.ok(lagMs() < 10_000, String(lagMs()));
    mock.restoreAll();
    await daemon.stop();
  });

  it('that is away while the process is started again lacks changes since before that', async () => {
    using live = new LiveDatabase();
    live.insert(1);
    let laterMs = 0;
    const clock: Clock = {
      ...hastyClock,
      now: () => systemClock.now() + laterMs,
      monotonicMs: () => systemClock.monotonicMs() + laterMs,
    };
    const run = async (): Promise<Daemon> => {
      const daemon = new Daemon(configOf(live, '', '100ms'), { clock, logger: new RecordingLogger() });
      daemons.push(daemon);
      await daemon.start();
      return daemon;
    };
    const first = await run();
    await until('it is level', () => isLevel(first));
    mock.method(FileObjectStore.prototype, 'write', async () => {
      throw new Error('away');
    });
    live.insert(1);
    const lagMs = (daemon: Daemon): number => daemon.status()[0]?.replicas[0]?.lagMs ?? 0;
    await until('it lags', () => lagMs(first) > 0);
    laterMs = 3_600_000;
    assert.equal(await first.stop(), 1);
    const second = await run();
    await until('it lags', () => lagMs(second) > 0);
    assert.ok(lagMs(second) >= 3_600_000 && lagMs(second) < 3_660_000, String(lagMs(second)));
    mock.restoreAll();
    await until('it has everything', () => isLevel(second));
    assert.equal(await second.stop(), 0);
    const third = await run();
    assert.ok(lagMs(third) < 60_000, 'nothing is left of it');
    await third.stop();
  });

  it('that is always a little behind lacks changes since the oldest that it lacks, not since it had all of them', async () => {
    using live = new LiveDatabase();
    live.insert(1);
    const { daemon } = await started(live);
    await until('it is level', () => isLevel(daemon));
    const write = Reflect.get<FileObjectStore, 'write'>(FileObjectStore.prototype, 'write');
    const gates: PromiseWithResolvers<void>[] = [];
    mock.method(
      FileObjectStore.prototype,
      'write',
      async function (this: FileObjectStore, ...words: Parameters<Write>) {
        if (!words[0].endsWith('.wal.lz4')) return write.apply(this, words);
        const gate = Promise.withResolvers<void>();
        gates.push(gate);
        await gate.promise;
        return write.apply(this, words);
      },
    );
    const lag = (): { lagMs: number; lagBytes: number } =>
      daemon.status()[0]?.replicas[0] ?? assert.fail('no replica');
    let begunMs = 0;
    for (let n = 0; n < 4; n++) {
      begunMs = performance.now();
      const beforeBytes = lag().lagBytes;
      live.insert(1);
      await until('it is seen', () => lag().lagBytes > beforeBytes);
      // The one before is stored only now, so that it never has everything.
      gates[n - 1]?.resolve();
      await until('its upload has begun', () => gates.length > n);
      await delay(STALL_MS / 4);
    }
    const { lagMs } = lag();
    assert.ok(
      lagMs > 0 && lagMs <= performance.now() - begunMs + 1,
      `${lagMs}, ${performance.now() - begunMs}`,
    );
    mock.restoreAll();
    gates.at(-1)?.resolve();
    await daemon.stop();
  });

  it('that is slow with a first snapshot, and gets on, is no stall', async () => {
    using live = new LiveDatabase();
    live.insert(200, 50_000);
    const write = Reflect.get<FileObjectStore, 'write'>(FileObjectStore.prototype, 'write');
    async function* slowly(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
      for await (const chunk of body) {
        await delay(STALL_MS / 4);
        yield chunk;
      }
    }
    mock.method(
      FileObjectStore.prototype,
      'write',
      async function (this: FileObjectStore, ...[key, body, options]: Parameters<Write>) {
        return write.call(this, key, body instanceof Uint8Array ? body : slowly(body), options);
      },
    );
    const { daemon, logger } = await started(live);
    const startedMs = performance.now();
    await until('it is stored', () => isLevel(daemon));
    mock.restoreAll();
    assert.ok(performance.now() - startedMs > 3 * STALL_MS, 'it took long enough to tell');
    assert.deepEqual(logger.messages('error'), []);
    await daemon.stop();
  });

  it('whose answer never comes, and that cannot be stopped: noticed, and the end is not held up', async () => {
    using live = new LiveDatabase();
    live.insert(1);
    const { daemon, logger } = await started(live, configOf(live, '', '300ms'));
    await until('it is level', () => isLevel(daemon));
    const answer = Promise.withResolvers<never>();
    mock.method(FileObjectStore.prototype, 'write', async () => answer.promise);
    live.insert(1);
    await until('the alarm', () => logger.matching('stands still').length > 0);
    assert.match(String(logger.matching('stands still')[0]?.fields['hint']), /Nothing failed/);
    assert.ok((daemon.status()[0]?.replicas[0]?.stillMs ?? 0) >= STALL_MS / 2);
    const stoppingMs = performance.now();
    assert.equal(await daemon.stop(), 1);
    mock.restoreAll();
    assert.ok(performance.now() - stoppingMs < 30_000);
    assert.equal(daemon.isHung, true);
    answer.reject(new Error('at last'));
  });

  it('that hangs while another configuration is taken: the end is not held up', async () => {
    using live = new LiveDatabase();
    live.insert(1);
    const { daemon, logger } = await started(live, configOf(live, '', '300ms'));
    await until('it is level', () => isLevel(daemon));
    const answer = Promise.withResolvers<never>();
    const write = mock.method(FileObjectStore.prototype, 'write', async () => answer.promise);
    live.insert(1);
    await until('it hangs', () => write.mock.callCount() > 0);
    const reloading = daemon.reload(configOf(live, 'retention: 48h', '300ms'));
    // The change has begun to end the replica.
    await delay(50);
    assert.equal(await within(systemClock, 10_000, daemon.stop()), true, 'it ends');
    assert.equal(daemon.isHung, true);
    assert.equal(
      logger.matching('shutdown timed out; some changes may not have been uploaded').length > 0,
      true,
    );
    answer.reject(new Error('at last'));
    mock.restoreAll();
    await reloading;
  });

  it('with `on-stall: exit`: everything ends, and why is known', async () => {
    using live = new LiveDatabase();
    live.insert(1);
    writeFileSync(live.scratch.file('replica'), 'a file');
    const logger = new RecordingLogger();
    const outcome = await runReplicate({
      config: configOf(live, 'on-stall: exit', '300ms'),
      once: false,
      logger,
      clock: systemClock,
      signals: {
        graceful: new AbortController().signal,
        received: undefined,
        onForce: () => undefined,
        onReload: () => undefined,
      },
    });
    assert.equal(outcome.refusal?.error.code, 'STALLED');
    assert.equal(outcome.unfinished, 1);
    assert.equal(logger.matching('as `on-stall` says').length, 1);
  });
});

describe('a database', () => {
  it('that nobody looks at any more, although its log grows, is a fault of ours and is noticed', async () => {
    using live = new LiveDatabase();
    live.insert(1);
    const { daemon, logger } = await started(live);
    await until('it is level', () => isLevel(daemon));
    const look = Promise.withResolvers<boolean>();
    mock.method(Primary.prototype, 'refresh', async () => look.promise);
    await delay(3 * STALL_MS);
    assert.deepEqual(logger.messages('error'), [], 'nothing was written: nothing is missed');
    live.insert(1);
    await until('the alarm', () => logger.matching('the database is not followed').length > 0);
    assert.deepEqual(
      daemon.health().reasons.map(({ replica, reason }) => [replica, reason]),
      [[undefined, 'stalled']],
    );
    mock.restoreAll();
    assert.equal(logger.messages('error').length, 1);
    look.resolve(false);
    await daemon.stop();
  });

  it('that cannot be read for long is a stall; read again, it is over', async () => {
    using live = new LiveDatabase();
    live.insert(1);
    const { daemon, logger } = await started(live);
    await until('it is level', () => isLevel(daemon));
    mock.method(Primary.prototype, 'refresh', async () => {
      throw new Error('cannot be read');
    });
    await until('the alarm', () => logger.matching('is not followed: what').length > 0);
    assert.equal(daemon.status()[0]?.state, 'stalled');
    assert.equal(daemon.status()[0]?.lastError?.message, 'cannot be read');
    mock.restoreAll();
    await until('it is over', () => logger.matching('is followed again').length > 0);
    assert.equal(daemon.health().ok, true);
    await daemon.stop();
  });
});

describe('a database that does not come', () => {
  it('is bad health after `stall-after`, with the name of what is there, and well again when it comes', async () => {
    using live = new LiveDatabase();
    const path = `${live.path}x`;
    const config = configOf(live);
    const { daemon, logger } = await started(live, {
      ...config,
      databases: config.databases.map((one) => ({ ...one, path, metaPath: `${path}-meta` })),
    });
    assert.deepEqual(daemon.health().reasons, []);
    await until('it is told', () => daemon.health().reasons.length > 0);
    const [reason] = daemon.health().reasons;
    assert.deepEqual([reason?.db, reason?.replica, reason?.reason], [path, undefined, 'waiting']);
    assert.equal(logger.matching('the database still does not exist').length, 1);
    assert.match(JSON.stringify(logger.lines), new RegExp(`Did you mean ${live.path}\\?`));
    const made = new DatabaseSync(path);
    made.exec('PRAGMA journal_mode = wal; CREATE TABLE t(x)');
    await until('it is followed', () => daemon.health().reasons.length === 0);
    made.close();
  });
});
