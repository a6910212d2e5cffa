/** How the container is reached, and with which identity. Secrets may change while replication goes on. */
import type { ContainerClient, Pipeline } from '@azure/storage-blob';
import { isRivuletError } from '../../base/errors.ts';
import { loadOptional } from '../optional-package.ts';
import { storageFailed } from '../storage-error.ts';
import { boundedConnections } from './bounded-agent.ts';

/** A secret, or what gives it now: asked again when the service refuses the one before. */
export type Secret = string | (() => Promise<string>);

export interface AbsAccessOptions {
  /** May be absent when `endpoint` names the account. */
  readonly accountName?: string | undefined;
  readonly container: string;
  /** The account's URL; `https://ACCOUNT.blob.core.windows.net` when absent. */
  readonly endpoint?: string | undefined;
  /** Comes before the key; without both, the default identity of the machine is used. */
  readonly sasToken?: Secret | undefined;
  readonly accountKey?: Secret | undefined;
}

export const STORAGE_PACKAGE = {
  name: '@azure/storage-blob',
  version: '12.34.0',
  usedFor: 'Azure Blob Storage',
} as const;
export const IDENTITY_PACKAGE = {
  name: '@azure/identity',
  version: '4.14.1',
  usedFor: 'The default identity of Azure',
} as const;

/** A client with the identity that it has, for as long as that is accepted. */
export interface AbsAccess {
  readonly container: ContainerClient;
  /** Undefined for the default identity. */
  readonly secret: string | undefined;
  hasWorked: boolean;
}

type Storage = typeof import('@azure/storage-blob');

export class AbsAccessSource {
  /** Without secrets. */
  readonly accountName: string;
  readonly #options: AbsAccessOptions;
  readonly #containerUrl: string;
  #current: Promise<AbsAccess> | undefined;

  constructor(options: AbsAccessOptions) {
    this.#options = options;
    this.accountName = accountOf(options);
    const endpoint = options.endpoint ?? `https://${this.accountName}.blob.core.windows.net`;
    this.#containerUrl = `${endpoint.replace(/\/+$/, '')}/${encodeURIComponent(options.container)}`;
  }

  /** @throws RivuletError `CREDENTIALS_FAILED`, `PACKAGE_MISSING` */
  async current(): Promise<AbsAccess> {
    const opening = (this.#current ??= this.#open());
    try {
      return await opening;
    } catch (error) {
      if (this.#current === opening) this.#current = undefined;
      throw error;
    }
  }

  /**
   * The service refused `used`.
   *
   * @returns whether `current()` gives another identity now, so that the request is worth another attempt
   */
  async renew(used: AbsAccess): Promise<boolean> {
    if ((await this.current()) !== used) return true;
    const { sasToken, accountKey } = this.#options;
    const source = sasToken ?? accountKey;
    if (source === undefined) {
      // Tokens are cached by the identity: another one asks anew. One that never worked would be refused again.
      if (used.hasWorked) this.#current = undefined;
      return used.hasWorked;
    }
    if (typeof source === 'string') return false;
    const secret = await this.#ask(source);
    if (secret === used.secret) return false;
    const isStillUsed = (await this.current()) === used;
    if (isStillUsed) this.#current = undefined;
    return true;
  }

  async #open(): Promise<AbsAccess> {
    const storage = await loadOptional(STORAGE_PACKAGE, async () => import('@azure/storage-blob'));
    const { sasToken, accountKey } = this.#options;
    if (sasToken !== undefined) return this.#withSignature(storage, await this.#ask(sasToken));
    if (accountKey !== undefined) return this.#withKey(storage, await this.#ask(accountKey));
    return this.#withIdentity(storage);
  }

  #withSignature(storage: Storage, given: string): AbsAccess {
    const token = given.replace(/^\?/, '');
    if (!/(^|&)sig=/.test(token)) {
      throw refused(
        'the SAS token has no signature (sig=)',
        'Copy the whole token, from sv= or sp= to the end.',
      );
    }
    const pipeline = pipelineFor(storage, new storage.AnonymousCredential());
    const client = new storage.ContainerClient(`${this.#containerUrl}?${token}`, pipeline);
    return { container: client, secret: given, hasWorked: false };
  }

  #withKey(storage: Storage, key: string): AbsAccess {
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(key)) {
      throw refused('the account key is not base64', 'Copy the key as the portal shows it, without quotes.');
    }
    const credential = new storage.StorageSharedKeyCredential(this.accountName, key);
    const client = new storage.ContainerClient(this.#containerUrl, pipelineFor(storage, credential));
    return { container: client, secret: key, hasWorked: false };
  }

  async #withIdentity(storage: Storage): Promise<AbsAccess> {
    if (!this.#containerUrl.startsWith('https:')) {
      throw refused(
        'the default identity is used over https only',
        'Give an account key or a SAS token, or an endpoint that begins with https://.',
      );
    }
    const identity = await loadOptional(IDENTITY_PACKAGE, async () => import('@azure/identity'));
    const credential = new identity.DefaultAzureCredential();
    const client = new storage.ContainerClient(this.#containerUrl, pipelineFor(storage, credential));
    return { container: client, secret: undefined, hasWorked: false };
  }

  async #ask(source: Secret): Promise<string> {
    if (typeof source === 'string') return source.trim();
    try {
      return (await source()).trim();
    } catch (error) {
      if (isRivuletError(error)) throw error;
      throw storageFailed(`cannot get the secret for the Azure account ${this.accountName}`, {
        code: 'CREDENTIALS_FAILED',
        retry: false,
        cause: error,
      });
    }
  }
}

/** One attempt for each call: trying again is decided outside, where it is counted and can be cancelled. */
const CLIENT_OPTIONS = { retryOptions: { maxTries: 1 } } as const;

type Credential = Parameters<Storage['newPipeline']>[0];

function pipelineFor(storage: Storage, credential: Credential): Pipeline {
  const pipeline = storage.newPipeline(credential, CLIENT_OPTIONS);
  pipeline.factories.push(boundedConnections);
  return pipeline;
}

function refused(what: string, hint: string): Error {
  return storageFailed(what, { code: 'CREDENTIALS_FAILED', retry: false, hint });
}

/** The account's name stands in the endpoint's host, or first in its path where the host is not the account's own. */
function accountOf({ accountName, endpoint }: AbsAccessOptions): string {
  if (accountName !== undefined) return accountName;
  if (endpoint === undefined) throw new RangeError('needs an account name or an endpoint');
  const { hostname, pathname } = new URL(endpoint);
  const inPath = pathname.split('/').find((part) => part !== '');
  return inPath ?? hostname.split('.')[0] ?? hostname;
}
