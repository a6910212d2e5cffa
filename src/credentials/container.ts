/**
 * The endpoint that ECS tasks and EKS pods (pod identity, Greengrass too) are given by environment variables. Facts: "Container
 * credential provider" in the AWS SDKs and Tools Reference Guide.
 */
import { readFile } from 'node:fs/promises';

import { messageOf } from '../base/errors.ts';
import type { AwsKeys } from '../storage/aws-keys.ts';
import { METADATA_NAMES, keysIn } from './answer-keys.ts';
import { credentialsFailed } from './credentials-failed.ts';
import { ask, networkProblem, objectIn, saidBy } from './http.ts';
import type { EndpointAnswer } from './http.ts';
import type { ContainerSettings } from './settings.ts';
import type { CredentialSource } from './source.ts';

const RELATIVE_BASE = 'http://169.254.170.2';
/** Hosts that may be asked without TLS: the token must not travel in the clear. */
const PLAIN_HOSTS = new Set(['169.254.170.2', '169.254.170.23', '[fd00:ec2::23]', '[::1]', 'localhost']);
const TIMEOUT_MS = 2_000;

/** Where the endpoint is; undefined when nothing says so. */
export function containerUrl(
  settings: Pick<ContainerSettings, 'url'>,
  environment: NodeJS.ProcessEnv,
): string | undefined {
  if (settings.url !== undefined) return settings.url;
  const relative = environment['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'];
  if (relative !== undefined && relative !== '') return `${RELATIVE_BASE}${relative}`;
  return environment['AWS_CONTAINER_CREDENTIALS_FULL_URI'] || undefined;
}

export class ContainerSource implements CredentialSource {
  readonly #settings: ContainerSettings;
  readonly #environment: NodeJS.ProcessEnv;

  constructor(settings: ContainerSettings, environment: NodeJS.ProcessEnv) {
    this.#settings = settings;
    this.#environment = environment;
  }

  describe(): string {
    const url = this.#url();
    return `the container's endpoint${url === undefined ? '' : ` ${url.host}`}`;
  }

  async fetch(signal: AbortSignal): Promise<AwsKeys> {
    const url = this.#checkedUrl();
    const token = await this.#token();
    const answer = await this.#ask(url, token, signal);
    if (answer.status !== 200) throw credentialsFailed(this.describe(), saidBy(answer));
    try {
      return keysIn(objectIn(answer), METADATA_NAMES);
    } catch (error) {
      throw credentialsFailed(this.describe(), messageOf(error));
    }
  }

  async #ask(url: URL, token: string | undefined, signal: AbortSignal): Promise<EndpointAnswer> {
    const headers = { accept: 'application/json', ...(token === undefined ? {} : { authorization: token }) };
    try {
      return await ask({ url, headers, timeoutMs: TIMEOUT_MS, signal });
    } catch (error) {
      signal.throwIfAborted();
      throw credentialsFailed(this.describe(), networkProblem(error));
    }
  }

  #url(): URL | undefined {
    const text = containerUrl(this.#settings, this.#environment);
    return text !== undefined && URL.canParse(text) ? new URL(text) : undefined;
  }

  #checkedUrl(): URL {
    const url = this.#url();
    if (url === undefined) {
      throw credentialsFailed(
        this.describe(),
        'neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is a valid address',
        { retry: false },
      );
    }
    if (url.protocol === 'https:') return url;
    const { hostname } = url;
    if (url.protocol === 'http:' && (PLAIN_HOSTS.has(hostname) || /^127(\.\d+){3}$/.test(hostname)))
      return url;
    throw credentialsFailed(
      this.describe(),
      'its address is neither https nor one of the loopback and link-local hosts that may be asked without TLS',
      { retry: false },
    );
  }

  async #token(): Promise<string | undefined> {
    const path =
      this.#settings.tokenFile ?? (this.#environment['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'] || undefined);
    if (path === undefined) return this.#environment['AWS_CONTAINER_AUTHORIZATION_TOKEN'] || undefined;
    try {
      return (await readFile(path, 'utf8')).trim();
    } catch (error) {
      throw credentialsFailed(this.describe(), `its token file cannot be read: ${messageOf(error)}`);
    }
  }
}
