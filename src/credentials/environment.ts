import type { AwsKeys } from '../storage/aws-keys.ts';
import { credentialsFailed } from './credentials-failed.ts';
import { fromRecord, keysFromVariables } from './key-variables.ts';
import type { CredentialSource } from './source.ts';

/** The variables that this process was started with. */
export class EnvironmentSource implements CredentialSource {
  readonly #environment: NodeJS.ProcessEnv;

  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = environment;
  }

  describe(): string {
    return 'the environment';
  }

  async fetch(): Promise<AwsKeys> {
    try {
      return keysFromVariables(fromRecord(this.#environment));
    } catch (error) {
      throw credentialsFailed(this.describe(), (error as Error).message, { retry: false });
    }
  }
}
