import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';

import { watchSignals } from '../../src/cli/signals.ts';

class FakeProcess extends EventEmitter {
  pid = 4_711;
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

test('a stretch without handlers leaves signals to the system, and ends', () => {
  const source = new FakeProcess();
  using watch = watchSignals(source);
  {
    using _unhandled = watch.unhandled();
    assert.deepEqual(source.eventNames(), []);
  }
  source.emit('SIGTERM', 'SIGTERM');
  assert.equal(watch.received, 'SIGTERM');
  {
    // Who asked for a graceful end already gets one, and a second signal still forces it.
    using _unhandled = watch.unhandled();
    source.emit('SIGTERM', 'SIGTERM');
  }
  assert.deepEqual(source.exits, [143]);
});

test('PID 1 keeps its handlers: the kernel would drop the signals', () => {
  const source = new FakeProcess();
  source.pid = 1;
  using watch = watchSignals(source);
  using _unhandled = watch.unhandled();
  source.emit('SIGTERM', 'SIGTERM');
  assert.equal(watch.graceful.aborted, true);
});

test('after disposal no listener remains', () => {
  const source = new FakeProcess();
  watchSignals(source)[Symbol.dispose]();
  assert.deepEqual(source.eventNames(), []);
});

test('SIGHUP asks to reload where somebody waits for it, until an end was asked for', () => {
  const source = new FakeProcess();
  using watch = watchSignals(source, { hasTerminal: () => true, platform: 'linux' });
  let reloads = 0;
  watch.onReload(() => {
    reloads += 1;
  });
  source.emit('SIGHUP', 'SIGHUP');
  source.emit('SIGHUP', 'SIGHUP');
  assert.deepEqual([reloads, watch.graceful.aborted, watch.received], [2, false, undefined]);
  source.emit('SIGTERM', 'SIGTERM');
  assert.ok(watch.graceful.aborted);
  source.emit('SIGHUP', 'SIGHUP');
  assert.deepEqual([reloads, source.exits], [2, [129]]);
});

test('without a listener, without the terminal, and on Windows, SIGHUP asks for an end', () => {
  for (const [options, listens] of [
    [{ hasTerminal: () => true, platform: 'linux' }, false],
    [{ hasTerminal: () => false, platform: 'linux' }, true],
    [{ hasTerminal: () => true, platform: 'win32' }, true],
  ] as const) {
    const source = new FakeProcess();
    using watch = watchSignals(source, options);
    if (listens) watch.onReload(() => assert.fail('reloaded'));
    source.emit('SIGHUP', 'SIGHUP');
    assert.equal(watch.received, 'SIGHUP');
  }
});
