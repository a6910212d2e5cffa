import type { AwsKeys } from '../storage/aws-keys.ts';
import { credentialsFailed, whyOf } from './credentials-failed.ts';
import { profileName } from './profile.ts';
import { askSdk } from './sdk.ts';
import type { SsoSettings } from './settings.ts';
import { sharedFilePaths } from './shared-files.ts';
import type { CredentialSource } from './source.ts';

/** A profile with `sso_*` keys. The session that `aws sso login` began is in a file of its own, read again each time. */
export class SsoSource implements CredentialSource {
  readonly #settings: SsoSettings;
  readonly #environment: NodeJS.ProcessEnv;

  constructor(settings: SsoSettings, environment: NodeJS.ProcessEnv) {
    this.#settings = settings;
    this.#environment = environment;
  }

  describe(): string {
    return `the SSO profile ${this.#profile}`;
  }

  async fetch(signal: AbortSignal): Promise<AwsKeys> {
    const { credentialsFile, configFile } = sharedFilePaths({}, this.#environment);
    try {
      return await askSdk(this.describe(), {}, signal, (providers, clientConfig) =>
        providers.fromSSO({
          profile: this.#profile,
          filepath: credentialsFile,
          configFilepath: configFile,
          ignoreCache: true,
          clientConfig,
        }),
      );
    } catch (error) {
      signal.throwIfAborted();
      throw credentialsFailed(this.describe(), whyOf(error), {
        hint: `When the session is over: aws sso login --profile ${this.#profile}`,
      });
    }
  }

  get #profile(): string {
    return profileName(this.#settings.profile, this.#environment);
  }
}
