/** SQLite's own opinion of the restored file, before it gets its name. */
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { RivuletError, messageOf } from '../base/errors.ts';
import type { IntegrityCheck } from './options.ts';

const PRAGMAS = { quick: 'PRAGMA quick_check(10)', full: 'PRAGMA integrity_check(10)' } as const;

/** The complaints, or none. */
function complaints(path: string, check: 'quick' | 'full'): string[] {
  // Immutable: SQLite reads the file as it is, without a lock and without a log or shared memory beside it.
  const url = new URL('?immutable=1', pathToFileURL(path));
  try {
    using database = new DatabaseSync(url, { readOnly: true });
    const rows = database.prepare(PRAGMAS[check]).all();
    return rows.flatMap((row) => Object.values(row).map(String)).filter((text) => text !== 'ok');
  } catch (error) {
    return [messageOf(error)];
  }
}

/**
 * Checks the database at `path` without changing anything.
 *
 * @throws RivuletError `INTEGRITY` with what SQLite found
 */
export function checkIntegrity(path: string, check: IntegrityCheck): void {
  if (check === 'none') return;
  const found = complaints(path, check);
  if (found.length === 0) return;
  throw new RivuletError(
    'INTEGRITY',
    `the restored database does not pass its ${check} check: ${found.join('; ')}`,
    {
      hint: 'An object that nothing in the replica can prove is wrong or missing; try an earlier point.',
      details: { found },
    },
  );
}
