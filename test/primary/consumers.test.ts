import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Consumers } from '../../src/primary/consumers.ts';

const at = (index: number, offsetBytes = 0) => ({ index, offsetBytes });

test('a copy that is being made keeps the log as a destination does, and is none', () => {
  const consumers = new Consumers();
  const copy = Symbol('copy');
  consumers.confirm('one', at(3, 100), 0);
  consumers.confirm(copy, at(2), 0);
  assert.deepEqual(consumers.slowest(), at(2));
  assert.deepEqual(consumers.slowestNames(), [copy]);
  assert.deepEqual([...consumers.positions], [['one', at(3, 100)]]);
  assert.equal(consumers.isSlowestWell(59_000), true);
  assert.equal(consumers.isSlowestWell(61_000), false, 'a copy that hangs is not waited for');
  consumers.confirm('one', at(3, 200), 60_000);
  assert.equal(consumers.isMoving(61_000), true, 'whether destinations get on has nothing to do with a copy');
  consumers.drop(copy);
  assert.deepEqual(consumers.slowestNames(), ['one']);
});
