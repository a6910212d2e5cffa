/** One request to the container, with what has to be right before an attempt counts: an identity that may be replaced. */
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import { orAbort } from '../abandon.ts';
import type { BackendTools, RequestKind } from '../backend.ts';
import type { WrittenObject } from '../object-store.ts';
import { attemptLimitMs, withinTime } from '../patience.ts';
import { storageFailed } from '../storage-error.ts';
import type { AbsAccess, AbsAccessSource } from './access.ts';
import { azureFailed, isRefusal } from './failure.ts';

export interface AbsCall<T> {
  readonly kind: RequestKind;
  /** As in "write a/b". */
  readonly action: string;
  /** The object that is asked for, when it is one. */
  readonly key?: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** Sends one request. */
  send(container: ContainerClient): Promise<T>;
}

export interface WriteAnswer {
  readonly etag?: string | undefined;
  readonly lastModified?: Date | undefined;
}

export class AbsRequests {
  /** What stands before every key. */
  readonly prefix: string;
  readonly location: string;
  readonly tools: BackendTools;
  readonly #access: AbsAccessSource;

  constructor(
    place: { readonly prefix: string; readonly location: string },
    access: AbsAccessSource,
    tools: BackendTools,
  ) {
    this.prefix = place.prefix;
    this.location = place.location;
    this.tools = tools;
    this.#access = access;
  }

  /** @throws RivuletError as `azureFailed` makes it; the signal's reason */
  async run<T>(call: AbsCall<T>): Promise<T> {
    const { kind, action, key, signal } = call;
    signal?.throwIfAborted();
    const access = await orAbort(this.#access.current(), signal);
    this.tools.onRequest(kind);
    try {
      const answer = await orAbort(call.send(access.container), signal);
      access.hasWorked = true;
      return answer;
    } catch (error) {
      signal?.throwIfAborted();
      const isRenewed = isRefusal(error) && (await orAbort(this.#renew(access), signal));
      throw this.failed(error, { action, key }, isRenewed);
    }
  }

  /** `work`, tried again where that may help; each attempt may take what its body needs. @param work - one attempt; they count from 1 */
  async retried<T>(
    action: string,
    bodyBytes: number,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal, number: number) => Promise<T>,
  ): Promise<T> {
    const what = `${action} to ${this.location}`;
    const attempt = async (number: number): Promise<T> =>
      withinTime(this.tools.clock, attemptLimitMs(bodyBytes), what, signal, async (inner) =>
        work(inner, number),
      );
    return this.tools.retrier.run(action, attempt, signal);
  }

  blob(container: ContainerClient, key: string): BlockBlobClient {
    return container.getBlockBlobClient(this.prefix + key);
  }

  written(key: string, sizeBytes: number, { lastModified, etag }: WriteAnswer): WrittenObject {
    if (lastModified === undefined) throw this.unexpected('an answer without Last-Modified');
    return { key, sizeBytes, modifiedAt: lastModified, version: etag };
  }

  /** A failure as people see it. @param isRenewed - whether the identity was replaced since */
  failed(
    error: unknown,
    { action, key }: Pick<AbsCall<unknown>, 'action' | 'key'>,
    isRenewed: boolean = false,
  ): Error {
    const nowMs = this.tools.clock.now();
    return azureFailed(error, { action, key, location: this.location, nowMs, isRenewed });
  }

  /** The service answered with what it does not answer. @param what - as in "an answer without a body" */
  unexpected(what: string): Error {
    return storageFailed(`${this.location} gave ${what}`, { retry: true });
  }

  async #renew(used: AbsAccess): Promise<boolean> {
    const isRenewed = await this.#access.renew(used);
    if (isRenewed)
      this.tools.logger.debug('the destination refused the credentials; there are other ones now');
    return isRenewed;
  }
}

export function abortedBy(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
