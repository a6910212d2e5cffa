import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { suite, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { abortAlong } from '../../src/base/abort-along.ts';

/** A collection, and the turn of the event loop in which what was collected is let go of. */
async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let round = 0; round < 3; round++) {
    collect();
    await turn();
  }
}

suite('abortAlong', () => {
  test('aborts for the same reason, now or later', () => {
    const why = new Error('enough');
    for (const isEarly of [true, false]) {
      const [parent, child] = [new AbortController(), new AbortController()];
      if (isEarly) parent.abort(why);
      abortAlong(parent.signal, child);
      parent.abort(why);
      assert.equal(child.signal.reason, why);
    }
  });

  test('leaves the other controllers alone when one has aborted', () => {
    const [parent, one, other] = [new AbortController(), new AbortController(), new AbortController()];
    for (const child of [one, other]) abortAlong(parent.signal, child);
    one.abort();
    assert.deepEqual([parent.signal.aborted, other.signal.aborted], [false, false]);
    parent.abort();
    assert.ok(other.signal.aborted);
  });

  test('a signal that lives long keeps nothing of what has ended, collections or not', async () => {
    const parent = new AbortController();
    const children = Array.from({ length: 5 }, () => new AbortController());
    for (const child of children) abortAlong(parent.signal, child);
    assert.equal(getEventListeners(parent.signal, 'abort').length, 5);
    await collectGarbage();
    for (const child of children) child.abort();
    assert.equal(getEventListeners(parent.signal, 'abort').length, 0);
  });
});
