/** Reads files that somebody else rewrites, without ever seeing them half written. */
import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

import type { Clock } from '../base/clock.ts';
import { systemCode } from '../base/errors.ts';

/** A file that was not touched for so long is whole: a program writes a few lines within a millisecond. */
const STILL_MS = 100;
/** The same for a file that does not end with a line feed, as one that was cut off in the middle of a value. */
const STILL_WITHOUT_END_MS = 1_000;
const LOOK_AGAIN_MS = 25;
const GIVE_UP_MS = 5_000;
/** Keys and tokens are small; something larger is another file. */
const SIZE_BYTES_MAX = 1024 * 1024;

/** Says which content a path has without reading it: the same text means the same content. */
export function identityOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
  } catch (error) {
    return systemCode(error) ?? 'unknown';
  }
}

export interface StillFiles {
  /** In the order of the paths; undefined for a file that is not there. */
  readonly texts: readonly (string | undefined)[];
  /** Compare with `identitiesOf` of the same paths to see a change. */
  readonly identity: string;
}

export function identitiesOf(paths: readonly string[]): string {
  return paths.map(identityOf).join(' ');
}

/**
 * Reads all the files once none of them is being written: a file that took another's place by a rename is seen at once
 * when it is older than a moment, one that is written in place when it has been left alone for a moment. All were
 * unchanged from before the first was read until after the last was.
 *
 * @param options.restMs - for how long they must have been left alone, when a moment is not enough
 * @throws Error in one clause when they do not come to rest or cannot be read, or the signal's reason
 */
export async function readStill(
  paths: readonly string[],
  clock: Clock,
  { signal, restMs: moreRestMs = 0 }: { readonly signal?: AbortSignal; readonly restMs?: number } = {},
): Promise<StillFiles> {
  const startedMs = clock.monotonicMs();
  let seen = '';
  let seenAtMs = 0;
  for (;;) {
    signal?.throwIfAborted();
    const identity = identitiesOf(paths);
    if (identity !== seen) {
      seen = identity;
      seenAtMs = clock.monotonicMs();
    }
    const texts = await Promise.all(paths.map(readText));
    const restMs = Math.max(clock.monotonicMs() - seenAtMs, ageOfNewestMs(paths, clock));
    if (restMs >= Math.max(moreRestMs, restNeededMs(texts)) && identitiesOf(paths) === identity)
      return { texts, identity };
    if (clock.monotonicMs() - startedMs > GIVE_UP_MS) throw new Error('it is written again and again');
    await clock.sleep(LOOK_AGAIN_MS, signal);
  }
}

function restNeededMs(texts: readonly (string | undefined)[]): number {
  const whole = texts.every((text) => text === undefined || text.endsWith('\n'));
  return whole ? STILL_MS : STILL_WITHOUT_END_MS;
}

/** How long ago the newest of them was written; less than nothing when a clock jumped. */
function ageOfNewestMs(paths: readonly string[], clock: Clock): number {
  const times = paths.map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return clock.now() - Math.max(...times);
}

async function readText(path: string): Promise<string | undefined> {
  try {
    const bytes = await readFile(path);
    if (bytes.length > SIZE_BYTES_MAX)
      throw new Error(`${path} is ${bytes.length} bytes long, too long to be it`);
    return bytes.toString('utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
