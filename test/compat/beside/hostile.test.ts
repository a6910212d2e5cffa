/**
 * Three processes that do everything that makes a WAL hard to follow, one of them killed every second or two. Whatever of it is missed
 * must be noticed: the restored database is the live one.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../../faults/random.ts';
import { RunningApplication } from '../../support/applications/run-application.ts';
import { inOneProcess } from '../../support/applications/sql-application.ts';
import type { HostileReport } from '../../support/applications/settings.ts';
import { Scene } from './scene.ts';

const ROUNDS = 6;
const ROUND_SECONDS = 2;
const PAGE_SIZES = [512, 4096, 65_536];

describe('hostile applications', () => {
  for (const [seed, pageSizeBytes] of PAGE_SIZES.entries()) {
    test(`with pages of ${pageSizeBytes} bytes`, async (t) => {
      await using scene = new Scene();
      const random = new Random(seed + 1);
      await inOneProcess(scene.path, [
        `PRAGMA page_size=${pageSizeBytes}`,
        'PRAGMA journal_mode=wal',
        'CREATE TABLE t (a)',
      ]);
      await using silent = new RunningApplication('silent', scene.path, {});
      await silent.reported();
      await scene.start();
      let operations = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const settings = (): unknown => ({ seconds: ROUND_SECONDS, seed: random.int(1, 1e9) });
        await using doomed = new RunningApplication('hostile', scene.path, settings());
        await using one = new RunningApplication('hostile', scene.path, settings());
        await using other = new RunningApplication('hostile', scene.path, settings());
        await delay(random.int(300, 1000 * ROUND_SECONDS));
        await doomed.kill();
        for (const lived of [one, other]) operations += (await lived.report<HostileReport>()).operations;
      }
      t.diagnostic(`${operations} operations`);
      assert.ok(operations > ROUNDS * 20, `only ${operations} operations`);
      await silent.close();
      await scene.assertRestoreEquals();
    });
  }
});
