/**
 * Keeps the keys of one source: hands out what is valid, refreshes it before its end, and asks the source once however
 * many callers need it. Everything is started by a caller: while nobody asks for keys, nothing happens.
 */
import { exponentialBackoff } from '../base/backoff.ts';
import type { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { RivuletError, isRivuletError } from '../base/errors.ts';
import { firstOf } from '../base/first-of.ts';
import type { Logger } from '../base/log.ts';
import { orAbort } from '../storage/abandon.ts';
import { type AwsKeySource, type AwsKeys, sameKeys } from '../storage/aws-keys.ts';
import { mayRetry } from '../storage/storage-error.ts';
import { credentialsFailed, whyOf } from './credentials-failed.ts';
import { hide, secretsOf } from './redact.ts';
import { ageOf, attemptSpacingMaxMs } from './refresh-policy.ts';
import type { HeldKeys } from './refresh-policy.ts';
import type { CredentialSource, FetchOptions } from './source.ts';

export interface KeeperTools {
  readonly clock: Clock;
  readonly logger: Logger;
  /** 0 to 1, for the jitter of waits. */
  readonly random?: () => number;
}

/** What logs and status pages may show. */
export interface KeyStatus {
  readonly source: string;
  readonly expiresAtMs: number | undefined;
  readonly fetchedAtMs: number | undefined;
  /** Why the last attempt failed; undefined once one has worked. */
  readonly lastError: string | undefined;
}

/** The longest that a source may take, whatever its own limits are. */
const FETCH_MS_MAX = 90_000;
/** Somebody without keys who has waited for so long is told for what. */
const SLOW_MS = 8_000;
/** Keys of a file that has just changed are waited for so long; the old ones may be refused by now. */
const CHANGED_WAIT_MS = 300;
/** A caller may wait so long for a source that gave keys before; whoever called it tries again with growing waits. */
const PATIENCE_MS = 10_000;
/** A file is looked at so often while a request waits for it to change. */
const LOOK_AGAIN_MS = 200;
/** Keys whose use tells how long keys of this source are in use: one outage among them changes nothing. */
const USES_KEPT = 5;
const OVERDUE_FACTOR = 1.2;
/** So many changes make a habit: one may be that of somebody who mends a mistake. */
const USES_MIN = 3;
const FIRST_RETRY_MS = 250;
const RETRY_MS_MAX = 60_000;
/** A refused key makes the source asked so often at most, and less and less often. */
const REFUSED_FIRST_MS = 1_000;
const REFUSED_MS_MAX = 60_000;
/** The least time between two refreshes ahead of the end, when the source goes on giving the same keys. */
const SAME_KEYS_MS = 1_000;
/** One failure with valid keys at hand is nothing to tell anybody. */
const FAILURES_BEFORE_WARNING = 3;

export class KeyKeeper implements AwsKeySource, AsyncDisposable {
  readonly #source: CredentialSource;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #closing = new AbortController();
  readonly #retry: Backoff;
  readonly #refusals: Backoff;
  #held: HeldKeys | undefined;
  #flight: Promise<void> | undefined;
  /** The wait of all whose keys were refused for a file to change. */
  #vigil: Promise<void> | undefined;
  /** By the monotonic clock: when the present keys came. */
  #inUseSinceMs = 0;
  /** For how long the last few keys were in use until others came. */
  #uses: readonly number[] = [];
  #lastError: RivuletError | undefined;
  #failures = 0;
  #warned = false;
  /** By the monotonic clock: no attempt ahead of the end is made before. */
  #notBeforeMs = 0;
  /** The keys that the service refused last, and when the source may be asked about them again. */
  #refused: { readonly keys: AwsKeys; readonly askAgainAtMs: number } | undefined;

  constructor(source: CredentialSource, tools: KeeperTools) {
    this.#source = source;
    this.#clock = tools.clock;
    this.#logger = tools.logger;
    this.#retry = exponentialBackoff(FIRST_RETRY_MS, RETRY_MS_MAX, tools.random);
    this.#refusals = exponentialBackoff(REFUSED_FIRST_MS, REFUSED_MS_MAX, tools.random);
  }

  get status(): KeyStatus {
    return {
      source: this.#source.describe(),
      expiresAtMs: this.#held?.keys.expiresAtMs,
      fetchedAtMs: this.#held?.fetchedAtMs,
      lastError: this.#lastError?.message,
    };
  }

  async current(signal?: AbortSignal): Promise<AwsKeys> {
    signal?.throwIfAborted();
    this.#assertOpen();
    const held = this.#held;
    const age = held === undefined ? 'expired' : ageOf(held, this.#clock.now());
    if (held === undefined || age === 'expired') return this.#wait(signal);
    if (age === 'ending') return this.#preferNewer(held, signal);
    if (this.#source.changed?.() === true) await this.#takeChange(held, signal);
    else if (age === 'due') this.#refreshAhead();
    return (this.#held ?? held).keys;
  }

  async renew(used: AwsKeys, signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted();
    if (await this.#askAbout(used, signal)) return true;
    if (!this.#isOverdue(used)) return false;
    this.#vigil ??= this.#awaitChange(used).finally(() => {
      this.#vigil = undefined;
    });
    await this.#join(this.#vigil, signal);
    return this.#holdsOther(used);
  }

  /** Asks the source again, as after SIGHUP. What is at hand stays in use meanwhile, and when that fails. */
  async reload(): Promise<void> {
    this.#assertOpen();
    if (this.#flight !== undefined) await this.#join(this.#flight);
    this.#retry.reset();
    this.#refusals.reset();
    this.#refused = undefined;
    this.#notBeforeMs = 0;
    await this.#join(this.#refresh({ reload: true }));
    if (this.#lastError !== undefined) {
      this.#logger.warn(`credentials were not reloaded: ${this.#lastError.message}`);
    }
  }

  async #askAbout(used: AwsKeys, signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#holdsOther(used)) return true;
    // What was under way when the refusal came may have been asked before it; then it is asked once more.
    if (this.#flight !== undefined) {
      await this.#join(this.#flight, signal);
      if (this.#holdsOther(used)) return true;
    }
    if (this.#flight === undefined) {
      if (!this.#mayAskAbout(used)) return false;
      void this.#refresh({ refused: used });
    }
    await this.#join(this.#flight, signal);
    return this.#holdsOther(used);
  }

  /**
   * Whether keys in a file, of which nobody knows when they expire, were refused although others usually come sooner
   * than this: then whoever writes the file is late, and it is no question of permissions.
   */
  #isOverdue(used: AwsKeys): boolean {
    const held = this.#held;
    const usualMs = this.#uses.toSorted((a, b) => a - b)[Math.floor(this.#uses.length / 2)];
    if (held === undefined || this.#source.changed === undefined || usualMs === undefined) return false;
    if (this.#uses.length < USES_MIN) return false;
    if (held.keys.expiresAtMs !== undefined || !sameKeys(held.keys, used)) return false;
    return this.#clock.monotonicMs() - this.#inUseSinceMs > usualMs * OVERDUE_FACTOR;
  }

  async #awaitChange(used: AwsKeys): Promise<void> {
    const giveUpAtMs = this.#clock.monotonicMs() + PATIENCE_MS;
    while (!this.#closing.signal.aborted && this.#clock.monotonicMs() < giveUpAtMs) {
      if (this.#source.changed?.() === true) await this.#refresh({ refused: used });
      if (this.#holdsOther(used)) return;
      await this.#clock.sleep(LOOK_AGAIN_MS, this.#closing.signal).catch(() => undefined);
    }
  }

  /** Stops whatever is under way. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new RivuletError('CANCELLED', 'the credentials are no longer needed'));
    await Promise.all([this.#flight, this.#vigil]);
    await this.#source.close?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * For callers without valid keys: one attempt, which all of them share. Where there were keys before, the source was well and will
   * be again: then a few attempts, so that callers go on the moment it is.
   *
   * @throws the last failure when no keys are valid afterwards
   */
  async #wait(signal?: AbortSignal): Promise<AwsKeys> {
    const giveUpAtMs = this.#clock.monotonicMs() + (this.#held === undefined ? 0 : PATIENCE_MS);
    for (;;) {
      await this.#join(this.#refresh(), signal);
      const held = this.#held;
      if (held !== undefined && ageOf(held, this.#clock.now()) !== 'expired') return held.keys;
      this.#assertOpen();
      // Keys that live for less than it takes to hand them out are no failure of the source.
      const error =
        this.#lastError ?? credentialsFailed(this.#source.describe(), 'they expired as they came');
      if (this.#clock.monotonicMs() >= giveUpAtMs || !mayRetry(error)) throw error;
    }
  }

  async #preferNewer(held: HeldKeys, signal?: AbortSignal): Promise<AwsKeys> {
    if (this.#clock.monotonicMs() >= this.#notBeforeMs) await this.#join(this.#refresh(), signal);
    const newest = this.#held ?? held;
    return ageOf(newest, this.#clock.now()) === 'expired' ? this.#wait(signal) : newest.keys;
  }

  async #takeChange(held: HeldKeys, signal?: AbortSignal): Promise<void> {
    if (this.#flight === undefined && this.#clock.monotonicMs() < this.#notBeforeMs) return;
    const flight = this.#refresh();
    if (held.keys.expiresAtMs !== undefined) return;
    const enough = new AbortController();
    const longest = this.#clock.sleep(CHANGED_WAIT_MS, enough.signal).catch(() => undefined);
    try {
      await Promise.race([this.#join(flight, signal), longest]);
    } finally {
      enough.abort();
    }
  }

  #refreshAhead(): void {
    if (this.#flight === undefined && this.#clock.monotonicMs() >= this.#notBeforeMs) void this.#refresh();
  }

  /** The one attempt under way, begun if there is none. Never rejects: the outcome is in `#held` and `#lastError`. */
  async #refresh(options: FetchOptions = {}): Promise<void> {
    this.#flight ??= this.#attempt(options).finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  async #attempt(options: FetchOptions): Promise<void> {
    try {
      await this.#spaceOut();
      const keys = await this.#fetch(options);
      this.#accept(keys);
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#failed(error);
    }
  }

  /** Attempts follow each other at growing distances, also when every request asks for keys. */
  async #spaceOut(): Promise<void> {
    const waitMs = this.#notBeforeMs - this.#clock.monotonicMs();
    const longestMs = attemptSpacingMaxMs(this.#held, this.#clock.now());
    if (waitMs > 0 && this.#failures > 0) {
      await this.#clock.sleep(Math.min(waitMs, longestMs), this.#closing.signal);
    }
  }

  async #fetch(options: FetchOptions): Promise<AwsKeys> {
    const limit = new AbortController();
    let outcome: { keys: AwsKeys } | { error: unknown } | undefined;
    await firstOf(this.#closing.signal, (enough) => [
      this.#source.fetch(AbortSignal.any([enough, limit.signal]), options).then(
        (keys) => (outcome = { keys }),
        (error: unknown) => (outcome = { error }),
      ),
      this.#clock.sleep(FETCH_MS_MAX, enough).then(() => limit.abort()),
      // Telling ends nothing: it stands for a wait that never comes first.
      this.#tellWhenSlow(enough).then(async () => this.#clock.sleep(FETCH_MS_MAX, enough)),
    ]);
    this.#closing.signal.throwIfAborted();
    if (outcome !== undefined && 'keys' in outcome) return outcome.keys;
    if (limit.signal.aborted || outcome === undefined) {
      throw credentialsFailed(this.#source.describe(), `no answer within ${FETCH_MS_MAX / 1_000} s`);
    }
    throw outcome.error;
  }

  /** Says whom it is that callers without keys wait for. @param enough - aborts when the source has answered */
  async #tellWhenSlow(enough: AbortSignal): Promise<void> {
    await this.#clock.sleep(SLOW_MS, enough);
    const held = this.#held;
    if (held !== undefined && ageOf(held, this.#clock.now()) !== 'expired') return;
    const fields = { source: this.#source.describe(), waitedMs: SLOW_MS };
    this.#logger.warn('waiting for credentials: their source does not answer', fields);
  }

  #accept(keys: AwsKeys): void {
    const nowMs = this.#clock.now();
    this.#assertUsable(keys, nowMs);
    const before = this.#held;
    const recovered = this.#warned;
    const same = before !== undefined && sameKeys(before.keys, keys);
    this.#held = { keys, fetchedAtMs: nowMs };
    this.#failures = 0;
    this.#warned = false;
    this.#lastError = undefined;
    this.#retry.reset();
    this.#notBeforeMs = same ? this.#clock.monotonicMs() + SAME_KEYS_MS : 0;
    if (!same) {
      this.#refusals.reset();
      this.#noteRotation(before !== undefined);
    }
    this.#tellOf(keys, before, same, recovered);
  }

  #noteRotation(isRotation: boolean): void {
    const nowMs = this.#clock.monotonicMs();
    if (isRotation) this.#uses = [...this.#uses, nowMs - this.#inUseSinceMs].slice(-USES_KEPT);
    this.#inUseSinceMs = nowMs;
  }

  #assertUsable(keys: AwsKeys, nowMs: number): void {
    if (keys.accessKeyId === '' || keys.secretAccessKey === '') {
      throw credentialsFailed(this.#source.describe(), 'the key or its secret is empty');
    }
    if (keys.expiresAtMs === undefined || keys.expiresAtMs > nowMs) return;
    const agoS = Math.round((nowMs - keys.expiresAtMs) / 1_000);
    throw credentialsFailed(this.#source.describe(), `it gave keys that expired ${agoS} s ago`, {
      hint: 'If the source is right, the clock of this machine is wrong: check its date and time.',
    });
  }

  #tellOf(keys: AwsKeys, before: HeldKeys | undefined, same: boolean, recovered: boolean): void {
    const fields = { source: this.#source.describe(), ...this.#expiryFields(keys) };
    if (before === undefined) this.#logger.info('credentials are at hand', fields);
    else if (recovered) this.#logger.info('credentials are at hand again', fields);
    else if (!same) this.#logger.debug('credentials rotated', fields);
  }

  #expiryFields(keys: AwsKeys): Record<string, unknown> {
    if (keys.expiresAtMs === undefined) return {};
    const leftS = Math.round((keys.expiresAtMs - this.#clock.now()) / 1_000);
    return { expiresInSeconds: leftS, expiresAt: new Date(keys.expiresAtMs).toISOString() };
  }

  #failed(error: unknown): void {
    const failure = this.#asFailure(error);
    const nowMs = this.#clock.now();
    this.#failures++;
    this.#lastError = failure;
    const waitMs = Math.min(this.#retry.next(), attemptSpacingMaxMs(this.#held, nowMs));
    this.#notBeforeMs = this.#clock.monotonicMs() + waitMs;
    const held = this.#held;
    if (held === undefined || ageOf(held, nowMs) === 'expired') return;
    this.#tellOfFailure(failure, held);
  }

  /** With valid keys at hand nobody is told by an error that is thrown, so the log says it: once for each outage. */
  #tellOfFailure(failure: RivuletError, held: HeldKeys): void {
    const fields = { source: this.#source.describe(), ...this.#expiryFields(held.keys) };
    if (this.#failures !== FAILURES_BEFORE_WARNING) {
      this.#logger.debug(`credentials were not refreshed: ${failure.message}`, fields);
      return;
    }
    this.#warned = true;
    this.#logger.warn(
      `credentials cannot be refreshed; those at hand stay in use, trying again: ${failure.message}`,
      fields,
    );
  }

  #asFailure(error: unknown): RivuletError {
    const secrets = secretsOf(this.#held?.keys);
    if (isRivuletError(error, 'CREDENTIALS_FAILED') && hide(error.message, secrets) === error.message)
      return error;
    // The cause is left out: nobody knows what a foreign error carries.
    return credentialsFailed(this.#source.describe(), hide(whyOf(error), secrets));
  }

  #holdsOther(used: AwsKeys): boolean {
    const held = this.#held;
    return held !== undefined && !sameKeys(held.keys, used) && ageOf(held, this.#clock.now()) !== 'expired';
  }

  /** Whether the source may be asked about keys that were refused; notes that it is. */
  #mayAskAbout(used: AwsKeys): boolean {
    const nowMs = this.#clock.monotonicMs();
    const last = this.#refused;
    const tooSoon = last !== undefined && sameKeys(last.keys, used) && nowMs < last.askAgainAtMs;
    // A file that has changed is looked at all the same: that costs nobody anything.
    if (tooSoon && this.#source.changed?.() !== true) return false;
    this.#refused = { keys: used, askAgainAtMs: nowMs + this.#refusals.next() };
    return true;
  }

  /** Waits for an attempt, until the caller's own signal aborts; the attempt itself goes on for others. */
  async #join(flight: Promise<void> | undefined, signal?: AbortSignal): Promise<void> {
    if (flight !== undefined) await orAbort(flight, signal);
  }

  #assertOpen(): void {
    this.#closing.signal.throwIfAborted();
  }
}
