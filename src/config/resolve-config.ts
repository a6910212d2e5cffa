import { parseAddress } from './address.ts';
import { reportClashes } from './clashes.ts';
import type { ResolvedDatabase, ResolvedReplica } from './resolved.ts';
import type { Given } from './key-spec.ts';
import { absolutePath } from './paths.ts';
import type { SharedKeys } from './destination-parts.ts';
import { resolveSharedKeys } from './s3-keys.ts';
import { resolveReplica } from './resolve-replica.ts';
import type { Config, DatabaseSettings } from './settings.ts';
import { settle } from './settle.ts';
import { defaultStatePath, givenStatePath } from './state-place.ts';
import type { Settling } from './settle.ts';
import { isPattern } from './wildcards.ts';

/**
 * Fills in defaults, makes paths absolute, completes destinations and checks what no single key can tell. Problems are
 * reported through `settling`; the result means something only when there were none.
 */
export function resolveConfig(given: Given<'root'>, settling: Settling): Config {
  const { addr, exec, shutdownTimeoutMs, socket, logging } = settle('root', given);
  const shared = { ...resolveSharedKeys(given, settling), caFile: given.caFile };
  const databases = (given.databases ?? [])
    .map((database) => resolveDatabase(database, shared, settling))
    .filter((database) => database !== undefined);
  reportClashes(databases, settling);
  if (addr !== undefined && parseAddress(addr) === undefined) {
    settling.problem(given, 'addr', `expected host:port or :port, not ${JSON.stringify(addr)}`);
  }
  return {
    addr,
    exec,
    shutdownTimeoutMs,
    socket: { ...socket, path: socketPath(socket.path, settling) },
    logging,
    databases: databases.map(({ settings }) => settings),
  };
}

/** The name of a pipe of Windows is no path. */
function socketPath(path: string | undefined, settling: Settling): string | undefined {
  return path === undefined || path.startsWith('\\\\.\\pipe\\') ? path : absolutePath(path, settling);
}

function resolveDatabase(
  given: Given<'database'>,
  shared: SharedKeys,
  settling: Settling,
): ResolvedDatabase | undefined {
  const replicas = replicasOf(given, settling)
    .map((replica) => ({ given: replica, settings: resolveReplica(replica, shared, settling) }))
    .filter((replica): replica is ResolvedReplica => replica.settings !== undefined);
  if (given.path === undefined) return undefined;
  const { replica: _replica, ...settled } = settle('database', { ...given, path: given.path });
  const path = absolutePath(given.path, settling);
  if (isPattern(path)) settling.problem(given, 'path', PATTERN);
  const settings = {
    ...settled,
    ...checkpointPageCounts(given, settled, settling),
    path,
    metaPath: statePathOf(given, path, settling),
    replicas: replicas.map((replica) => replica.settings),
  };
  return { given, settings, replicas };
}

const PATTERN =
  'has wildcards, and there is no file of that name: each database is listed with its own path. A database that is to get ' +
  'such a name must be there before';

function statePathOf(given: Given<'database'>, path: string, settling: Settling): string {
  if (given.metaPath === undefined) return defaultStatePath(path);
  const metaPath = absolutePath(given.metaPath, settling);
  const statePath = givenStatePath(metaPath, path);
  if (statePath !== metaPath) {
    const why = `${metaPath} holds files that are not Rivulet's: the local state is kept in ${statePath}`;
    settling.warning(given, 'metaPath', why);
  }
  return statePath;
}

function replicasOf(given: Given<'database'>, settling: Settling): readonly Given<'replica'>[] {
  if (given.replica === undefined) return given.replicas ?? [];
  if (settling.has(given, 'replicas')) {
    settling.problem(given, 'replica', 'cannot be given beside `replicas`; put it into the list');
  }
  return [given.replica, ...(given.replicas ?? [])];
}

type PageCounts = Pick<DatabaseSettings, 'minCheckpointPageCount' | 'maxCheckpointPageCount'>;

/** A limit that the file does not give yields to the one that it gives; two given ones must fit. */
function checkpointPageCounts(given: Given<'database'>, settled: PageCounts, settling: Settling): PageCounts {
  const { minCheckpointPageCount: min, maxCheckpointPageCount: max } = settled;
  if (max === 0 || max >= min) return { minCheckpointPageCount: min, maxCheckpointPageCount: max };
  if (given.maxCheckpointPageCount === undefined) {
    return { minCheckpointPageCount: min, maxCheckpointPageCount: min };
  }
  if (given.minCheckpointPageCount !== undefined) {
    settling.problem(
      given,
      'maxCheckpointPageCount',
      `is ${max}, less than min-checkpoint-page-count, which is ${min}; 0 switches it off`,
    );
  }
  return { minCheckpointPageCount: max, maxCheckpointPageCount: max };
}
