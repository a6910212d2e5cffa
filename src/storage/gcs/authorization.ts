/**
 * Tokens for requests to Google Cloud Storage, from Google's own library: service-account keys, external accounts, the
 * metadata server, what `gcloud` has stored.
 */
import { isRivuletError, messageOf } from '../../base/errors.ts';
import { networkFailureOf } from '../network-failure.ts';
import { loadOptional } from '../optional-package.ts';
import { storageFailed } from '../storage-error.ts';
import { clientFromFile } from './credentials-file.ts';
import type { TokenClient } from './credentials-file.ts';

/** What a request is authorized with. */
export interface Authorization {
  readonly headers: Readonly<Record<string, string>>;
  /** Which of the library's clients made them; to tell whether they were replaced since. */
  readonly source: object;
}

export interface AuthorizationSource {
  /** Headers for a request now; waits only when there is no token that is still valid. @throws RivuletError `CREDENTIALS_FAILED`, `PACKAGE_MISSING` */
  current(): Promise<Authorization>;
  /** The service has accepted `used`. */
  accepted(used: Authorization): void;
  /**
   * The service refused `used`.
   *
   * @returns whether `current()` may give something else now, so that the request is worth another attempt
   */
  renew(used: Authorization): boolean;
}

export interface GoogleAuthorizationOptions {
  /** JSON of a service account, an external account or a user; application default credentials when absent. */
  readonly credentialsFile?: string | undefined;
  /** For the requests that get tokens; the one of Node.js when absent. */
  readonly fetch?: typeof fetch | undefined;
}

export const AUTH_PACKAGE = {
  name: 'google-auth-library',
  version: '11.3.4',
  usedFor: 'Google Cloud Storage',
} as const;

/** To read, write, list and delete objects, and nothing beside them. */
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_write';

export class GoogleAuthorization implements AuthorizationSource {
  readonly #options: GoogleAuthorizationOptions;
  #client: Promise<TokenClient> | undefined;
  /** Clients whose tokens the service has accepted. */
  readonly #accepted = new WeakSet<object>();
  #latest: object | undefined;

  constructor(options: GoogleAuthorizationOptions) {
    this.#options = options;
  }

  async current(): Promise<Authorization> {
    const opening = (this.#client ??= this.#open());
    try {
      const client = await opening;
      const headers = Object.fromEntries(await client.getRequestHeaders());
      this.#latest = client;
      return { headers, source: client };
    } catch (error) {
      // The next attempt reads the credentials anew: the file may have been replaced.
      if (this.#client === opening) this.#client = undefined;
      throw this.#failed(error);
    }
  }

  accepted(used: Authorization): void {
    this.#accepted.add(used.source);
  }

  /**
   * The library keeps a token until it expires: another client asks for another one, from what the file holds now. One
   * that never worked would be refused again.
   */
  renew(used: Authorization): boolean {
    if (this.#latest !== used.source) return true;
    this.#client = undefined;
    this.#latest = undefined;
    return this.#accepted.has(used.source);
  }

  async #open(): Promise<TokenClient> {
    const library = await loadOptional(AUTH_PACKAGE, async () => import('google-auth-library'));
    const { credentialsFile, fetch: fetchImplementation = globalThis.fetch } = this.#options;
    const scopes = [SCOPE];
    // Whether to try again is decided outside, where it is counted and can be cancelled.
    const transporterOptions = { fetchImplementation, retryConfig: { retry: 0, noResponseRetries: 0 } };
    if (credentialsFile !== undefined) {
      return clientFromFile(library, credentialsFile, { scopes, transporterOptions });
    }
    return new library.GoogleAuth({ scopes, clientOptions: { transporterOptions } }).getClient();
  }

  #failed(error: unknown): Error {
    if (isRivuletError(error)) return error;
    const { credentialsFile } = this.#options;
    const from = credentialsFile === undefined ? 'the default credentials of this machine' : credentialsFile;
    const network = networkFailureOf(error);
    const status = statusOf(error);
    const mayPass = network?.retry === true || status === 429 || (status !== undefined && status >= 500);
    return storageFailed(`cannot get a token for Google Cloud Storage from ${from}: ${reasonOf(error)}`, {
      code: 'CREDENTIALS_FAILED',
      retry: mayPass,
      hint: network?.hint ?? hintFor(error, credentialsFile),
      // The library's errors hold the request with the signed assertion in it: only the text goes on.
      cause: new Error(messageOf(error)),
      details: status === undefined ? {} : { status },
    });
  }
}

/** The client says "fetch failed" for everything below HTTP, and OpenSSL has words of its own for a key that is none. */
function reasonOf(error: unknown): string {
  const text = messageOf(error);
  if (/DECODER routines|PEM routines|asn1 encoding/.test(text))
    return 'its private_key is not a key (cut off?)';
  const below = error instanceof Error && /fetch failed/.test(text) ? error.cause : undefined;
  if (below === undefined) return text;
  const deeper = reasonOf(below);
  return deeper === '' ? text : deeper;
}

function statusOf(error: unknown): number | undefined {
  const status = error instanceof Error && 'status' in error ? Number(error.status) : Number.NaN;
  return Number.isInteger(status) ? status : undefined;
}

function hintFor(error: unknown, credentialsFile: string | undefined): string {
  const text = messageOf(error);
  if (text.includes('invalid_grant')) {
    return 'Google does not accept the key: was it deleted or replaced, and is the clock of this machine right?';
  }
  if (credentialsFile !== undefined) {
    return 'The file must be the JSON that Google made for a service account or an external account, and be readable.';
  }
  return 'Set credentials-file or GOOGLE_APPLICATION_CREDENTIALS, or give the machine a service account.';
}
