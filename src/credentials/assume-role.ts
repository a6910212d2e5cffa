import type { AwsKeySource, AwsKeys } from '../storage/aws-keys.ts';
import { askSdk, toSdk } from './sdk.ts';
import type { AssumeRoleSettings } from './settings.ts';
import type { CredentialSource, FetchOptions } from './source.ts';

/** The service's shortest name has two characters. */
export const SESSION_NAME = 'rivulet';

/** What a source of keys for another source needs to be. */
export interface BaseKeys extends AwsKeySource {
  close(): Promise<void>;
}

/** STS AssumeRole, asked with the keys of another source. */
export class AssumeRoleSource implements CredentialSource {
  readonly #settings: AssumeRoleSettings;
  readonly #base: BaseKeys;

  /** @param base - is closed with this */
  constructor(settings: AssumeRoleSettings, base: BaseKeys) {
    this.#settings = settings;
    this.#base = base;
  }

  describe(): string {
    return `the role ${this.#settings.roleArn}`;
  }

  async fetch(signal: AbortSignal, options?: FetchOptions): Promise<AwsKeys> {
    const used = await this.#base.current(signal);
    try {
      return await this.#assume(used, signal);
    } catch (error) {
      signal.throwIfAborted();
      // Perhaps the keys that ask have rotated meanwhile; then it is worth another attempt, as it is with the service.
      if (options?.reload !== true && !(await this.#base.renew(used, signal))) throw error;
      return this.#assume(await this.#base.current(signal), signal);
    }
  }

  async close(): Promise<void> {
    await this.#base.close();
  }

  async #assume(base: AwsKeys, signal: AbortSignal): Promise<AwsKeys> {
    const { roleArn, sessionName, externalId, durationSeconds, endpoint, region } = this.#settings;
    return askSdk(this.describe(), { endpoint, region }, signal, (providers, clientConfig) =>
      providers.fromTemporaryCredentials({
        masterCredentials: toSdk(base),
        clientConfig,
        params: {
          RoleArn: roleArn,
          RoleSessionName: sessionName ?? SESSION_NAME,
          ...(externalId === undefined ? {} : { ExternalId: externalId }),
          ...(durationSeconds === undefined ? {} : { DurationSeconds: durationSeconds }),
        },
      }),
    );
  }
}
