/** Conditional writes, as far as the service knows them. */
import { Mutex } from '../../base/mutex.ts';
import type { CallOptions, Conditions, WriteOptions } from '../object-store.ts';
import { conditionsUnknown, objectExists } from '../storage-error.ts';
import { isLostRace, isMissingObject, isNotImplemented, isRefusedCondition } from './failure.ts';
import type { S3Failure } from './failure.ts';
import { headObject } from './head-object.ts';
import type { S3Requests } from './requests.ts';

export type OnlyIf = NonNullable<WriteOptions['onlyIf']>;

/** Input fields of a request that writes. */
export interface ConditionFields {
  readonly IfNoneMatch?: string;
  readonly IfMatch?: string;
}

/** Sends a request with these fields; its failures are shown to `meaning` first. */
export type ConditionalAttempt<T> = (
  fields: ConditionFields,
  meaning: (failure: S3Failure) => Error | undefined,
) => Promise<T>;

/** The service does not know the condition in this place. */
class NotKnown extends Error {}

/** The service says that the condition does not hold. */
class Refused extends Error {}

/** It says nothing of the kind, but another write came first. */
class Overtaken extends Error {
  readonly failure: S3Failure;

  constructor(failure: S3Failure) {
    super('overtaken', { cause: failure.cause });
    this.failure = failure;
  }
}

/**
 * What is learned of a service while it is used: whether it knows conditions at all, and how it compares ETags. The
 * standard says with their quotes; Ceph before Reef compares without.
 */
export class S3Conditions {
  readonly #requests: S3Requests;
  #known: Conditions;
  #etagForm: 'quoted' | 'bare' = 'quoted';
  #isFormSure = false;
  readonly #turns = new Map<string, { readonly mutex: Mutex; waiting: number }>();

  constructor(requests: S3Requests) {
    this.#requests = requests;
    this.#known = requests.profile.conditions;
  }

  get known(): Conditions {
    return this.#known;
  }

  /** An ETag as the version that callers keep; undefined where none can be compared with. */
  versionOf(etag: string | undefined): string | undefined {
    if (this.#known !== 'compare-and-swap' || etag === undefined) return undefined;
    const bare = bareEtag(etag);
    return bare === '' ? undefined : bare;
  }

  /**
   * Makes an attempt to write under a condition.
   *
   * @param attempt - sends the request with these fields; failures pass through `meaning`
   * @param isProof - whether success proves that the service has compared, rather than ignored what it does not know
   * @throws RivuletError `STORAGE_EXISTS` when the condition does not hold
   */
  async write<T>(
    key: string,
    onlyIf: OnlyIf | undefined,
    attempt: ConditionalAttempt<T>,
    { signal, isProof }: CallOptions & { readonly isProof: boolean },
  ): Promise<T> {
    if (onlyIf === undefined) return attempt({}, () => undefined);
    if (this.#known === 'none' && !this.#asksAgain(onlyIf))
      return this.#lookThenWrite(key, onlyIf, attempt, { signal });
    try {
      const result = await attempt(this.#fieldsOf(onlyIf), (failure) => meaningOf(failure, onlyIf));
      if (onlyIf !== 'absent' && isProof) this.#learnThatVersionsCompare();
      return result;
    } catch (error) {
      if (error instanceof NotKnown) {
        this.#learnThatThereAreNone();
        return this.#lookThenWrite(key, onlyIf, attempt, { signal });
      }
      if (error instanceof Overtaken) {
        await this.look(key, onlyIf, { signal });
        throw this.#requests.failed(`cannot write ${key} to`, error.failure);
      }
      if (!(error instanceof Refused)) throw error;
      const { location } = this.#requests.profile;
      if (!(await this.#learnsOtherForm(key, onlyIf, { signal })))
        throw objectExists(location, key, error.cause);
      return this.write(key, onlyIf, attempt, { signal, isProof });
    }
  }

  /** Runs pieces of work on the same key one after another: looking, and then writing. */
  async alone<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = this.#turns.get(key) ?? { mutex: new Mutex(), waiting: 0 };
    this.#turns.set(key, turn);
    turn.waiting++;
    try {
      return await turn.mutex.run(work);
    } finally {
      if (--turn.waiting === 0) this.#turns.delete(key);
    }
  }

  /** @throws RivuletError `STORAGE_EXISTS` when the condition does not hold this moment */
  async look(key: string, onlyIf: OnlyIf, options: CallOptions): Promise<void> {
    const found = await headObject(this.#requests, key, options);
    const holds =
      onlyIf === 'absent'
        ? found === undefined
        : found !== undefined && bareEtag(found.ETag ?? '') === bareEtag(onlyIf.version);
    if (!holds) throw objectExists(this.#requests.profile.location, key);
  }

  #fieldsOf(onlyIf: OnlyIf): ConditionFields {
    if (onlyIf === 'absent') return { IfNoneMatch: '*' };
    const bare = bareEtag(onlyIf.version);
    return { IfMatch: this.#etagForm === 'bare' ? bare : `"${bare}"` };
  }

  /**
   * A service that refuses the very version which it shows compares in the other form. Found out once; a refusal after
   * that needs no look.
   */
  async #learnsOtherForm(key: string, onlyIf: OnlyIf, options: CallOptions): Promise<boolean> {
    if (onlyIf === 'absent' || this.#isFormSure || this.#etagForm === 'bare') return false;
    const found = await headObject(this.#requests, key, options);
    if (found?.ETag === undefined || bareEtag(found.ETag) !== bareEtag(onlyIf.version)) return false;
    this.#etagForm = 'bare';
    return true;
  }

  /**
   * A version cannot stand for a look: who replaces one asks each time. What answered for the service may have been a
   * proxy, and that is over some time.
   */
  #asksAgain(onlyIf: OnlyIf): boolean {
    return onlyIf !== 'absent' && this.#requests.profile.conditions !== 'none';
  }

  #learnThatVersionsCompare(): void {
    this.#isFormSure = true;
    this.#known = this.#requests.profile.conditions;
  }

  #learnThatThereAreNone(): void {
    if (this.#known === 'none') return;
    this.#known = 'none';
    this.#requests.tools.logger.warn(
      'this S3 service does not know conditional writes: nothing there keeps two writers apart',
      { location: this.#requests.profile.location },
    );
  }

  /** The best there is without conditions: for immutable objects under names that only one writer makes. */
  async #lookThenWrite<T>(
    key: string,
    onlyIf: OnlyIf,
    attempt: ConditionalAttempt<T>,
    options: CallOptions,
  ): Promise<T> {
    if (onlyIf !== 'absent') throw conditionsUnknown(this.#requests.profile.location, key);
    await this.look(key, onlyIf, options);
    return attempt({}, () => undefined);
  }
}

function meaningOf(failure: S3Failure, onlyIf: OnlyIf): Error | undefined {
  // What was to be replaced is gone.
  const isGone = onlyIf !== 'absent' && isMissingObject(failure);
  if (isRefusedCondition(failure) || isGone) return new Refused('refused', { cause: failure.cause });
  if (isLostRace(failure)) return new Overtaken(failure);
  return isNotImplemented(failure) ? new NotKnown() : undefined;
}

/** Without quotes and without the mark of weak comparison. */
export function bareEtag(etag: string): string {
  return etag.replace(/^W\//, '').replaceAll('"', '');
}
