/** Waits for what the running Rivulet says of itself. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Health, type Place, readHealth } from './rivulet.ts';

const STEP_MS = 30;
/** Healthy and without lag for this long, when nobody writes, means that everything was seen and stored. */
const QUIET_MS = 400;

/** @throws Error that says `what` never came */
export async function untilHealth(
  place: Place,
  what: string,
  isSo: (health: Health) => boolean,
  options: { timeoutMs?: number; forMs?: number } = {},
): Promise<void> {
  const { timeoutMs = 100_000, forMs = 0 } = options;
  const deadlineMs = performance.now() + timeoutMs;
  let sinceMs: number | undefined;
  for (;;) {
    const health = await readHealth(place);
    if (health === undefined || !isSo(health)) sinceMs = undefined;
    else sinceMs ??= performance.now();
    if (sinceMs !== undefined && performance.now() - sinceMs >= forMs) return;
    if (performance.now() > deadlineMs) {
      throw new Error(`${what} did not come within ${timeoutMs} ms; health: ${JSON.stringify(health)}`);
    }
    await sleep(STEP_MS);
  }
}

export async function untilServing(place: Place): Promise<void> {
  await untilHealth(place, 'an answer from rivulet', () => true);
}

/** Everything stored, at one destination or at all. Nobody may write meanwhile. */
export async function untilQuiet(place: Place, replica?: string): Promise<void> {
  const isQuiet = ({ databases }: Health): boolean =>
    databases.every(
      ({ state, replicas }) =>
        state === 'following' &&
        replicas
          .filter(({ name }) => replica === undefined || name === replica)
          .every((one) => one.state === 'streaming' && one.lagBytes === 0),
    );
  await untilHealth(place, 'the word that everything is stored', isQuiet, { forMs: QUIET_MS });
}

export async function untilFailing(place: Place, replica: string): Promise<void> {
  await untilHealth(place, `a failure of ${replica}`, ({ databases }) =>
    databases.some(({ replicas }) =>
      replicas.some(({ name, state }) => name === replica && state === 'failing'),
    ),
  );
}
