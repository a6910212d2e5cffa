import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics } from '../../src/server/metrics.ts';

test('what was restorable is not any more once damage is found', async () => {
  const metrics = createMetrics();
  const replica = metrics.replica('d', 'n');
  const valueOf = async (name: string): Promise<number> =>
    Number(new RegExp(`^rivulet_replica_${name}\\{.*\\} (\\S+)$`, 'm').exec(await metrics.render())?.[1]);
  replica.setProof({ outcome: 'proven', atMs: 2000, provenUntilMs: 1000, restoreMs: 500 });
  assert.equal(await valueOf('restorable_until_seconds'), 1);
  assert.equal(await valueOf('restore_seconds'), 0.5);
  replica.setProof({ outcome: 'inconclusive', atMs: 3000, provenUntilMs: undefined, restoreMs: 500 });
  assert.equal(await valueOf('restorable_until_seconds'), 1, 'nobody knows anything else');
  replica.setProof({ outcome: 'broken', atMs: 4000, provenUntilMs: undefined, restoreMs: 500 });
  assert.equal(await valueOf('restorable_until_seconds'), 0);
  assert.equal(await valueOf('broken'), 1);
  assert.equal(await valueOf('proven_timestamp_seconds'), 2, 'when the last proof succeeded');
});
