/**
 * A streamed object: a session that takes it in parts, and the object when the last one is there. A session that is given up
 * is cancelled; one that is forgotten ends by itself after a week, and nothing of it is ever visible.
 * (cloud.google.com/storage/docs/performing-resumable-uploads)
 */
import { createHash, getFips } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { messageOf } from '../../base/errors.ts';
import type { BackendTools } from '../backend.ts';
import { attemptLimitMs, withinTime } from '../patience.ts';
import { storageFailed } from '../storage-error.ts';
import type { GcsApi } from './api.ts';
import type { HttpAnswer } from './http-client.ts';
import { persistedBytesOf } from './persisted.ts';

/** Parts are whole multiples of 256 KiB, the last one excepted. One is sent while the next one is gathered. */
export const PART_BYTES: number = 8 * 1024 * 1024;

/** An answer that is not the end: more is wanted. */
const INCOMPLETE = 308;
/** What a cancelled session answers, and one that is gone. */
const CANCEL_ANSWERS = [499, 404, 410];
const CANCEL_TIMEOUT_MS = 5_000;

export interface UploadTarget {
  /** For messages: the object as the caller knows it. */
  readonly key: string;
  readonly location: string;
  /** Where the session is asked for: name and conditions are in it. */
  readonly startUrl: string;
}

export class ResumableUpload {
  readonly #api: GcsApi;
  readonly #tools: BackendTools;
  readonly #target: UploadTarget;
  /** Whoever knows it may write: never in a message. */
  #sessionUrl = '';
  #sentBytes = 0;
  /** Undefined where the machine's rules forbid MD5. */
  readonly #md5: Hash | undefined = getFips() === 1 ? undefined : createHash('md5');
  #made: string | undefined;

  constructor(api: GcsApi, tools: BackendTools, target: UploadTarget) {
    this.#api = api;
    this.#tools = tools;
    this.#target = target;
  }

  get sizeBytes(): number {
    return this.#sentBytes;
  }

  /** Of all bytes, as the service tells it; once, at the end. */
  md5(): string | undefined {
    return this.#md5?.digest('base64');
  }

  /** @throws RivuletError `STORAGE_EXISTS` when the conditions are not met already now */
  async start(signal: AbortSignal | undefined): Promise<void> {
    const { key, startUrl } = this.#target;
    const action = `write ${key}`;
    const answer = await this.#again(action, 0, signal, async (attemptSignal) =>
      this.#api.sendForText({
        kind: 'PUT',
        action,
        key,
        method: 'POST',
        url: startUrl,
        headers: { 'x-upload-content-type': 'application/octet-stream' },
        signal: attemptSignal,
      }),
    );
    const { location } = answer.headers;
    if (location === undefined) throw this.#unexpected('no address for an upload');
    this.#sessionUrl = location;
  }

  /** Sends the next part; one that is not of the full size is the last. */
  async send(part: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const isLast = part.length < PART_BYTES;
    const firstByte = this.#sentBytes;
    this.#md5?.update(part);
    this.#sentBytes += part.length;
    const whole = isLast ? this.#sentBytes : undefined;
    await this.#deliver(part, firstByte, whole, signal);
  }

  /** The object as the service tells it, when everything is there. */
  async finish(signal: AbortSignal | undefined): Promise<string> {
    if (this.#made === undefined)
      await this.#deliver(new Uint8Array(), this.#sentBytes, this.#sentBytes, signal);
    if (this.#made === undefined) throw this.#unexpected('no object at the end of an upload');
    return this.#made;
  }

  /** Forgets what was sent. Never throws: a session that cannot be cancelled ends by itself. */
  async cancel(): Promise<void> {
    if (this.#sessionUrl === '' || this.#made !== undefined) return;
    try {
      await this.#api.sendForText({
        kind: 'DELETE',
        action: `give up ${this.#target.key}`,
        method: 'DELETE',
        url: this.#sessionUrl,
        headers: { 'content-length': '0' },
        accepts: CANCEL_ANSWERS,
        signal: AbortSignal.timeout(CANCEL_TIMEOUT_MS),
      });
    } catch (error) {
      this.#tools.logger.debug('an upload that was given up could not be cancelled; it ends by itself', {
        object: this.#target.key,
        error: messageOf(error),
      });
    }
  }

  /** Makes sure that the bytes from `firstByte` on are there, and with `whole` that the object is made. */
  async #deliver(
    bytes: Uint8Array,
    firstByte: number,
    whole: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const endByte = firstByte + bytes.length;
    let fromByte = firstByte;
    const isDone = (): boolean => this.#made !== undefined || (whole === undefined && fromByte >= endByte);
    const attempt = async (number: number, attemptSignal: AbortSignal): Promise<void> => {
      // After a failure nobody here knows how much of the part arrived.
      if (number > 1)
        fromByte = this.#place(await this.#put([], `*/${whole ?? '*'}`, attemptSignal), fromByte);
      while (!isDone()) {
        if (fromByte < firstByte) throw this.#unexpected('an upload that has lost what it had');
        const rest = bytes.subarray(fromByte - firstByte);
        const range = rest.length === 0 ? '*' : `${fromByte}-${endByte - 1}`;
        const answer = await this.#put([rest], `${range}/${whole ?? '*'}`, attemptSignal);
        const reachedByte = this.#place(answer, fromByte);
        if (this.#made === undefined && reachedByte <= fromByte)
          throw this.#unexpected('an upload that stands still');
        fromByte = reachedByte;
      }
    };
    const action = `write a part of ${this.#target.key}`;
    await this.#tools.retrier.run(
      action,
      async (number) => this.#inTime(action, bytes.length, signal, async (within) => attempt(number, within)),
      signal,
    );
  }

  /** How far the upload has come by this answer; keeps the object when it is made. */
  #place(answer: HttpAnswer & { readonly text: string }, beforeByte: number): number {
    if (answer.status !== INCOMPLETE) {
      this.#made = answer.text;
      return beforeByte;
    }
    const persisted = persistedBytesOf(answer.headers.range);
    if (persisted === undefined) throw this.#unexpected('an upload of unknown length');
    return persisted;
  }

  async #put(
    body: readonly Uint8Array[],
    range: string,
    signal: AbortSignal,
  ): Promise<HttpAnswer & { readonly text: string }> {
    return this.#api.sendForText({
      kind: 'PUT',
      action: `write a part of ${this.#target.key}`,
      key: this.#target.key,
      method: 'PUT',
      url: this.#sessionUrl,
      headers: { 'content-range': `bytes ${range}` },
      body,
      accepts: [INCOMPLETE],
      signal,
    });
  }

  async #again<T>(
    action: string,
    bodyBytes: number,
    signal: AbortSignal | undefined,
    attempt: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.#tools.retrier.run(
      action,
      async () => this.#inTime(action, bodyBytes, signal, attempt),
      signal,
    );
  }

  async #inTime<T>(
    action: string,
    bodyBytes: number,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const what = `${action} to ${this.#target.location}`;
    return withinTime(this.#tools.clock, attemptLimitMs(bodyBytes), what, signal, work);
  }

  #unexpected(what: string): Error {
    return storageFailed(`${this.#target.location} gave ${what}`, { retry: true });
  }
}
