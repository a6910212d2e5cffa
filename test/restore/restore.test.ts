import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import type { RestoreTarget } from '../../src/generations/restore-target.ts';
import type { RestoreSummary } from '../../src/restore/options.ts';
import { restore } from '../../src/restore/restore.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { ReplicaMaker, type ReplicaShape, fillSmallReplica, lastPoint } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';

interface Restored {
  readonly summary: RestoreSummary;
  readonly database: Buffer;
}

/** Restores into a folder of its own and checks that only the database is there afterwards. */
async function restored(store: ObjectStore, target: RestoreTarget = {}): Promise<Restored> {
  using scratch = new Scratch();
  const outputPath = scratch.file('out');
  const summary = await restore({ store, target, outputPath });
  assert.deepEqual(scratch.names(), ['out']);
  const database = readFileSync(outputPath);
  const opened = new DatabaseSync(outputPath);
  assert.deepEqual({ ...opened.prepare('PRAGMA integrity_check').get() }, { integrity_check: 'ok' });
  opened.close();
  return { summary, database };
}

function assertSame(actual: Buffer, expected: Buffer): void {
  assert.equal(actual.length, expected.length);
  assert.ok(actual.equals(expected), 'the restored database differs');
}

describe('restore', () => {
  const shapes: ReplicaShape[] = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536].map(
    (pageSizeBytes, i) => ({
      pageSizeBytes,
      bigEndianChecksum: i % 2 === 0,
      autoVacuum: (['none', 'full', 'incremental'] as const)[i % 3] ?? 'none',
    }),
  );
  for (const shape of shapes) {
    it(`restores the latest state: ${JSON.stringify(shape)}`, async () => {
      using maker = new ReplicaMaker(new MemoryStore(), shape);
      fillSmallReplica(maker);
      const { summary, database } = await restored(maker.store);
      assertSame(database, lastPoint(maker).database);
      assert.equal(summary.proven, true);
      assert.equal(summary.integrityCheck, 'none');
      assert.deepEqual(summary.position, lastPoint(maker).position);
      assert.equal(summary.databaseBytes, database.length);
    });
  }

  it('restores every point in time exactly', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    for (const [i, point] of maker.points.entries()) {
      if (i === 0) continue;
      const next = maker.points[i + 1]?.timeMs ?? point.timeMs + 5000;
      for (const timestampMs of [point.timeMs, point.timeMs + 1, next - 1]) {
        const { database } = await restored(maker.store, { timestampMs });
        assertSame(database, point.database);
      }
    }
  });

  it('says that a replica without annotations is not proven, and checks it', async () => {
    using maker = new ReplicaMaker(new MemoryStore(), { annotated: false });
    fillSmallReplica(maker, { promise: false });
    const { summary, database } = await restored(maker.store);
    assertSame(database, lastPoint(maker).database);
    assert.equal(summary.proven, false);
    assert.equal(summary.integrityCheck, 'quick');
  });
});
