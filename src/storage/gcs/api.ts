/**
 * Requests of the JSON API (cloud.google.com/storage/docs/json_api/v1), one attempt each. Google's own storage client
 * is not used: its uploads and downloads cannot be cancelled, and its own attempts would be neither counted nor seen.
 */
import type { BackendTools, RequestKind } from '../backend.ts';
import { isThisMachine } from '../../base/private-host.ts';
import { orAbort } from '../abandon.ts';
import { storageFailed } from '../storage-error.ts';
import type { AuthorizationSource } from './authorization.ts';
import { gcsRefused, gcsUnanswered } from './failure.ts';
import type { FailedCall } from './failure.ts';
import { HttpClient, textOf } from './http-client.ts';
import type { HttpAnswer, HttpRequest } from './http-client.ts';

export const GCS_ENDPOINT = 'https://storage.googleapis.com';

export interface GcsPlace {
  readonly bucket: string;
  /** Without a slash at its end. */
  readonly endpoint: string;
  /** For people. */
  readonly location: string;
}

export interface GcsRequest extends Omit<HttpRequest, 'headers'> {
  readonly kind: RequestKind;
  readonly action: string;
  readonly key?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Statuses beside 2xx that are answers as well. */
  readonly accepts?: readonly number[];
}

/** What is known of a stored object. */
export interface GcsObject {
  readonly name: string;
  /** Whole numbers come as text: they may be too large for one. */
  readonly size: string;
  readonly timeCreated: string;
  readonly generation: string;
  /** Base64; composite objects have none. */
  readonly md5Hash?: string;
}

export class GcsApi {
  readonly #place: GcsPlace;
  readonly #authorization: AuthorizationSource;
  readonly #tools: BackendTools;
  readonly #client = new HttpClient();
  /** The host, when what is sent there can be read on the way. */
  readonly #hostInTheClear: string | undefined;

  constructor(place: GcsPlace, authorization: AuthorizationSource, tools: BackendTools) {
    const { protocol, hostname, host } = new URL(place.endpoint);
    this.#hostInTheClear = protocol !== 'https:' && !isThisMachine(hostname) ? host : undefined;
    this.#place = place;
    this.#authorization = authorization;
    this.#tools = tools;
  }

  objectsUrl(query: Query): string {
    return `${this.#place.endpoint}/storage/v1/b/${encodeURIComponent(this.#place.bucket)}/o${queryOf(query)}`;
  }

  objectUrl(name: string, query: Query = {}): string {
    return `${this.objectsUrl({})}/${encodeURIComponent(name)}${queryOf(query)}`;
  }

  uploadUrl(query: Query): string {
    const bucket = encodeURIComponent(this.#place.bucket);
    return `${this.#place.endpoint}/upload/storage/v1/b/${bucket}/o${queryOf(query)}`;
  }

  /** @throws RivuletError unless the answer is one of success or one of `accepts`; the signal's reason */
  async send(request: GcsRequest): Promise<HttpAnswer> {
    const { kind, signal, accepts = [] } = request;
    signal?.throwIfAborted();
    if (this.#hostInTheClear !== undefined) throw inTheClear(this.#hostInTheClear);
    const authorization = await orAbort(this.#authorization.current(), signal);
    this.#tools.onRequest(kind);
    const headers = { ...(this.#isOwn(request.url) ? authorization.headers : {}), ...request.headers };
    try {
      const answer = await this.#client.send({ ...request, headers });
      const { status } = answer;
      if (status !== 401) this.#authorization.accepted(authorization);
      if ((status >= 200 && status < 300) || accepts.includes(status)) return answer;
      const text = await textOf(answer);
      const isRenewed = status === 401 && this.#authorization.renew(authorization);
      const retryAfter = answer.headers['retry-after'];
      throw gcsRefused({ status, retryAfter, text }, this.#callOf(request, isRenewed));
    } catch (error) {
      signal?.throwIfAborted();
      throw gcsUnanswered(error, this.#callOf(request, false));
    }
  }

  /** As `send`, for an answer that is read whole. */
  async sendForText(request: GcsRequest): Promise<HttpAnswer & { readonly text: string }> {
    const answer = await this.send(request);
    try {
      return { ...answer, text: await textOf(answer) };
    } catch (error) {
      request.signal?.throwIfAborted();
      throw this.broken(error, request);
    }
  }

  /** The failure of an answer that broke off. */
  broken(error: unknown, request: Pick<GcsRequest, 'kind' | 'action' | 'key'>): Error {
    return gcsUnanswered(error, this.#callOf(request, false));
  }

  close(): void {
    this.#client.close();
  }

  /** Tokens go nowhere else, whatever address a server gives for an upload. */
  #isOwn(url: string): boolean {
    return new URL(url).origin === new URL(this.#place.endpoint).origin;
  }

  #callOf(
    { kind, action, key }: Pick<GcsRequest, 'kind' | 'action' | 'key'>,
    isRenewed: boolean,
  ): FailedCall {
    return {
      action,
      isWrite: kind === 'PUT',
      key,
      location: this.#place.location,
      nowMs: this.#tools.clock.now(),
      isRenewed,
    };
  }
}

/** A token lets whoever reads it do everything that the account may do, until it expires. */
function inTheClear(host: string): Error {
  return storageFailed(`a token of Google is not sent to ${host} over plain http`, {
    code: 'CREDENTIALS_FAILED',
    retry: false,
    hint: 'Use an endpoint that begins with https://; plain http is taken for this machine only.',
  });
}

export type Query = Readonly<Record<string, string | undefined>>;

function queryOf(query: Query): string {
  const pairs = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`;
}
