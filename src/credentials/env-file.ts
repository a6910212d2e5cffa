import type { Clock } from '../base/clock.ts';
import { parseEnvironmentFile } from './environment-file.ts';
import { FileSource } from './file-source.ts';
import { keysFromVariables } from './key-variables.ts';
import type { EnvFileSettings } from './settings.ts';
import type { CredentialSource } from './source.ts';

/** A file that holds environment variables, as systemd's `EnvironmentFile`. */
export function envFileSource({ path }: EnvFileSettings, clock: Clock): CredentialSource {
  return new FileSource(
    {
      description: `the environment file ${path}`,
      paths: [path],
      read: ([text]) => {
        if (text === undefined) throw new Error('it does not exist');
        const variables = parseEnvironmentFile(text);
        return keysFromVariables((name) => variables.get(name) || undefined);
      },
    },
    clock,
  );
}
