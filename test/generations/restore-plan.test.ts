import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ErrorCode, isRivuletError } from '../../src/base/errors.ts';
import { endKey } from '../../src/generations/ends.ts';
import { type Inventory, inventoryOf } from '../../src/generations/inventory.ts';
import { segmentKey, snapshotKey } from '../../src/generations/names.ts';
import { planRestore } from '../../src/generations/plan-restore.ts';
import type { RestoreTarget } from '../../src/generations/restore-target.ts';

const A = '00000000000000aa';
const B = '00000000000000bb';
const START = Date.parse('2026-05-01T12:00:00.000Z');

/** `s3@20` is the snapshot of index 3 made at second 20, `w3.100@21` a segment, `e3.500@22` an end promise. */
function inventory(spec: Readonly<Record<string, string>>): Inventory {
  const objects = Object.entries(spec).flatMap(([generation, text]) =>
    text.split(' ').map((word) => {
      const match = /^([swe])(\d+)(?:\.(\d+))?@([\d.]+)$/.exec(word);
      if (match === null) throw new Error(word);
      const position = { index: Number(match[2]), offsetBytes: Number(match[3] ?? 0) };
      const keys = {
        s: snapshotKey(generation, position.index),
        w: segmentKey(generation, position),
        e: endKey(generation, position),
      };
      const modifiedAt = new Date(START + Number(match[4]) * 1000);
      return { key: keys[match[1] as 's' | 'w' | 'e'], sizeBytes: 10, modifiedAt };
    }),
  );
  return inventoryOf(objects.toReversed());
}

function at(seconds: number): number {
  return START + seconds * 1000;
}

/** The plan in the same words. */
function planned(of: Inventory, target: RestoreTarget = {}): string {
  const plan = planRestore(of, target);
  const segments = plan.segments.map(({ index, offsetBytes }) => `w${index}.${offsetBytes}`);
  return [plan.generation === A ? 'A' : 'B', `s${plan.snapshot.index}`, ...segments].join(' ');
}

function refused(of: Inventory, target: RestoreTarget, code: ErrorCode, ...patterns: RegExp[]): void {
  assert.throws(
    () => planRestore(of, target),
    (error) => {
      assert.ok(isRivuletError(error, code), String(error));
      for (const pattern of patterns) assert.match(error.message, pattern);
      return true;
    },
  );
}

const ONE = inventory({ [A]: 's0@0 w0.0@1 w0.100@2 w1.0@3 w1.50@4 s1@4.5 w1.90@5 w2.0@6' });

describe('restore plan', () => {
  it('starts at the newest snapshot for the latest state', () => {
    assert.equal(planned(ONE), 'A s1 w1.0 w1.50 w1.90 w2.0');
    const plan = planRestore(ONE, {});
    assert.equal(plan.objects, 5);
    assert.equal(plan.bytes, 50);
    assert.equal(plan.resultingTimeMs, at(6));
    assert.equal(plan.cutByTime, false);
  });

  it('takes a moment to the millisecond', () => {
    assert.equal(planned(ONE, { timestampMs: at(2) }), 'A s0 w0.0 w0.100');
    assert.equal(planned(ONE, { timestampMs: at(2) - 1 }), 'A s0 w0.0');
    assert.equal(planned(ONE, { timestampMs: at(4) }), 'A s0 w0.0 w0.100 w1.0 w1.50');
    assert.equal(planned(ONE, { timestampMs: at(4.5) }), 'A s1 w1.0 w1.50');
    assert.equal(planned(ONE, { timestampMs: at(0) }), 'A s0');
  });

  it('takes a moment after the last upload as the latest', () => {
    assert.equal(planned(ONE, { timestampMs: at(1e6) }), planned(ONE));
  });

  it('refuses a moment before the first snapshot, with the range', () => {
    const range = /2026-05-01T12:00:00\.000Z to 2026-05-01T12:00:06\.000Z/;
    refused(ONE, { timestampMs: at(-0.001) }, 'TARGET_UNAVAILABLE', range);
  });

  it('takes every segment of an index, and refuses what is not there', () => {
    assert.equal(planned(ONE, { index: 0 }), 'A s0 w0.0 w0.100');
    assert.equal(planned(ONE, { index: 1 }), 'A s1 w1.0 w1.50 w1.90');
    assert.equal(planned(ONE, { index: 2 }), planned(ONE));
    refused(ONE, { index: 3 }, 'TARGET_UNAVAILABLE', /no index 00000003/, /its last, 00000002/);
    refused(ONE, { index: 1, timestampMs: at(1) }, 'USAGE');
    refused(inventory({ [A]: 's4@0 w4.0@1' }), { index: 3 }, 'TARGET_UNAVAILABLE', /from index 00000004/);
  });

  it('says what an empty replica and an unknown generation are', () => {
    refused(inventoryOf([]), {}, 'REPLICA_EMPTY');
    refused(
      ONE,
      { generation: B },
      'TARGET_UNAVAILABLE',
      /no generation 00000000000000bb/,
      /it holds 00000000000000aa/,
    );
  });

  it('chooses the generation that was live', () => {
    const two = inventory({ [B]: 's0@0 w0.0@10', [A]: 's0@20 w0.0@30' });
    assert.equal(planned(two), 'A s0 w0.0');
    assert.equal(planned(two, { generation: B }), 'B s0 w0.0');
    assert.equal(planned(two, { timestampMs: at(15) }), 'B s0 w0.0');
    assert.equal(planned(two, { timestampMs: at(5) }), 'B s0');
    assert.equal(planned(two, { timestampMs: at(20) }), 'A s0');
    refused(two, { generation: A, timestampMs: at(15) }, 'TARGET_UNAVAILABLE', /12:00:20/);
    const turns = inventory({ [B]: 's0@0 w0.0@10 w0.90@40', [A]: 's0@20 w0.0@30' });
    assert.equal(planned(turns), 'B s0 w0.0 w0.90');
    assert.equal(planned(turns, { timestampMs: at(35) }), 'A s0 w0.0');
  });

  it('does not fall back to an older generation when the live one lost its snapshot', () => {
    const lost = inventory({ [B]: 's0@0 w0.0@10', [A]: 'w0.0@30' });
    const message = [
      /generations\/00000000000000aa\/snapshots\/00000000\.snapshot\.lz4 is missing/,
      /-generation 0+bb/,
    ];
    refused(lost, {}, 'CHAIN_BROKEN', ...message);
    refused(lost, { timestampMs: at(40) }, 'CHAIN_BROKEN', ...message);
    assert.equal(planned(lost, { timestampMs: at(20) }), 'B s0 w0.0');
  });

  it('names what is missing and what is left', () => {
    const noFirst = inventory({ [A]: 's0@0 w0.0@1 w1.50@4 w2.0@6' });
    refused(
      noFirst,
      {},
      'CHAIN_BROKEN',
      /wal\/00000001_00000000\.wal\.lz4 is missing/,
      /12:00:01\.000Z \(-generation 0+aa -index 00000000\)/,
    );
    assert.equal(planned(noFirst, { generation: A, index: 0 }), 'A s0 w0.0');
    const noIndex = inventory({ [A]: 's0@0 w0.0@1 w2.0@6' });
    refused(noIndex, {}, 'CHAIN_BROKEN', /00000001_00000000\.wal\.lz4 is missing.*00000002_00000000/);
    refused(noIndex, { index: 1 }, 'CHAIN_BROKEN', /00000001_00000000/);
    const nothing = inventory({ [A]: 'w0.0@1' });
    refused(nothing, {}, 'CHAIN_BROKEN', /nothing else in the replica can be restored/);
  });

  it('lets a gap between two spans be', () => {
    const spans = inventory({ [A]: 's0@0 w0.0@1 w1.0@2 s8@20 w8.0@21 w9.0@22' });
    assert.equal(planned(spans), 'A s8 w8.0 w9.0');
    assert.equal(planned(spans, { timestampMs: at(10) }), 'A s0 w0.0 w1.0');
    assert.equal(planned(spans, { index: 1 }), 'A s0 w0.0 w1.0');
    refused(
      spans,
      { index: 4 },
      'CHAIN_BROKEN',
      /00000002_00000000/,
      /newest restorable point is .*12:00:22/,
    );
  });

  it('does not let one touched object cut a moment short', () => {
    const touched = inventory({ [A]: 's0@0 w0.0@1 w0.100@50 w1.0@3 w1.50@4 w2.0@60' });
    assert.equal(planned(touched, { timestampMs: at(4) }), 'A s0 w0.0 w0.100 w1.0 w1.50');
  });

  it('asks for the promise only where everything is wanted', () => {
    const promised = inventory({ [A]: 's0@0 w0.0@1 w1.0@3 e1.400@4' });
    const key = endKey(A, { index: 1, offsetBytes: 400 });
    assert.equal(planRestore(promised, {}).promise?.key, key);
    assert.equal(planRestore(promised, { index: 1 }).promise?.key, key);
    assert.equal(planRestore(promised, { timestampMs: at(10) }).promise?.key, key);
    assert.equal(planRestore(promised, { timestampMs: at(3) }).promise, undefined);
    assert.equal(planRestore(promised, { timestampMs: at(2) }).promise, undefined);
    assert.equal(planRestore(promised, { index: 0 }).promise, undefined);
  });

  it('takes the next segment as witness, unless the moment is that of the last one', () => {
    const witness = (target: RestoreTarget): string | undefined => planRestore(ONE, target).witness?.key;
    assert.equal(witness({}), undefined);
    assert.equal(witness({ index: 0 }), segmentKey(A, { index: 1, offsetBytes: 0 }));
    assert.equal(witness({ timestampMs: at(1.5) }), segmentKey(A, { index: 0, offsetBytes: 100 }));
    assert.equal(witness({ timestampMs: at(1) }), undefined);
  });

  it('plans a large replica quickly, also when it has to look for a way out', () => {
    const words = Array.from({ length: 100_000 }, (_, i) => `w${i >>> 4}.${(i & 15) * 100}@${i}`);
    words.splice(50_000, 16);
    const large = inventory({ [A]: `s0@0 ${words.join(' ')}` });
    const startedMs = performance.now();
    refused(large, {}, 'CHAIN_BROKEN', /-index 00000c34/);
    assert.ok(performance.now() - startedMs < 5000);
  });
});
