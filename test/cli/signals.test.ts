import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';

import { watchSignals } from '../../src/cli/signals.ts';

class FakeProcess extends EventEmitter {
  readonly exits: number[] = [];
  exit(code: number): void {
    this.exits.push(code);
  }
}

test('the first signal aborts, the second of any kind forces an exit with its own code', () => {
  const source = new FakeProcess();
  const order: string[] = [];
  using watch = watchSignals(source);
  watch.onForce((signal) => order.push(`force ${signal}, exits ${source.exits.length}`));
  assert.equal(watch.received, undefined);

  source.emit('SIGTERM', 'SIGTERM');
  assert.equal(watch.graceful.aborted, true);
  assert.match(String(watch.graceful.reason), /stopped by SIGTERM/);
  assert.equal(watch.received, 'SIGTERM');
  assert.deepEqual([order, source.exits], [[], []]);

  source.emit('SIGINT', 'SIGINT');
  assert.deepEqual(order, ['force SIGINT, exits 0']);
  assert.deepEqual(source.exits, [130]);
  assert.equal(watch.received, 'SIGTERM');
});

test('after disposal no listener remains', () => {
  const source = new FakeProcess();
  watchSignals(source)[Symbol.dispose]();
  assert.deepEqual(source.eventNames(), []);
});
