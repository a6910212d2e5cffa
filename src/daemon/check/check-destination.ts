/**
 * Does a destination allow what replication, restore and retention need? Found out by doing it, with an object of our
 * own in a folder of our own that is removed again; nothing else is touched.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { formatDuration } from '../../base/duration.ts';
import { isRivuletError } from '../../base/errors.ts';
import { GENERATIONS_PREFIX } from '../../generations/names.ts';
import { lookForOther, type OtherContents } from '../../generations/other-contents.ts';
import { saysUnknownCondition } from '../../replica/lease/lease-errors.ts';
import type { ObjectInfo, ObjectStore } from '../../storage/object-store.ts';
import { openRegister } from '../../storage/open-register.ts';
import type { Register } from '../../storage/register.ts';
import { failureOf, type Finding, type Outcome } from './finding.ts';
import { STEP_MS, withinTime } from './within-time.ts';

/** From here on the times of a listing are no guide to what "an hour ago" means. */
const SKEW_WARNING_MS = 5_000;
/** S3 refuses signatures that are further off, and the lease is not safe. */
const SKEW_FAILURE_MS = 5 * 60_000;
const CONTENT_BYTES = 64;

export interface DestinationCheck {
  readonly store: ObjectStore;
  readonly subject: string;
  readonly clock: Clock;
  /** Whether what was written can be read here: not with recipients alone. */
  readonly readable: boolean;
  readonly signal: AbortSignal;
}

export async function* checkDestination(check: DestinationCheck): AsyncGenerator<Finding, void, undefined> {
  const probe = new Probe(check);
  try {
    yield* inTurn(check, [
      ['list', async (signal) => probe.list(signal)],
      ['missing object', async (signal) => probe.readMissing(signal)],
      ['write', async (signal) => probe.write(signal)],
      ['read', async (signal) => probe.read(signal)],
      ['conditional write', async (signal) => probe.conditionalWrite(signal)],
      ['clock', async (signal) => probe.clock(signal)],
      ['delete', async (signal) => probe.remove(signal)],
    ]);
  } finally {
    await probe.cleanUp();
  }
}

async function* inTurn(
  { subject, clock, signal }: DestinationCheck,
  steps: readonly (readonly [string, (signal: AbortSignal) => Promise<Outcome>])[],
): AsyncGenerator<Finding, void, undefined> {
  for (const [step, run] of steps) {
    signal.throwIfAborted();
    const startedMs = clock.monotonicMs();
    const outcome = await withinTime(run, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      return failureOf(error);
    });
    yield { subject, step, ...outcome, elapsedMs: Math.round(clock.monotonicMs() - startedMs) };
  }
}

/** The object that is written, read and removed. */
class Probe {
  readonly #check: DestinationCheck;
  readonly #folder = `rivulet-check-${randomBytes(8).toString('hex')}/`;
  readonly #key = `${this.#folder}probe`;
  readonly #content = randomBytes(CONTENT_BYTES);
  /** What has to be removed in the end. */
  #written: string[] = [];

  constructor(check: DestinationCheck) {
    this.#check = check;
  }

  async list(signal: AbortSignal): Promise<Outcome> {
    const { length } = await this.#check.store.listFolders(GENERATIONS_PREFIX, { signal });
    if (length > 0) return { verdict: 'ok', detail: `${length} generation${length === 1 ? '' : 's'} there` };
    const other = await this.#other(signal);
    if (other === undefined) return { verdict: 'ok', detail: 'no replica there yet' };
    return { verdict: 'warning', detail: other.message, hint: other.hint };
  }

  /** What is there instead of a replica; a place that cannot be looked at keeps nothing from being replicated. */
  async #other(signal: AbortSignal): Promise<OtherContents | undefined> {
    try {
      const other = await lookForOther(this.#check.store, { signal });
      return other?.kind === 'lease' ? undefined : other;
    } catch (error) {
      if (signal.aborted || !isRivuletError(error)) throw error;
      return undefined;
    }
  }

  /** Replication begins with the lease, which may not be there: what is missing must not look forbidden. */
  async readMissing(signal: AbortSignal): Promise<Outcome> {
    const { store, readable } = this.#check;
    await openRegister(store)?.read({ signal });
    const key = `${this.#folder}missing`;
    try {
      if (readable) await store.readBytes(key, { signal });
    } catch (error) {
      if (!isRivuletError(error, 'STORAGE_NOT_FOUND')) throw error;
      return { verdict: 'ok', detail: 'what is not there is known to be missing' };
    }
    if (!readable) return { verdict: 'ok', detail: 'the lease can be looked for' };
    return { verdict: 'failed', detail: `something answers for ${key}, which nobody has written` };
  }

  async write(signal: AbortSignal): Promise<Outcome> {
    await this.#check.store.write(this.#key, this.#content, { signal });
    this.#written.push(this.#key);
    return { verdict: 'ok', detail: 'an object was stored' };
  }

  async read(signal: AbortSignal): Promise<Outcome> {
    if (!this.#isThere) return NOTHING_WRITTEN;
    if (!this.#check.readable) {
      const detail = 'only recipients are given: what is stored cannot be read here';
      return { verdict: 'skipped', detail, hint: 'Try a restore where the age identities are.' };
    }
    const got = await this.#check.store.readBytes(this.#key, { signal });
    if (this.#content.equals(got)) return { verdict: 'ok', detail: 'it came back unchanged' };
    return {
      verdict: 'failed',
      detail: `it came back changed: ${got.length} bytes, expected ${CONTENT_BYTES}`,
    };
  }

  async conditionalWrite(signal: AbortSignal): Promise<Outcome> {
    if (!this.#isThere) return NOTHING_WRITTEN;
    const register = openRegister(this.#check.store, this.#folder);
    if (register === undefined) return NO_CONDITIONS;
    try {
      return (await isHonoured(register, signal)) ? CONDITIONS_WORK : CONDITIONS_IGNORED;
    } catch (error) {
      if (saysUnknownCondition(error)) return NO_CONDITIONS;
      throw error;
    } finally {
      await register.clear({ signal: AbortSignal.timeout(STEP_MS) }).catch(() => undefined);
    }
  }

  async clock(signal: AbortSignal): Promise<Outcome> {
    if (!this.#isThere) return NOTHING_WRITTEN;
    const { store, clock } = this.#check;
    // A fresh object, so that its age is no longer than one request.
    const key = `${this.#folder}clock`;
    const beforeMs = clock.now();
    await store.write(key, this.#content, { signal });
    this.#written.push(key);
    const afterMs = clock.now();
    const found = await firstOf(store.list(this.#folder, { signal }), (info) => info.key === key);
    if (found === undefined) {
      const detail = 'an object that was just written is not in the listing';
      return {
        verdict: 'failed',
        detail,
        hint: 'A store whose listings lag behind cannot be trusted to restore.',
      };
    }
    return skewOutcome(found.modifiedAt.getTime(), beforeMs, afterMs);
  }

  async remove(signal: AbortSignal): Promise<Outcome> {
    if (!this.#isThere) return NOTHING_WRITTEN;
    const { store } = this.#check;
    await store.remove(this.#written, { signal });
    const left = await firstOf(store.list(this.#folder, { signal }), () => true);
    if (left !== undefined) return { verdict: 'failed', detail: `the object is still there: ${left.key}` };
    this.#written = [];
    return { verdict: 'ok', detail: 'it is gone again' };
  }

  get #isThere(): boolean {
    return this.#written.length > 0;
  }

  /** Leaves nothing behind, whatever happened before. */
  async cleanUp(): Promise<void> {
    if (!this.#isThere) return;
    await this.#check.store
      .remove(this.#written, { signal: AbortSignal.timeout(STEP_MS) })
      .catch(() => undefined);
  }
}

const NOTHING_WRITTEN: Outcome = { verdict: 'skipped', detail: 'nothing could be written' };
const CONDITIONS_WORK: Outcome = {
  verdict: 'ok',
  detail: 'an existing object is not overwritten: one writer at a time can be guaranteed',
};
const TWO_WRITERS_HINT =
  'Two writers on one path cannot be told apart there: make sure that there is only one.';
const CONDITIONS_IGNORED: Outcome = {
  verdict: 'warning',
  detail: 'the store overwrites what exists although it was asked not to',
  hint: TWO_WRITERS_HINT,
};
const NO_CONDITIONS: Outcome = {
  verdict: 'warning',
  detail: 'the store knows no conditional writes',
  hint: TWO_WRITERS_HINT,
};

/** What the lease relies on, as the lease does it: a value is put there and replaced, and what must be refused is tried. */
async function isHonoured(register: Register, signal: AbortSignal): Promise<boolean> {
  // Not the same bytes, which might be the same version.
  const first = await register.swap(undefined, randomBytes(CONTENT_BYTES), { signal });
  const second = await register.swap(first, randomBytes(CONTENT_BYTES), { signal });
  return register.honoursConditions(second, first, { signal });
}

/**
 * How far the store's clock is from ours.
 *
 * @param storeMs - the time that the store gave to an object written between `beforeMs` and `afterMs` of our clock
 */
export function skewOutcome(storeMs: number, beforeMs: number, afterMs: number): Outcome {
  // Stores round to whole seconds, down or up.
  const aheadMs = Math.max(0, storeMs - afterMs - 1_000);
  const behindMs = Math.max(0, beforeMs - storeMs - 1_000);
  const skewMs = Math.max(aheadMs, behindMs);
  if (skewMs < SKEW_WARNING_MS) return { verdict: 'ok', detail: 'the clocks agree' };
  const side = aheadMs > behindMs ? 'ahead of' : 'behind';
  const detail = `the destination's clock is ${formatDuration(Math.round(skewMs / 1000) * 1000)} ${side} this machine's`;
  const hint =
    'Set the clock (NTP): points in time follow the destination’s clock, and leases and signatures need both.';
  return { verdict: skewMs < SKEW_FAILURE_MS ? 'warning' : 'failed', detail, hint };
}

async function firstOf(
  objects: AsyncIterable<ObjectInfo>,
  matches: (info: ObjectInfo) => boolean,
): Promise<ObjectInfo | undefined> {
  for await (const info of objects) if (matches(info)) return info;
  return undefined;
}
