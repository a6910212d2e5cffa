/**
 * Faults of an S3 service under a running replication: the real process, a real application that writes all the time. In
 * each of them replication resumes by itself, and all of what `Scene.finish` asserts holds.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../faults/random.ts';
import type { RecordedRequest } from '../support/loopback-s3/faults.ts';
import { openS3Scene } from './faults/s3-scene.ts';

const STORM_MS = 10_000;
const STORM_SHARE = 0.8;

describe('faults of S3 under a running replication', { concurrency: 2 }, () => {
  for (const retryAfter of [undefined, '1'] as const) {
    it(`a storm of 503 SlowDown, ${retryAfter === undefined ? 'without' : 'with'} Retry-After`, async () => {
      await using all = await openS3Scene();
      const { server, scene } = all;
      await scene.remember();
      const random = new Random(1);
      const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
      const storm = server.misbehave({
        on: () => random.chance(STORM_SHARE),
        fault: { answer: { status: 503, code: 'SlowDown', headers } },
      });
      const from = server.requests.length;
      await sleep(STORM_MS);
      const requests = server.requests.length - from;
      server.behave();
      assert.ok(storm.hits > 0);
      assert.ok(requests < 100, `${requests} requests into a storm of ${STORM_MS / 1_000} s`);
      await scene.finish();
    });
  }

  it('connections that break in the middle of what is sent: a first snapshot in parts, segments', async () => {
    let hits = 0;
    const random = new Random(2);
    await using all = await openS3Scene({ seedRows: 300, seedBodyBytes: 100_000 }, (server) => {
      server.misbehave({
        on: ({ operation }) => operation === 'UploadPart' && random.chance(0.5),
        fault: { resetRequestAfterBytes: 1_000_000 },
      });
      server.misbehave({
        on: ({ operation }) => operation === 'PutObject' && random.chance(0.2) && ++hits > 0,
        fault: { resetRequestAfterBytes: 200 },
      });
    });
    const { server, scene } = all;
    assert.ok(server.count('UploadPart') >= 4, 'a snapshot in parts');
    await scene.remember();
    await sleep(3_000);
    assert.ok(hits > 0);
    server.behave();
    await scene.finish();
    assert.deepEqual(server.uploads(), [], 'no parts are left');
  });

  it('connections that break in the middle of what is fetched: a restore of large objects', async () => {
    await using all = await openS3Scene({ seedRows: 400, seedBodyBytes: 100_000 });
    const { server, scene } = all;
    await scene.remember();
    const random = new Random(3);
    let cut = 0;
    server.misbehave({
      on: ({ operation }) => operation === 'GetObject' && random.chance(0.6) && ++cut > 0,
      fault: { resetAnswerAfterBytes: 300_000 },
    });
    server.misbehave({
      on: ({ operation }) => operation === 'GetObject' && random.chance(0.3),
      fault: { truncateAnswerAtBytes: 100 },
    });
    await scene.finish();
    assert.ok(cut > 3, `${cut} answers were cut`);
  });

  it('answers that are lost after the work was done', async () => {
    await using all = await openS3Scene();
    const { server, scene } = all;
    await scene.remember();
    const random = new Random(4);
    const lost = server.misbehave({
      on: ({ method }) => method !== 'GET' && random.chance(0.3),
      fault: { loseAnswer: true },
    });
    await sleep(4_000);
    server.behave();
    assert.ok(lost.hits > 3);
    await scene.finish();
  });

  it('200 with an error in the body: completed uploads, deletions in batches', async () => {
    const often = { 'snapshot-interval': '1s', retention: '2s', 'retention-check-interval': '500ms' };
    const database = { 'min-checkpoint-page-count': 50 };
    const failed = { answer: { status: 200, code: 'InternalError' } } as const;
    await using all = await openS3Scene(
      { replica: often, database, seedRows: 120, seedBodyBytes: 100_000 },
      (server) => server.misbehave({ on: 'CompleteMultipartUpload', times: 2, fault: failed }),
    );
    const { server, scene } = all;
    const refusing = server.misbehave({ on: 'DeleteObjects', times: 1, fault: failed });
    const partly = server.misbehave({
      on: 'DeleteObjects',
      times: 1,
      fault: { refuseKeys: (key) => (key.includes('wal') ? 'InternalError' : undefined) },
    });
    const completing = server.misbehave({ on: 'CompleteMultipartUpload', times: 2, fault: failed });
    await scene.until('both', () => refusing.hits + partly.hits + completing.hits === 4);
    const first = [...server.objects().keys()].find((key) => key.includes('/snapshots/')) ?? '';
    await scene.until('retention', () => !server.objects().has(first));
    await scene.finish();
    assert.deepEqual(server.uploads(), []);
  });

  it('listings in no order, in pages, that lag behind: at a start, for retention, for a restore', async () => {
    const often = { 'snapshot-interval': '1s', retention: '3s', 'retention-check-interval': '500ms' };
    await using all = await openS3Scene({ replica: often, database: { 'min-checkpoint-page-count': 50 } });
    const { server, scene } = all;
    server.listing.order = shuffled;
    server.listing.pageKeys = 3;
    const isFresh = (key: string): boolean => {
      const modifiedAt = server.objects().get(key)?.modifiedAt.getTime() ?? 0;
      return Date.now() - modifiedAt < 1_500;
    };
    server.listing.hides = isFresh;
    for (let round = 0; round < 3; round++) {
      await sleep(1_500);
      await scene.stopReplicator(round === 1 ? 'kill' : 'stop');
      scene.startReplicator();
      await scene.caughtUp();
    }
    // From here on a moment stays restorable, however long the rest takes.
    await scene.stopReplicator();
    scene.writeConfig({ ...often, retention: '10m' });
    scene.startReplicator();
    await scene.remember();
    // A restore sees the last moments only when the listing does.
    await scene.caughtUp();
    // All pages of one listing are as old; the next page would else show what the one before did not yet.
    const momentMs = Date.now() - 1_500;
    server.listing.hides = (key) => (server.objects().get(key)?.modifiedAt.getTime() ?? 0) > momentMs;
    const copy = await scene.restore([], 'early.db');
    assert.equal(scene.differencesTo(copy, scene.countOf(copy)), 0);
    server.listing.hides = () => false;
    await scene.finish();
  });

  for (const minutes of [10, -10] as const) {
    it(`a service whose clock is ${Math.abs(minutes)} minutes ${minutes > 0 ? 'ahead' : 'behind'}`, async () => {
      const offsetMs = minutes * 60_000;
      await using all = await openS3Scene({}, (server) => (server.clockOffsetMs = offsetMs));
      const { scene } = all;
      await scene.remember(offsetMs);
      await scene.finish();
    });
  }

  it('a service that refuses our clock, and whose clock jumps', async () => {
    const isSkewed = ({ status }: RecordedRequest): boolean => status === 403;
    await using all = await openS3Scene({}, (server) => (server.clockOffsetMs = 20 * 60_000));
    const { server, scene } = all;
    assert.ok(server.requests.some(isSkewed), 'it refused at first');
    await scene.remember(20 * 60_000);
    server.clockOffsetMs = -30 * 60_000;
    await scene.caughtUp();
    server.clockOffsetMs = 20 * 60_000;
    await scene.caughtUp();
    await scene.finish();
  });
});

/** An order of its own, the same for each page: a service does not lose keys between pages. */
function shuffled(keys: readonly string[]): string[] {
  const rank = (key: string): string => createHash('md5').update(key).digest('hex');
  return keys.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1));
}
