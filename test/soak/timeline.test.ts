import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Holdings, Timeline } from './timeline.ts';

suite('what was committed and stored when', () => {
  test('a transaction was not there at the last look that did not see it', () => {
    const timeline = new Timeline();
    for (const [beganMs, seq] of [
      [100, 1],
      [200, 1],
      [300, 4],
      [400, 4],
    ] as const)
      timeline.saw({ beganMs, endedMs: beganMs + 5, seq });
    assert.equal(timeline.notCommittedAtMs(1), Number.NEGATIVE_INFINITY);
    assert.equal(timeline.notCommittedAtMs(2), 200);
    assert.equal(timeline.notCommittedAtMs(4), 200);
    assert.equal(timeline.notCommittedAtMs(5), 400);
    assert.equal(timeline.lastSeq, 4);
  });

  test('what was restored once may not be missing later', () => {
    const holdings = new Holdings();
    holdings.saw(100, 7);
    holdings.saw(200, 9);
    assert.deepEqual(
      [99, 100, 150, 200].map((at) => holdings.leastAt(at)),
      [0, 7, 7, 9],
    );
  });
});
