import { basename, dirname, join, resolve } from 'node:path';

/** The directories that paths in a configuration start from. */
export interface PathBase {
  /** Working directory, absolute. */
  readonly cwd: string;
  /** Home directory, absolute. */
  readonly home: string;
}

/** `~` and `~/…` become the home directory; anything relative starts at the working directory. `~user` is not known. */
export function absolutePath(path: string, base: PathBase): string {
  const expanded = path === '~' || /^~[/\\]/.test(path) ? join(base.home, path.slice(1)) : path;
  return resolve(base.cwd, expanded);
}

/**
 * Where the local state of a database lies unless `meta-path` says otherwise. Litestream's is `.NAME-litestream`; ours
 * differs on purpose, so that both programs may be used in turn and neither touches the other's.
 */
export function defaultMetaPath(databasePath: string): string {
  return join(dirname(databasePath), `.${basename(databasePath)}-rivulet`);
}
