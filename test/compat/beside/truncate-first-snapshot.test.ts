/**
 * The application's own `wal_checkpoint(TRUNCATE)` while the first snapshot is on its slow way to the destination: no read transaction lasts as long as
 * an upload.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runApplication } from '../../support/applications/run-application.ts';
import type { TruncatingReport } from '../../support/applications/settings.ts';
import { LoopbackS3 } from '../../support/loopback-s3.ts';
import { SlowWay } from '../../support/slow-way.ts';
import { replicaAt } from '../../servers/faults/s3-scene.ts';
import { assertUnhindered } from './assert-unhindered.ts';
import { Scene } from './scene.ts';

const SECONDS = 6;
const FIRST_DATABASE_BYTES = 40e6;
/** The first snapshot takes longer than the application runs. */
const SLOW_BYTES_PER_SECOND = 2e6;
const BASE = { busyTimeoutMs: 10_000, rowBytes: 500 };

test('during a first snapshot to a slow destination: never fails, never takes long', async (t) => {
  await using server = await LoopbackS3.start();
  await using way = await SlowWay.open(server.endpoint, SLOW_BYTES_PER_SECOND);
  await using scene = new Scene({ replica: { ...replicaAt(way.endpoint), 'force-path-style': true } });
  const burst = Math.ceil(FIRST_DATABASE_BYTES / 100_000);
  const first = { ...BASE, rowBytes: 100_000, burst, pausesMs: [0], restMs: 0, seconds: 0.001 };
  const alone = await runApplication<TruncatingReport>('truncating', scene.path, first);
  await scene.start();
  await scene.rivulet.until('an upload that has begun', () => server.requests.some(isUpload));
  const settings = { ...BASE, burst: 20, pausesMs: [300, 110, 0, 40], restMs: 250, seconds: SECONDS };
  const felt = await runApplication<TruncatingReport>('truncating', scene.path, settings);
  t.diagnostic(JSON.stringify({ felt, alone }));
  assert.equal(snapshotsOf(server).length, 0, 'the snapshot was stored before the application ended');
  assertUnhindered(felt, alone);
  way.bytesPerSecond = Number.POSITIVE_INFINITY;
  await scene.rivulet.until('the first snapshot', () => snapshotsOf(server).length > 0);
  await scene.assertRestoreEquals();
});

function isUpload({ operation }: { readonly operation: string }): boolean {
  return operation === 'PutObject' || operation === 'UploadPart';
}

function snapshotsOf(server: LoopbackS3): string[] {
  return [...server.objects().keys()].filter((key) => key.includes('/snapshots/'));
}
