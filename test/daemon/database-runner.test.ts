/** One database with its replicas, where something goes wrong between opening and closing. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import type { DatabaseSettings } from '../../src/config/settings.ts';
import { DatabaseRunner } from '../../src/daemon/database-runner.ts';
import { createMetrics } from '../../src/server/metrics.ts';
import { newKeyPair } from '../support/age-keys.ts';
import { LiveDatabase } from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Scratch } from '../support/scratch.ts';

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

describe('a database and its replicas', () => {
  it('opens all of them or none, however often that is tried', async () => {
    using scratch = new Scratch();
    using live = new LiveDatabase();
    live.insert(3);
    const runner = new DatabaseRunner(settingsOf(live, scratch), {
      clock: systemClock,
      logger: new RecordingLogger(),
      metrics: createMetrics(),
    });
    for (const _ of [1, 2]) {
      await assert.rejects(runner.open(), { code: 'AGE_INVALID' });
      assert.deepEqual(runner.status().replicas, []);
    }
    writeFileSync(scratch.file('recipients.txt'), (await newKeyPair()).recipient);
    await runner.open();
    assert.deepEqual(
      runner.status().replicas.map(({ name }) => name),
      ['plain', 'sealed'],
    );
    await runner.once(new AbortController().signal);
    assert.deepEqual(await runner.finish(systemClock.monotonicMs() + 5_000), []);
  });
});
