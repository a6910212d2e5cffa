/** Waiting for what must come, however slow the machine is; whoever is fast does not wait longer because of it. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

/** What has not come by then does not come. Far more than anything takes, less than a test may. */
export const PATIENCE_MS: number = 100_000;
const LOOK_MS = 5;

/**
 * Resolves when `isSo` does, else fails with `what`.
 * @param more - tells more of the failure
 */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  more: () => string = () => '',
): Promise<void> {
  const giveUpAtMs = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    assert.ok(performance.now() < giveUpAtMs, `waited in vain: ${what} ${more()}`);
    await delay(LOOK_MS);
  }
}

/**
 * Resolves when nothing was counted for `quietMs`. Fails when that never happens: what shall be quiet stirs again and again.
 * @param count - of what must not happen, so far
 */
export async function untilQuiet(what: string, count: () => number, quietMs: number): Promise<void> {
  const giveUpAtMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const before = count();
    await delay(quietMs);
    if (count() === before) return;
    assert.ok(performance.now() < giveUpAtMs, `never quiet: ${what}`);
  }
}
