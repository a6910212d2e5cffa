/** Any interleaving of rotations, refusals, failures and callers, with a clock that is moved by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { isRivuletError } from '../../src/base/errors.ts';
import { credentialsFailed } from '../../src/credentials/credentials-failed.ts';
import { KeyKeeper } from '../../src/credentials/keeper.ts';
import type { CredentialSource } from '../../src/credentials/source.ts';
import type { AwsKeys } from '../../src/storage/aws-keys.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { belongTogether, keysNumber, settle } from './support.ts';

type Step =
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'rotate' }
  | { readonly kind: 'break'; readonly broken: boolean }
  | { readonly kind: 'revoke' }
  | { readonly kind: 'use' }
  | { readonly kind: 'abandon' }
  | { readonly kind: 'reload' };

const STEPS: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('use' as const) }) },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 8_000 }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('rotate' as const) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('break' as const), broken: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('revoke' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('abandon' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('reload' as const) }) },
  ),
  { maxLength: 40 },
);

/** A service that gives keys, and another that checks them, as one world. */
class World {
  readonly clock = new FakeClock();
  readonly lifeMs: number | undefined;
  /** Whether the source notices by itself that there are other keys, as a file does. */
  readonly tellsChanges: boolean;
  #generation = 1;
  #issuedAtMs: number;
  #readGeneration = 0;
  #revokedUpTo = 0;
  broken = false;
  fetches = 0;
  under = 0;

  constructor(lifeMs: number | undefined, tellsChanges: boolean) {
    this.lifeMs = lifeMs;
    this.tellsChanges = tellsChanges;
    this.#issuedAtMs = this.clock.now();
  }

  rotate(): void {
    this.#generation++;
    this.#issuedAtMs = this.clock.now();
  }

  /** The service takes back every key of now; the source has others. */
  revoke(): void {
    this.#revokedUpTo = this.#generation;
    this.rotate();
  }

  /** What the service says of a request. */
  takes(keys: AwsKeys): boolean {
    const number = Number(/\d+$/.exec(keys.accessKeyId)?.[0]);
    const isExpired = keys.expiresAtMs !== undefined && keys.expiresAtMs <= this.clock.now();
    return belongTogether(keys) && number > this.#revokedUpTo && !isExpired;
  }

  get source(): CredentialSource {
    return {
      describe: () => 'the world',
      ...(this.tellsChanges ? { changed: () => this.#readGeneration !== this.#generation } : {}),
      fetch: async (signal) => this.#fetch(signal),
    };
  }

  async #fetch(signal: AbortSignal): Promise<AwsKeys> {
    this.fetches++;
    assert.equal(++this.under, 1, 'one question at a time');
    try {
      await this.clock.sleep(1 + (this.fetches % 40), signal);
      if (this.broken) throw credentialsFailed('the world', 'it is away');
      // A source whose keys would be over gives new ones.
      if (this.lifeMs !== undefined && this.#issuedAtMs + this.lifeMs <= this.clock.now()) this.rotate();
      this.#readGeneration = this.#generation;
      return keysNumber(
        this.#generation,
        this.lifeMs === undefined ? undefined : this.#issuedAtMs + this.lifeMs,
      );
    } finally {
      this.under--;
    }
  }
}

/** One request: signs, and once more with other keys when it was refused. */
async function request(world: World, keeper: KeyKeeper, signal?: AbortSignal): Promise<boolean> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const keys = await keeper.current(signal);
    assert.ok(belongTogether(keys), 'a mixed pair');
    if (keys.expiresAtMs !== undefined) assert.ok(keys.expiresAtMs > world.clock.now(), 'expired keys');
    if (world.takes(keys)) return true;
    if (!(await keeper.renew(keys, signal))) return false;
  }
  return false;
}

/** Lets time pass in small pieces until `work` is done. */
async function finish<T>(world: World, work: Promise<T>): Promise<T> {
  const state = { done: false };
  const watched = work.finally(() => (state.done = true));
  watched.catch(() => undefined);
  for (let round = 0; !state.done && round < 4_000; round++) {
    await settle();
    if (!state.done) world.clock.advance(10);
  }
  assert.ok(state.done, 'somebody waits for ever');
  return watched;
}

async function play(
  world: World,
  steps: readonly Step[],
  seen: Promise<unknown>[],
  keeper: KeyKeeper,
): Promise<void> {
  for (const step of steps) {
    if (step.kind === 'wait') {
      for (let leftMs = step.ms; leftMs > 0; leftMs -= 50) {
        world.clock.advance(Math.min(50, leftMs));
        if (leftMs % 500 < 50) await settle();
      }
    } else if (step.kind === 'rotate') world.rotate();
    else if (step.kind === 'revoke') world.revoke();
    else if (step.kind === 'break') world.broken = step.broken;
    else if (step.kind === 'reload') seen.push(keeper.reload());
    else seen.push(begin(world, keeper, step.kind === 'abandon'));
    await settle();
  }
}

/** A request whose only allowed failure is that there were no credentials, or that its caller went away. */
async function begin(world: World, keeper: KeyKeeper, abandon: boolean): Promise<void> {
  const cancel = new AbortController();
  const done = request(world, keeper, cancel.signal);
  if (abandon) cancel.abort(new Error('gone'));
  try {
    await done;
  } catch (error) {
    if (abandon && error === cancel.signal.reason) return;
    assert.ok(isRivuletError(error, 'CREDENTIALS_FAILED'), String(error));
  }
}

test('no schedule hands out a mixed pair or expired keys, waits for ever, or gives up while the source is well', async () => {
  await fc.assert(
    fc.asyncProperty(
      STEPS,
      fc.constantFrom(undefined, 5_000, 60_000, 900_000),
      fc.boolean(),
      async (steps, lifeMs, tellsChanges) => {
        const world = new World(lifeMs, tellsChanges);
        const logger = new RecordingLogger();
        const keeper = new KeyKeeper(world.source, { clock: world.clock, logger, random: () => 0.5 });
        const seen: Promise<unknown>[] = [];
        await play(world, steps, seen, keeper);
        world.broken = false;
        await finish(world, Promise.all(seen));
        // The source is well again: within a minute and a half, the longest spacing, a request goes through.
        let isWell = false;
        for (let tries = 0; !isWell && tries < 90; tries++) {
          isWell = await finish(world, request(world, keeper));
          if (!isWell) world.clock.advance(1_000);
        }
        assert.ok(isWell, 'given up');
        const before = world.fetches;
        world.clock.advance(3_600_000);
        await settle();
        assert.ok(world.fetches <= before + 1, 'it asks although nobody needs keys');
        await keeper.close();
        assert.equal(world.clock.sleeping, 0);
        const text = JSON.stringify([logger.lines, keeper.status]);
        assert.doesNotMatch(text, /the-secret-part|the-token-part/);
      },
    ),
    { numRuns: 400 },
  );
});
