/**
 * Places that are probably not the ones that were meant: a database that is not there beside one of a similar name, a database
 * without a replica, a relative `file://` URL. Told by `check` and `config`, and at the start. Names alone are looked at; nothing is opened.
 */
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { suggest } from '../base/suggest.ts';
import type { Config, DatabaseSettings } from '../config/settings.ts';

export interface PlaceWarning {
  /** The database or the destination. */
  readonly subject: string;
  /** As `check` names what it looks at. */
  readonly step: 'replicas' | 'destination';
  readonly message: string;
  readonly hint: string;
}

/** What the configuration alone shows; a missing database is looked for by `lookalikeHint`. */
export function placeWarnings({ path, replicas }: DatabaseSettings): readonly PlaceWarning[] {
  if (replicas.length === 0) return [{ subject: path, step: 'replicas', ...NO_REPLICA }];
  return replicas.flatMap(({ destination }) => {
    if (destination.type !== 'file' || destination.writtenAs === undefined) return [];
    const { path: directory, writtenAs } = destination;
    const message = `${writtenAs} is the directory ${directory}: there are no relative file URLs`;
    const hint = `If that is meant, write file://${directory}; otherwise give the directory as \`path\`, or with its whole path.`;
    return [{ subject: `file://${directory}`, step: 'destination' as const, message, hint }];
  });
}

const NO_REPLICA = {
  message: 'has no replica: nothing of it is stored anywhere',
  hint: 'Give it a `replica`, or remove it from the configuration.',
};

/** As sentences for a log or standard error. */
export function placeWarningsAtStart({ databases }: Config): readonly string[] {
  return databases.flatMap((database) => [
    ...placeWarnings(database).map(({ subject, step, message, hint }) =>
      step === 'replicas' ? `${subject} ${message}. ${hint}` : `${message}. ${hint}`,
    ),
    ...misspelt(database),
  ]);
}

function misspelt({ path }: DatabaseSettings): readonly string[] {
  const hint = lookalikeHint(path);
  return hint === undefined ? [] : [`${path} does not exist. ${hint}`];
}

const SIDECAR = /-(?:wal|shm|journal)$/;

/** A question about a path that is not there, when something beside it has a similar name; undefined otherwise. */
export function lookalikeHint(path: string): string | undefined {
  const missing = firstMissing(path);
  if (missing === undefined) return undefined;
  const isDatabase = missing === path;
  const names = namesIn(dirname(missing), isDatabase).filter((name) => !isDatabase || !SIDECAR.test(name));
  const similar = suggest(basename(missing), names);
  if (similar === undefined) return undefined;
  const other = join(dirname(missing), similar) + path.slice(missing.length);
  return `Did you mean ${other}?`;
}

/** The path itself, or the first of its directories that is not there; undefined when it exists or cannot be looked at. */
function firstMissing(path: string): string | undefined {
  let missing: string | undefined;
  for (let at = path; ; at = dirname(at)) {
    try {
      if (statSync(at, { throwIfNoEntry: false }) !== undefined) return missing;
    } catch {
      return undefined;
    }
    missing = at;
    if (dirname(at) === at) return undefined;
  }
}

function namesIn(directory: string, areFiles: boolean): readonly string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => (areFiles ? !entry.isDirectory() : !entry.isFile()))
      .map(({ name }) => name)
      .sort();
  } catch {
    return [];
  }
}
