/** One database with its replicas, where something goes wrong between opening and closing. */
import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import type { DatabaseSettings } from '../../src/config/settings.ts';
import { DescriptorBudget } from '../../src/daemon/descriptor-budget.ts';
import { DatabaseRunner } from '../../src/daemon/database-runner.ts';
import { createMetrics, type Metrics } from '../../src/server/metrics.ts';
import { newKeyPair } from '../support/age-keys.ts';
import { LiveDatabase } from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';

/** Two replicas in directories, the second one encrypted with a recipient of a file. */
function settingsOf(live: LiveDatabase, scratch: Scratch): DatabaseSettings {
  const replicas = [
    { name: 'plain', type: 'file', path: scratch.file('plain') },
    {
      name: 'sealed',
      type: 'file',
      path: scratch.file('sealed'),
      age: { 'recipients-file': [scratch.file('recipients.txt')] },
    },
  ];
  const text = JSON.stringify({ dbs: [{ path: live.path, replicas }] });
  return parseConfig(text, { file: 'f', environment: {} }).config.databases[0] ?? assert.fail();
}

function oneReplica(live: LiveDatabase, scratch: Scratch, more: object): DatabaseSettings {
  const replicas = [{ name: 'it', type: 'file', path: scratch.file('replica'), ...more }];
  const text = JSON.stringify({ dbs: [{ path: live.path, 'monitor-interval': '20ms', replicas }] });
  return parseConfig(text, { file: 'f', environment: {} }).config.databases[0] ?? assert.fail();
}

describe('a database and its replicas', () => {
  it('opens all of them or none, however often that is tried', async () => {
    using scratch = new Scratch();
    using live = new LiveDatabase();
    live.insert(3);
    const runner = new DatabaseRunner(settingsOf(live, scratch), {
      clock: systemClock,
      logger: new RecordingLogger(),
      metrics: createMetrics(),
      descriptors: new DescriptorBudget(),
    });
    for (const _ of [1, 2]) {
      await assert.rejects(runner.open(), { code: 'AGE_INVALID' });
      assert.deepEqual(
        runner.status().replicas.map(({ state, lagMs }) => [state, lagMs]),
        [
          ['starting', 0],
          ['starting', 0],
        ],
        'nothing is open, and nobody has tried to run it',
      );
    }
    writeFileSync(scratch.file('recipients.txt'), (await newKeyPair()).recipient);
    await runner.open();
    assert.deepEqual(
      runner.status().replicas.map(({ name }) => name),
      ['plain', 'sealed'],
    );
    await runner.once(new AbortController().signal);
    assert.deepEqual(await runner.sendRest(systemClock.monotonicMs() + 5_000), []);
    await runner.close();
  });

  it('keeps a replica as it was when it cannot be begun as it is to be', async () => {
    using scratch = new Scratch();
    using live = new LiveDatabase();
    live.insert(3);
    const logger = new RecordingLogger();
    const before = oneReplica(live, scratch, { lease: { mode: 'off' } });
    const runner = new DatabaseRunner(before, {
      clock: systemClock,
      logger,
      metrics: createMetrics(),
      descriptors: new DescriptorBudget(),
    });
    const stop = new AbortController();
    const running = runner.run(stop.signal);
    await until('the first snapshot', () => runner.status().replicas[0]?.state === 'streaming');
    const noteOfLease = join(before.metaPath, 'lease-it.json');
    mkdirSync(noteOfLease);
    const settings = oneReplica(live, scratch, { lease: { mode: 'on' } });
    const replicas = { added: [], changed: settings.replicas, removed: [] };
    await runner.change({ settings, replicas }, 5_000);
    assert.equal(runner.settings.replicas[0]?.lease.mode, 'off', 'what is in effect');
    assert.equal(logger.matching('a replica was not changed').length, 1);
    live.insert(3);
    await until('it goes on', () => runner.status().replicas[0]?.lagBytes === 0);

    rmdirSync(noteOfLease);
    await runner.change({ settings, replicas }, 5_000);
    assert.equal(runner.settings.replicas[0]?.lease.mode, 'on');
    stop.abort();
    await running;
    assert.deepEqual(await runner.sendRest(systemClock.monotonicMs() + 5_000), []);
    await runner.close();
  });

  it('says what to do when the file system keeps it from being opened', async () => {
    using scratch = new Scratch();
    using live = new LiveDatabase();
    live.insert(3);
    const logger = new RecordingLogger();
    const settings = oneReplica(live, scratch, { lease: { mode: 'on' } });
    mkdirSync(join(settings.metaPath, 'lease-it.json'), { recursive: true });
    const runner = new DatabaseRunner(settings, {
      clock: systemClock,
      logger,
      metrics: createMetrics(),
      descriptors: new DescriptorBudget(),
    });
    const stop = new AbortController();
    const running = runner.run(stop.signal);
    await until('it is told', () => logger.matching('cannot be replicated').length === 1);
    const hint = logger.matching('cannot be replicated')[0]?.fields['hint'];
    assert.match(String(hint), /There is a directory where a file is expected/);
    assert.equal(runner.status().lastError?.hint, hint);
    stop.abort();
    await running;
  });

  it('that is not followed any more, by a fault, goes on sending and ends when it is to', async () => {
    using scratch = new Scratch();
    using live = new LiveDatabase();
    live.insert(3);
    writeFileSync(scratch.file('recipients.txt'), (await newKeyPair()).recipient);
    const logger = new RecordingLogger();
    const fault = { isPlanted: false };
    const runner = new DatabaseRunner(settingsOf(live, scratch), {
      clock: systemClock,
      logger,
      metrics: withFault(createMetrics(), fault),
      descriptors: new DescriptorBudget(),
    });
    const stop = new AbortController();
    const running = runner.run(stop.signal);
    await until('the first snapshot', () => runner.status().replicas[0]?.state === 'streaming');
    fault.isPlanted = true;
    live.insert(3);
    await until('the fault is told', () => logger.matching('not followed any more').length === 1);
    assert.equal(runner.status().state, 'failing');
    const pause = delay(200, 'still runs');
    assert.equal(await Promise.race([running, pause]), 'still runs');
    stop.abort();
    await running;
    fault.isPlanted = false;
    assert.deepEqual(await runner.sendRest(systemClock.monotonicMs() + 5_000), []);
    await runner.close();
  });
});

/** Metrics that cannot count looks once the fault is planted. */
function withFault(metrics: Metrics, fault: { isPlanted: boolean }): Metrics {
  return {
    ...metrics,
    database: (path) => ({
      ...metrics.database(path),
      addSync: () => {
        if (fault.isPlanted) throw new TypeError('a fault');
      },
    }),
  };
}
