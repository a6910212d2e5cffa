import type { Clock } from '../base/clock.ts';
import type { AwsKeys } from '../storage/aws-keys.ts';
import { ChangeGuard } from './change-guard.ts';
import { credentialsFailed, whyOf } from './credentials-failed.ts';
import { ProcessSource } from './process.ts';
import { planProfile } from './profile-plan.ts';
import type { ProfilePlan } from './profile-plan.ts';
import { askSdk } from './sdk.ts';
import type { ProfileSettings } from './settings.ts';
import { readProfile, sharedFilePaths } from './shared-files.ts';
import type { SharedFilePaths } from './shared-files.ts';
import type { CredentialSource, FetchOptions } from './source.ts';
import { identitiesOf, readStill } from './still-file.ts';

export function profileName(named: string | undefined, environment: NodeJS.ProcessEnv): string {
  return named ?? (environment['AWS_PROFILE'] || 'default');
}

/** A profile of the shared AWS files. Keys and `credential_process` are read here; the rest is left to the AWS library. */
export class ProfileSource implements CredentialSource {
  readonly #settings: Omit<ProfileSettings, 'source'>;
  readonly #profile: string;
  readonly #files: SharedFilePaths;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #clock: Clock;
  readonly #guard = new ChangeGuard();
  /** As it was read last, and the keys that were in it. */
  #last: { readonly identity: string; readonly keys: AwsKeys | undefined } | undefined;

  constructor(settings: Omit<ProfileSettings, 'source'>, environment: NodeJS.ProcessEnv, clock: Clock) {
    this.#settings = settings;
    this.#profile = profileName(settings.profile, environment);
    this.#files = sharedFilePaths(settings, environment);
    this.#environment = environment;
    this.#clock = clock;
  }

  describe(): string {
    return `the profile ${this.#profile} of ${this.#files.credentialsFile} and ${this.#files.configFile}`;
  }

  changed(): boolean {
    return this.#last !== undefined && identitiesOf(this.#paths) !== this.#last.identity;
  }

  /** What the profile says to do now; for `auto`, which passes over one that says nothing. */
  async plan(signal: AbortSignal): Promise<ProfilePlan & { identity: string; found: boolean }> {
    const { texts, identity } = await readStill(this.#paths, this.#clock, {
      signal,
      restMs: this.#guard.restMs,
    });
    const profile = readProfile(this.#profile, { credentials: texts[0], config: texts[1] });
    return {
      ...(profile === undefined ? { kind: 'nothing' } : planProfile(profile)),
      identity,
      found: profile !== undefined,
    };
  }

  async fetch(signal: AbortSignal, options: FetchOptions = {}): Promise<AwsKeys> {
    try {
      const plan = await this.plan(signal);
      const keys = await this.#carryOut(plan, signal, options);
      this.#last = { identity: plan.identity, keys: plan.kind === 'keys' ? keys : undefined };
      return keys;
    } catch (error) {
      signal.throwIfAborted();
      throw credentialsFailed(this.describe(), whyOf(error));
    }
  }

  async #carryOut(
    plan: ProfilePlan & { found: boolean },
    signal: AbortSignal,
    options: FetchOptions,
  ): Promise<AwsKeys> {
    if (plan.kind === 'keys') {
      this.#guard.assertWhole(this.#last?.keys, plan.keys, options);
      return plan.keys;
    }
    if (plan.kind === 'process') {
      return new ProcessSource({ command: plan.command }, this.#environment).fetch(signal);
    }
    if (plan.kind === 'sdk') return this.#askSdk(plan.what, signal);
    throw new Error(
      plan.found ? 'the profile has no keys, role, process or SSO' : 'there is no such profile',
    );
  }

  async #askSdk(what: string, signal: AbortSignal): Promise<AwsKeys> {
    const files = {
      profile: this.#profile,
      filepath: this.#files.credentialsFile,
      configFilepath: this.#files.configFile,
      ignoreCache: true,
    };
    // An SSO session has a region of its own, which the profile says.
    const region = what === 'SSO' ? undefined : this.#settings.region;
    return askSdk(this.describe(), { region }, signal, (providers, clientConfig) =>
      // `fromIni` hands a profile with SSO on without saying in which files it is.
      what === 'SSO'
        ? providers.fromSSO({ ...files, clientConfig })
        : providers.fromIni({ ...files, clientConfig }),
    );
  }

  get #paths(): string[] {
    return [this.#files.credentialsFile, this.#files.configFile];
  }
}
