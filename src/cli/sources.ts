/** Which replicas a command means: those of a configured database, or the one behind a URL. */
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';

import { RivuletError } from '../base/errors.ts';
import { configFromCommandLine } from '../config/from-command-line.ts';

import { isUrl } from '../config/replica-url.ts';
import type { DatabaseSettings, ReplicaSettings } from '../config/settings.ts';
import type { CommandContext } from './command.ts';

export interface Sources {
  /** Absolute; undefined when a URL was given. */
  readonly databasePath: string | undefined;
  readonly replicas: readonly ReplicaSettings[];
}

/**
 * Reads the argument `DB_PATH|REPLICA_URL` with -config and -replica. Throws `USAGE` for flags that contradict it,
 * `REPLICA_UNKNOWN` for a database or replica that is not configured, and what `loadConfig` throws.
 */
export async function findSources(context: CommandContext): Promise<Sources> {
  const [where = ''] = context.arguments;
  if (isUrl(where)) return fromUrl(where, context);
  refuseHalfUrl(where);
  refuseDirectory(resolve(where));
  return fromConfig(resolve(where), context);
}

/** As in `s3:bucket/app`: taken for a path, it would only be missed in the configuration. */
export function refuseHalfUrl(where: string): void {
  const [, scheme] = /^(s3|gs|gcs|abs|sftp|file):/.exec(where) ?? [];
  if (scheme === undefined || existsSync(where)) return;
  throw new RivuletError('USAGE', `${where.slice(0, scheme.length + 2)}... is no replica URL`, {
    hint: `a replica URL begins with ${scheme}://`,
  });
}

/** A replica's directory, given as a path, would only be missed in the configuration. */
function refuseDirectory(path: string): void {
  if (!isDirectory(path)) return;
  throw new RivuletError(
    'USAGE',
    `${path} is a directory; expected the path of a database, or a replica URL`,
    {
      hint: `the replica in a directory is given as a URL: file://${path}`,
    },
  );
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function fromUrl(url: string, { flags }: CommandContext): Sources {
  for (const name of ['config', 'replica']) {
    if (flags.text(name) === undefined) continue;
    throw new RivuletError(
      'USAGE',
      `-${name} does not go with a replica URL; it needs the path of a database`,
    );
  }
  // The path has no meaning here; the URL alone is looked at.
  const [database] = configFromCommandLine('none', [url]).databases;
  return { databasePath: undefined, replicas: database?.replicas ?? [] };
}

async function fromConfig(databasePath: string, context: CommandContext): Promise<Sources> {
  // Loaded when needed: with a URL the YAML reader would be a third of the time to start.
  const { loadConfigFor } = await import('./load-config.ts');
  const { config, file } = await loadConfigFor(context);
  const database = config.databases.find(({ path }) => path === databasePath);
  if (database === undefined) {
    const known = config.databases.map(({ path }) => path).join(', ') || 'none';
    throw new RivuletError(
      'REPLICA_UNKNOWN',
      `${databasePath} is not a database of ${file}; there: ${known}`,
      {
        hint: 'give a path that the configuration has, or a replica URL such as file:///backup/app',
      },
    );
  }
  return { databasePath, replicas: named(database, context.flags.text('replica')) };
}

function named({ path, replicas }: DatabaseSettings, name: string | undefined): readonly ReplicaSettings[] {
  if (name === undefined) return replicas;
  const found = replicas.filter((replica) => replica.name === name);
  if (found.length > 0) return found;
  const known = replicas.map((replica) => replica.name).join(', ') || 'none';
  throw new RivuletError('REPLICA_UNKNOWN', `${path} has no replica "${name}"; there: ${known}`);
}
