import { readFile } from 'node:fs/promises';

import { messageOf } from '../base/errors.ts';
import type { AwsKeys } from '../storage/aws-keys.ts';
import { SESSION_NAME } from './assume-role.ts';
import { credentialsFailed } from './credentials-failed.ts';
import { askSdk } from './sdk.ts';
import type { WebIdentitySettings } from './settings.ts';
import type { CredentialSource } from './source.ts';

/** Where no region is known: the only one whose STS is also the global one. */
const REGION = 'us-east-1';

/** STS AssumeRoleWithWebIdentity, with the token that is in a file at this moment. */
export class WebIdentitySource implements CredentialSource {
  readonly #settings: WebIdentitySettings;
  readonly #environment: NodeJS.ProcessEnv;

  constructor(settings: WebIdentitySettings, environment: NodeJS.ProcessEnv) {
    this.#settings = settings;
    this.#environment = environment;
  }

  describe(): string {
    return `the web identity ${this.#roleArn() ?? '(no role)'}`;
  }

  async fetch(signal: AbortSignal): Promise<AwsKeys> {
    const roleArn = this.#roleArn();
    if (roleArn === undefined) {
      throw credentialsFailed(this.describe(), 'there is no role ARN', { retry: false });
    }
    const webIdentityToken = await this.#token();
    const { durationSeconds, sessionName, endpoint } = this.#settings;
    const roleSessionName = sessionName ?? (this.#environment['AWS_ROLE_SESSION_NAME'] || SESSION_NAME);
    return askSdk(this.describe(), { endpoint, region: this.#region() }, signal, (providers, clientConfig) =>
      providers.fromWebToken({
        roleArn,
        webIdentityToken,
        roleSessionName,
        clientConfig,
        ...(durationSeconds === undefined ? {} : { durationSeconds }),
      }),
    );
  }

  #roleArn(): string | undefined {
    return this.#settings.roleArn ?? (this.#environment['AWS_ROLE_ARN'] || undefined);
  }

  #region(): string {
    const { AWS_REGION: region, AWS_DEFAULT_REGION: other } = this.#environment;
    return this.#settings.region ?? (region || other || REGION);
  }

  async #token(): Promise<string> {
    const path = this.#settings.tokenFile ?? (this.#environment['AWS_WEB_IDENTITY_TOKEN_FILE'] || undefined);
    if (path === undefined)
      throw credentialsFailed(this.describe(), 'there is no token file', { retry: false });
    let token: string;
    try {
      token = (await readFile(path, 'utf8')).trim();
    } catch (error) {
      throw credentialsFailed(this.describe(), `its token file cannot be read: ${messageOf(error)}`);
    }
    if (token === '') throw credentialsFailed(this.describe(), `its token file ${path} is empty`);
    return token;
  }
}
