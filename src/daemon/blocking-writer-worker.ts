/** The thread behind `blocking-writer.ts`: waits for bytes, writes them, for as long as the process lives. */
import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { systemCode } from '../base/errors.ts';
import { type BlockingWriterData, SLOT, STATE } from './blocking-writer-data.ts';

/** Somebody else has made the descriptor non-blocking. */
const AGAIN_MS = 5;

function writeAll({ descriptor, numbers, bytes }: BlockingWriterData): void {
  let rest = bytes.slice(0, Atomics.load(numbers, SLOT.length));
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      const code = systemCode(error) ?? 'EIO';
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, AGAIN_MS);
      else if (code !== 'EINTR') {
        const text = Buffer.from(code);
        bytes.set(text);
        Atomics.store(numbers, SLOT.length, text.length);
        finish(numbers, STATE.failed);
        return;
      }
    }
  }
  finish(numbers, STATE.idle);
}

function finish(numbers: Int32Array, state: number): void {
  Atomics.store(numbers, SLOT.state, state);
  Atomics.notify(numbers, SLOT.state);
}

const data = workerData as BlockingWriterData;
Atomics.store(data.numbers, SLOT.isReady, 1);
Atomics.notify(data.numbers, SLOT.isReady);
for (;;) {
  const state = Atomics.load(data.numbers, SLOT.state);
  if (state === STATE.full) writeAll(data);
  else Atomics.wait(data.numbers, SLOT.state, state);
}
