const cell = new Int32Array(new SharedArrayBuffer(4));

/** Stops this thread for `ms` milliseconds: for the few places where nothing of this process may come in between. */
export function standStill(ms: number): void {
  Atomics.wait(cell, 0, 0, ms);
}
