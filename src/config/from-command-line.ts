import { homedir } from 'node:os';

import { RivuletError } from '../base/errors.ts';
import type { Given } from './key-spec.ts';
import { isUrl, parseReplicaUrl } from './replica-url.ts';
import { resolveConfig } from './resolve-config.ts';
import type { Config } from './settings.ts';
import { readSecretFile } from './secret-file.ts';
import type { Settling } from './settle.ts';

export interface CommandLineConfigOptions {
  readonly exec?: string | undefined;
  /** Default `process.env`. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Default the working directory. */
  readonly cwd?: string;
  /** Default the user's home directory. */
  readonly home?: string;
}

/**
 * The configuration that `replicate DB_PATH URL [URL...]` stands for: one database with the defaults. Replicas are named by
 * their type; a second of the same type is `file-2` and so on, where v0.3.13 fails.
 *
 * @throws RivuletError USAGE when there is no URL or one cannot be used.
 */
export function configFromCommandLine(
  databasePath: string,
  urls: readonly string[],
  options: CommandLineConfigOptions = {},
): Config {
  refuseSwappedArguments(databasePath, urls);
  const replicas = nameReplicas(urls);
  const database: Given<'database'> = { path: databasePath, replicas };
  return resolveConfig({ exec: options.exec, databases: [database] }, settlingFor(options, replicas));
}

function refuseSwappedArguments(databasePath: string, urls: readonly string[]): void {
  if (isUrl(databasePath)) {
    throw usage(
      `expected the path of a database first, not a URL`,
      'Write: rivulet replicate DB_PATH REPLICA_URL',
    );
  }
  if (urls.length === 0) {
    throw usage(
      'a database without a replica URL cannot be replicated',
      'Write: rivulet replicate DB_PATH REPLICA_URL',
    );
  }
}

function nameReplicas(urls: readonly string[]): readonly Given<'replica'>[] {
  const counts = new Map<string, number>();
  return urls.map((url) => {
    const type = typeOf(url);
    const count = (counts.get(type) ?? 0) + 1;
    counts.set(type, count);
    return { url, name: count === 1 ? type : `${type}-${count}` };
  });
}

const DOCUMENTED = 'docs/configuration.md lists what a URL may hold, under "Replica URLs".';

function typeOf(url: string): string {
  const parsed = parseReplicaUrl(url);
  if (!('problem' in parsed)) return parsed.type;
  const hint = 'A directory is written file:///absolute/path.';
  throw usage(`replica URL: ${parsed.problem}`, /^(s3|sftp|abs|gcs|gs):/.test(url) ? DOCUMENTED : hint);
}

/** There is no file to point into: the first problem is the error. */
function settlingFor(options: CommandLineConfigOptions, replicas: readonly Given<'replica'>[]): Settling {
  const describe = (section: object): string =>
    `replica URL ${replicas.findIndex((one) => one === section) + 1}`;
  return {
    cwd: options.cwd ?? process.cwd(),
    home: options.home ?? homedir(),
    environment: options.environment ?? process.env,
    readSecretFile,
    has: () => false,
    wasReported: () => false,
    describe,
    problem: (section, _property, message) => {
      throw usage(`${describe(section)}: ${message}`);
    },
    warning: () => undefined,
  };
}

function usage(message: string, hint?: string): RivuletError {
  return new RivuletError('USAGE', message, hint === undefined ? {} : { hint });
}
