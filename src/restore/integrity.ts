/**
 * SQLite's own opinion of the restored file, before it gets its name.
 *
 * Three things come of asking for it, and only the first is damage: SQLite finds fault with the file; it cannot look at all of it,
 * because the application brings collations, functions, tokenizers or virtual tables of its own, or newer syntax; or the copy
 * cannot be read from this disk. In the second case each table is checked by itself, and what is left out is reported.
 */
import type { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { RivuletError, messageOf } from '../base/errors.ts';
import { obstacleInSchema, openAnySchema, unparsableSchema } from '../primary/any-schema.ts';
import { ofOrderAlone } from './index-order.ts';
import type { IntegrityCheck } from './options.ts';

type Depth = Exclude<IntegrityCheck, 'none'>;

const PRAGMAS = { quick: 'quick_check', full: 'integrity_check' } as const;
/** How many complaints SQLite collects: complaints that are none must not fill the list before damage does. */
const COMPLAINTS_MAX = 1000;
/** How many of them, or of the names of tables, an error or a sentence names. */
const TOLD_MAX = 10;

const SQLITE_ERROR = 1;
/** The file could not be read, or there was no memory: `PERM`, `BUSY`, `NOMEM`, `INTERRUPT`, `IOERR`, `CANTOPEN`. */
const SQLITE_NOT_LOOKED: ReadonlySet<number> = new Set([3, 5, 7, 9, 10, 14]);
const SQLITE_PRIMARY_MASK = 0xff;

interface Findings {
  /** Damage, in SQLite's words. */
  readonly complaints: string[];
  /** What stood in the way of the check; undefined when it ran. */
  readonly obstacle?: string;
}

/** @throws RivuletError `OUTPUT_UNWRITABLE` when the copy cannot be read */
function findingsOf(error: unknown, path: string): Findings {
  const code =
    error instanceof Error && 'errcode' in error ? Number(error.errcode) & SQLITE_PRIMARY_MASK : undefined;
  if (code === undefined || SQLITE_NOT_LOOKED.has(code)) {
    throw new RivuletError(
      'OUTPUT_UNWRITABLE',
      `the restored copy ${path} cannot be checked: ${messageOf(error)}`,
      { cause: error, hint: 'Look for faults of this disk, and give a place on another one.' },
    );
  }
  const obstacle = unparsableSchema(error) ?? (code === SQLITE_ERROR ? messageOf(error) : undefined);
  return obstacle === undefined ? { complaints: [messageOf(error)] } : { complaints: [], obstacle };
}

/** @param table - undefined for the whole file */
function ask(database: DatabaseSync, path: string, depth: Depth, table?: string): Findings {
  const subject = table === undefined ? String(COMPLAINTS_MAX) : `"${table.replaceAll('"', '""')}"`;
  try {
    const rows = database.prepare(`PRAGMA ${PRAGMAS[depth]}(${subject})`).all();
    const texts = rows.flatMap((row) => Object.values(row).map(String));
    return { complaints: texts.filter((text) => text !== 'ok') };
  } catch (error) {
    return findingsOf(error, path);
  }
}

// Immutable: SQLite reads the file as it is, without a lock and without a WAL or shared memory beside it.
function openImmutable(path: string): DatabaseSync {
  return openAnySchema(new URL('?immutable=1', pathToFileURL(path)), { readOnly: true });
}

interface Opinion {
  readonly complaints: readonly string[];
  readonly leftOut: readonly string[];
}

function opinionOf(path: string, depth: Depth): Opinion {
  let whole: Findings;
  try {
    using database = openImmutable(path);
    const inSchema = obstacleInSchema(database);
    whole = inSchema === undefined ? ask(database, path, depth) : findingsOf(inSchema, path);
    if (whole.obstacle === undefined) return withoutOrder(database, whole.complaints);
  } catch (error) {
    if (error instanceof RivuletError) throw error;
    whole = findingsOf(error, path);
  }
  // A connection of its own, which has not been told yet that it shall parse all of the schema.
  using database = openImmutable(path);
  return byTable(database, path, depth, whole.obstacle ?? '');
}

/** Sets aside what is a matter of an index's order alone. */
function withoutOrder(database: DatabaseSync, complaints: readonly string[]): Opinion {
  const orderAlone = ofOrderAlone(database, complaints);
  const [first] = orderAlone;
  if (first === undefined) return { complaints, leftOut: [] };
  const leftOut = [
    `SQLite's own check does not agree with the order of an index (${first}): its order is by a collation or function that the application ` +
      'may have replaced. It holds every row; if the application has not, REINDEX mends it',
  ];
  return { complaints: complaints.filter((complaint) => !orderAlone.has(complaint)), leftOut };
}

/** Checks what can be checked: each table, thoroughly or else quickly. */
function byTable(database: DatabaseSync, path: string, depth: Depth, obstacle: string): Opinion {
  const complaints: string[] = [];
  const leftOut: string[] = [];
  const unchecked: string[] = [];
  for (const table of tablesOf(database, path)) {
    let found = ask(database, path, depth, table);
    if (found.obstacle !== undefined && depth === 'full') found = ask(database, path, 'quick', table);
    if (found.obstacle !== undefined) unchecked.push(table);
    const own = withoutOrder(database, found.complaints);
    complaints.push(...own.complaints);
    leftOut.push(...own.leftOut);
  }
  const but = unchecked.length === 0 ? '' : ` but ${listed(unchecked)}`;
  const sentence =
    `SQLite's own check could not run on the whole database: ${obstacle}. ` +
    `SQLite ${process.versions['sqlite'] ?? ''} checked each table by itself${but}`;
  return { complaints, leftOut: [sentence, ...leftOut] };
}

/** Those of the schema itself when they cannot be listed: that says the same as checking it. */
function tablesOf(database: DatabaseSync, path: string): string[] {
  try {
    const rows = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
    return ['sqlite_schema', ...rows.map((row) => String(row['name']))];
  } catch (error) {
    findingsOf(error, path);
    return ['sqlite_schema'];
  }
}

function listed(names: readonly string[]): string {
  const more = names.length - TOLD_MAX;
  return names.slice(0, TOLD_MAX).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/**
 * Checks the database at `path` without changing anything.
 *
 * @returns what could not be checked and why, one sentence each; nothing when all of it was
 * @throws RivuletError `INTEGRITY` with what SQLite found, `OUTPUT_UNWRITABLE` when the copy cannot be read
 */
export function checkIntegrity(path: string, check: IntegrityCheck): readonly string[] {
  if (check === 'none') return [];
  const { complaints, leftOut } = opinionOf(path, check);
  if (complaints.length === 0) return leftOut;
  const found = complaints.slice(0, TOLD_MAX);
  throw new RivuletError(
    'INTEGRITY',
    `the restored database does not pass its ${check} check: ${found.join('; ')}`,
    {
      hint: 'An object that nothing in the replica can prove is wrong or missing; try an earlier point.',
      details: { found },
    },
  );
}
