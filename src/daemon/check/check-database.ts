/** Can this database be replicated from here? Looks only; nothing is changed. */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { DatabaseSync } from 'node:sqlite';
import { messageOf, RivuletError, systemCode } from '../../base/errors.ts';
import { obstacleInSchema, openAnySchema, unparsableSchema } from '../../primary/any-schema.ts';
import { assertUsable, headerOf, identify, realPathOf } from '../../primary/database-file.ts';
import { assertSidecars } from '../../primary/sidecars.ts';
import { tryWalModeBeside } from '../../primary/wal-mode.ts';
import { assertStateDirectory } from '../../primary/state-directory.ts';
import type { DatabaseSettings } from '../../config/settings.ts';
import { lookalikeHint } from '../place-warnings.ts';
import { failureOf, type Finding } from './finding.ts';

export function* checkDatabase({ path, metaPath }: DatabaseSettings): Generator<Finding, void, undefined> {
  const subject = path;
  yield* step(subject, 'file', () => checkFile(path));
  yield* step(subject, 'permissions', () => checkPermissions(path));
  yield* step(subject, 'local state', () => checkStatePath(metaPath));
  yield* step(subject, 'sqlite', () => checkSqlite(path));
  yield* checkSchema(path);
}

type Outcome = Pick<Finding, 'verdict' | 'detail' | 'hint'>;

function* step(subject: string, name: string, run: () => Outcome): Generator<Finding, void, undefined> {
  try {
    yield { subject, step: name, ...run() };
  } catch (error) {
    yield { subject, step: name, ...failureOf(error) };
  }
}

const NO_DATABASE_YET: Outcome = {
  verdict: 'skipped',
  detail: 'there is no database yet; replication begins when the application has made it',
};

function checkFile(path: string): Outcome {
  assertUsable(path);
  if (identify(path) === undefined)
    return { ...NO_DATABASE_YET, verdict: 'warning', hint: lookalikeHint(path) };
  return { verdict: 'ok', detail: 'it is a SQLite database' };
}

/** SQLite makes `-wal` and `-shm` beside the database, and every connection writes to them. */
function checkPermissions(path: string): Outcome {
  assertAccess(dirname(path), 'the directory of the database');
  for (const file of [path, `${path}-wal`, `${path}-shm`]) {
    if (existsSync(file)) assertAccess(file, file);
  }
  if (existsSync(path)) assertSidecars(path);
  return { verdict: 'ok', detail: 'it and its directory can be read and written' };
}

/** The state directory is made when it is first needed, so the nearest directory that is there must allow it. */
function checkStatePath(metaPath: string): Outcome {
  let directory = metaPath;
  while (!existsSync(directory) && dirname(directory) !== directory) directory = dirname(directory);
  assertAccess(
    directory,
    directory === metaPath ? metaPath : `${directory}, where ${metaPath} is to be made,`,
  );
  if (directory === metaPath) assertStateDirectory(metaPath);
  return { verdict: 'ok', detail: metaPath };
}

function assertAccess(path: string, what: string): void {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    const isMissing = systemCode(error) === 'ENOENT';
    throw new RivuletError('DB_UNREADABLE', `${what} cannot be read and written: ${messageOf(error)}`, {
      cause: error,
      hint: isMissing
        ? 'Make the directory, or correct the path.'
        : 'Run as the user that owns the database, or change owner or mode.',
    });
  }
}

function checkSqlite(path: string): Outcome {
  if (identify(path) === undefined) return NO_DATABASE_YET;
  const { walMode } = headerOf(path);
  const database = openQuietly(path);
  try {
    const mode = database.prepare('PRAGMA journal_mode').get()?.['journal_mode'];
    const pages = Number(database.prepare('PRAGMA page_count').get()?.['page_count']);
    const pageBytes = Number(database.prepare('PRAGMA page_size').get()?.['page_size']);
    const megabytes = ((pages * pageBytes) / 1e6).toFixed(1);
    if (walMode) return { verdict: 'ok', detail: `WAL mode, ${megabytes} MB` };
    tryWalModeBeside(path);
    return {
      verdict: 'warning',
      detail: `journal_mode is ${String(mode)}, ${megabytes} MB; replication switches it to WAL`,
      hint:
        'The application should set "PRAGMA busy_timeout". If it sets journal_mode itself, it must set journal_mode=WAL or leave ' +
        'it out: with another mode it is told "database is locked" while Rivulet runs.',
    };
  } finally {
    database.close();
  }
}

/** Told only where something is to be told. */
function* checkSchema(path: string): Generator<Finding, void, undefined> {
  const obstacle = obstacleIn(path);
  if (obstacle === undefined) return;
  yield {
    subject: path,
    step: 'schema',
    verdict: 'warning',
    detail: `SQLite ${process.versions['sqlite'] ?? ''} of this Node.js cannot parse the schema (${obstacle})`,
    hint: "It is replicated and restored all the same; only SQLite's own check of a restored copy leaves something out.",
  };
}

function obstacleIn(path: string): string | undefined {
  try {
    if (identify(path) === undefined) return undefined;
    using database = openQuietly(path);
    return unparsableSchema(obstacleInSchema(database));
  } catch {
    // The steps before have told it.
    return undefined;
  }
}

/**
 * Without leaving anything behind: to read a database in WAL mode, SQLite makes `-wal` and `-shm`, of this user, and a connection
 * that only reads does not remove them. Where they are not there, nobody has the database open, and its file can be read as it is.
 */
function openQuietly(path: string): DatabaseSync {
  const real = realPathOf(path);
  const isOpenElsewhere = existsSync(`${real}-wal`) && existsSync(`${real}-shm`);
  const url = pathToFileURL(real);
  if (!isOpenElsewhere && headerOf(path).walMode) url.searchParams.set('immutable', '1');
  return openAnySchema(url, { readOnly: true, timeout: 1_000 });
}
