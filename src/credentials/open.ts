/** From settings to a keeper of keys: the only file that knows every source. */
import { AssumeRoleSource } from './assume-role.ts';
import { AutoSource } from './auto.ts';
import { ContainerSource } from './container.ts';
import { envFileSource } from './env-file.ts';
import { EnvironmentSource } from './environment.ts';
import { InstanceSource } from './instance.ts';
import { IotSource } from './iot.ts';
import { KeyKeeper } from './keeper.ts';
import type { KeeperTools } from './keeper.ts';
import { ProcessSource } from './process.ts';
import { ProfileSource } from './profile.ts';
import type { CredentialSettings } from './settings.ts';
import type { CredentialSource } from './source.ts';
import { SsoSource } from './sso.ts';
import { staticSource } from './static.ts';
import { WebIdentitySource } from './web-identity.ts';

export interface CredentialTools extends KeeperTools {
  /** The variables that sources look at; this process's own when absent. */
  readonly environment?: NodeJS.ProcessEnv;
}

/** Asks nobody yet: the first request does. The caller closes it. */
export function openKeySource(settings: CredentialSettings, tools: CredentialTools): KeyKeeper {
  return new KeyKeeper(openSource(settings, tools), tools);
}

export function openSource(settings: CredentialSettings, tools: CredentialTools): CredentialSource {
  const { clock, environment = process.env } = tools;
  switch (settings.source) {
    case 'auto':
      return new AutoSource(settings, environment, clock);
    case 'static':
      return staticSource(settings, clock);
    case 'environment':
      return new EnvironmentSource(environment);
    case 'profile':
      return new ProfileSource(settings, environment, clock);
    case 'env-file':
      return envFileSource(settings, clock);
    case 'process':
      return new ProcessSource(settings, environment);
    case 'assume-role':
      return new AssumeRoleSource(settings, openKeySource(settings.base ?? { source: 'auto' }, tools));
    case 'web-identity':
      return new WebIdentitySource(settings, environment);
    case 'container':
      return new ContainerSource(settings, environment);
    case 'instance':
      return new InstanceSource(settings, environment);
    case 'sso':
      return new SsoSource(settings, environment);
    case 'iot':
    default:
      return new IotSource(settings, environment, clock);
  }
}
