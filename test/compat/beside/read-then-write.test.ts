/**
 * An application of one process with one connection that reads and then writes in a plain transaction never sees "database is
 * locked" when it is alone. It must not see one beside Rivulet either.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runApplication } from '../../support/applications/run-application.ts';
import type {
  ReadingThenWritingReport,
  ReadingThenWritingSettings,
} from '../../support/applications/settings.ts';
import { Scene } from './scene.ts';

const SECONDS = 6;
/** Fewer mean that the application hung. */
const TRANSACTIONS_MIN = 200;

const RATES: Readonly<Record<string, Omit<ReadingThenWritingSettings, 'seconds'>>> = {
  '200 transactions a second': { perSecond: 200, thinkMs: 2, rowBytes: 3000 },
  'a pause between the read and the write': { perSecond: 0, thinkMs: 10, rowBytes: 3000 },
};
/**
 * One that never pauses outgrows any WAL: its limit is the one place where the write lock is taken, for moments. This one tries again
 * each millisecond while it is held, and each try counts.
 */
const SATURATED = { perSecond: 0, thinkMs: 0, rowBytes: 4096 };
const SATURATED_LOCKED_SHARE_MAX = 0.02;

describe('an application that reads and then writes', () => {
  for (const [title, rate] of Object.entries(RATES)) {
    test(`${title}: "database is locked" is never seen`, async (t) => {
      await using scene = new Scene();
      const make = { seconds: 0.2, ...rate };
      await runApplication('reading-then-writing', scene.path, make);
      await scene.start();
      const felt = await runApplication<ReadingThenWritingReport>('reading-then-writing', scene.path, {
        ...rate,
        seconds: SECONDS,
      });
      t.diagnostic(JSON.stringify(felt));
      assert.ok(felt.transactions >= TRANSACTIONS_MIN, JSON.stringify(felt));
      assert.equal(felt.locked, 0, JSON.stringify(felt));
      await scene.assertRestoreEquals();
    });
  }

  test('saturated: hardly ever', async (t) => {
    await using scene = new Scene();
    await runApplication('reading-then-writing', scene.path, { ...SATURATED, seconds: 0.2 });
    await scene.start();
    const settings = { ...SATURATED, seconds: SECONDS };
    const felt = await runApplication<ReadingThenWritingReport>('reading-then-writing', scene.path, settings);
    t.diagnostic(JSON.stringify(felt));
    assert.ok(felt.transactions >= TRANSACTIONS_MIN, JSON.stringify(felt));
    assert.ok(felt.locked <= felt.transactions * SATURATED_LOCKED_SHARE_MAX, JSON.stringify(felt));
    await scene.assertRestoreEquals();
  });
});
