import { RivuletError } from '../base/errors.ts';

export const NODE_MAJOR_MIN = 24;
/** SQLite up to 3.51.2 can corrupt a database when a WAL reset races with a checkpoint (sqlite.org/wal.html). */
export const SQLITE_MIN = '3.51.3';

/** Throws `NODE_UNSUPPORTED` unless this Node.js and the SQLite inside it are safe for a replicator. */
export function checkRuntime(versions: {
  readonly node: string;
  readonly sqlite?: string | undefined;
}): void {
  const hint = `use Node.js ${NODE_MAJOR_MIN} (its newest release) or later; RIVULET_NODE may hold its path`;
  if (!isAtLeast(versions.node, `${NODE_MAJOR_MIN}`)) {
    throw new RivuletError(
      'NODE_UNSUPPORTED',
      `this is Node.js ${versions.node}; expected >= ${NODE_MAJOR_MIN}`,
      {
        hint,
      },
    );
  }
  if (versions.sqlite === undefined || !isAtLeast(versions.sqlite, SQLITE_MIN)) {
    throw new RivuletError(
      'NODE_UNSUPPORTED',
      `Node.js ${versions.node} holds SQLite ${versions.sqlite ?? '(none)'}; expected >= ${SQLITE_MIN}`,
      { hint },
    );
  }
}

/** Compares dotted numbers; parts that `minimum` does not name do not count. */
function isAtLeast(version: string, minimum: string): boolean {
  const actual = version.split('.').map(Number);
  for (const [part, wanted] of minimum.split('.').map(Number).entries()) {
    const difference = (actual[part] ?? 0) - wanted;
    if (difference !== 0) return difference > 0;
  }
  return true;
}
