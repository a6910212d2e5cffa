/**
 * `PRAGMA wal_checkpoint(TRUNCATE)` of an application waits, with the write lock held, for everybody who reads the WAL. Beside Rivulet it
 * must end soon and never fail: no lasting read transaction, no checkpoint of Rivulet that is in its way.
 */
import { describe, test } from 'node:test';
import { runApplication } from '../../support/applications/run-application.ts';
import type { TruncatingReport, TruncatingSettings } from '../../support/applications/settings.ts';
import { assertUnhindered } from './assert-unhindered.ts';
import { Scene } from './scene.ts';

const SECONDS = 6;
const ALONE_SECONDS = 2;

const BASE = { busyTimeoutMs: 10_000, rowBytes: 500 };
const KINDS: Readonly<Record<string, Omit<TruncatingSettings, 'seconds'>>> = {
  'some time after a burst': { ...BASE, burst: 20, pausesMs: [300, 150, 110, 90, 40, 210], restMs: 250 },
  'right after commits': { ...BASE, burst: 5, pausesMs: [0], restMs: 200 },
  'after megabytes': { ...BASE, rowBytes: 1_000_000, burst: 8, pausesMs: [0, 50, 120], restMs: 300 },
};

describe('wal_checkpoint(TRUNCATE) of the application', () => {
  for (const [title, kind] of Object.entries(KINDS)) {
    test(`${title}: never fails, never takes long`, async (t) => {
      await using scene = new Scene();
      const before = { ...kind, seconds: ALONE_SECONDS };
      const alone = await runApplication<TruncatingReport>('truncating', scene.path, before);
      await scene.start();
      const settings = { ...kind, seconds: SECONDS };
      const felt = await runApplication<TruncatingReport>('truncating', scene.path, settings);
      t.diagnostic(JSON.stringify({ felt, alone }));
      assertUnhindered(felt, alone);
      await scene.assertRestoreEquals();
    });
  }
});
