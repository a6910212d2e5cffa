/** Which start of the machine this is: only while it stays the same has no unsynced write been lost to a power cut. */
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';

const LINUX_BOOT_ID = '/proc/sys/kernel/random/boot_id';
/** The moment of the start is computed from two clocks that drift apart; a start takes longer than that. */
const GRAIN_MS = 10_000;

let known: string | undefined;

/** Changes with each start of the machine; elsewhere than on Linux now and then without one, too. */
export function bootId(): string {
  known ??= readBootId();
  return known;
}

function readBootId(): string {
  try {
    return readFileSync(LINUX_BOOT_ID, 'utf8').trim();
  } catch {
    return `started ${Math.round((Date.now() - uptime() * 1000) / GRAIN_MS)}`;
  }
}
