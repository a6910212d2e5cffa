import type { Clock } from '../base/clock.ts';
import type { AwsKeys } from '../storage/aws-keys.ts';
import { ContainerSource, containerUrl } from './container.ts';
import { credentialsFailed, whyOf } from './credentials-failed.ts';
import { EnvironmentSource } from './environment.ts';
import { InstanceSource, instanceDisabled } from './instance.ts';
import { fromRecord, mentionsKeys } from './key-variables.ts';
import { ProfileSource } from './profile.ts';
import type { AutoSettings } from './settings.ts';
import type { CredentialSource, FetchOptions } from './source.ts';
import { WebIdentitySource } from './web-identity.ts';

/** One step of the chain: a source, and why it does not apply here (undefined when it does). */
interface Step {
  readonly name: string;
  readonly source: CredentialSource;
  whyNot(signal: AbortSignal): Promise<string | undefined>;
}

/**
 * The usual AWS sources in the order of the AWS libraries. The first that is set up here decides: when it fails, no other is
 * asked, since that would be another identity.
 */
export class AutoSource implements CredentialSource {
  readonly #steps: readonly Step[];
  #chosen: Step | undefined;

  constructor(settings: Omit<AutoSettings, 'source'>, environment: NodeJS.ProcessEnv, clock: Clock) {
    this.#steps = stepsOf(settings, environment, clock);
  }

  describe(): string {
    return this.#chosen === undefined ? 'the usual AWS sources' : this.#chosen.source.describe();
  }

  changed(): boolean {
    return this.#chosen?.source.changed?.() ?? false;
  }

  async fetch(signal: AbortSignal, options: FetchOptions = {}): Promise<AwsKeys> {
    const tried: string[] = [];
    this.#chosen = undefined;
    for (const step of this.#steps) {
      const whyNot = await step.whyNot(signal);
      if (whyNot === undefined && step !== this.#steps.at(-1)) {
        this.#chosen = step;
        return step.source.fetch(signal, options);
      }
      if (whyNot !== undefined) tried.push(`${step.name} (${whyNot})`);
      else return this.#last(step, tried, signal);
    }
    throw this.#nothing(tried);
  }

  /** The last step is set up nowhere: it is there or it is not. */
  async #last(step: Step, tried: readonly string[], signal: AbortSignal): Promise<AwsKeys> {
    try {
      const keys = await step.source.fetch(signal);
      this.#chosen = step;
      return keys;
    } catch (error) {
      signal.throwIfAborted();
      throw this.#nothing([...tried, `${step.name} (${whyOf(error)})`]);
    }
  }

  #nothing(tried: readonly string[]): Error {
    return credentialsFailed(this.describe(), `nothing was found; tried: ${tried.join(', ')}`, {
      hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a source: see docs/credentials.md.',
    });
  }
}

function stepsOf(
  settings: Omit<AutoSettings, 'source'>,
  environment: NodeJS.ProcessEnv,
  clock: Clock,
): Step[] {
  const { profile: profileName, region } = settings;
  const profile = new ProfileSource({ profile: profileName, region }, environment, clock);
  const named = profileName ?? (environment['AWS_PROFILE'] || undefined);
  return [
    {
      name: 'environment',
      source: new EnvironmentSource(environment),
      whyNot: async () => {
        // A profile in the configuration is meant more than variables that happen to be there.
        if (profileName !== undefined) return 'a profile is configured';
        return mentionsKeys(fromRecord(environment)) ? undefined : 'AWS_ACCESS_KEY_ID is not set';
      },
    },
    {
      name: 'shared files',
      source: profile,
      whyNot: async (signal) => {
        const { kind, found } = await profile.plan(signal);
        if (kind !== 'nothing' || (named !== undefined && named !== 'default')) return undefined;
        return found ? 'the profile default says nothing of keys' : 'there is no profile default';
      },
    },
    {
      name: 'web identity',
      source: new WebIdentitySource({ source: 'web-identity', region }, environment),
      whyNot: async () =>
        environment['AWS_WEB_IDENTITY_TOKEN_FILE'] ? undefined : 'AWS_WEB_IDENTITY_TOKEN_FILE is not set',
    },
    {
      name: 'container',
      source: new ContainerSource({ source: 'container' }, environment),
      whyNot: async () =>
        containerUrl({}, environment) === undefined ? 'AWS_CONTAINER_CREDENTIALS_* is not set' : undefined,
    },
    {
      name: 'instance metadata',
      source: new InstanceSource({ source: 'instance' }, environment),
      whyNot: async () => (instanceDisabled(environment) ? 'AWS_EC2_METADATA_DISABLED is set' : undefined),
    },
  ];
}
