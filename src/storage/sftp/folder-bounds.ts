/** When the entries of a folder do not end: the protocol has no number of them, and a server can go on for ever. */
import type { Clock } from '../../base/clock.ts';
import type { FolderEntry } from './connection.ts';

/** A replica with a segment each second has as many objects after eleven days; a listing fails by time at about as many. */
const FILES_MAX = 1_000_000;
/** Generations, and the few folders of each: a thousand new generations a day for three months. */
const FOLDERS_MAX = 100_000;
/** Names of replicas have some thirty characters; so that names of any length fill no memory. */
const NAME_UNITS_MAX = 128 * 1024 * 1024;
/** A server may answer with an empty page now and then; one after another is no progress. */
const EMPTY_PAGES_MAX = 100;
/** Objects lie three folders deep. */
const DEPTH_MAX = 32;

/** Somebody waits. A folder may take so long, and a while longer for each entry that came, up to a large folder. */
const BEGIN_MS = 30_000;
/** Two hundred entries in a second are some 20 kB: less is no line that a backup could go over. */
const ENTRY_MS = 5;
/** What has sent more than this is no slow server: a folder of this size has to end within `BEGIN_MS`. */
const LARGE_FOLDER_ENTRIES = 300_000;

/** Thrown with what is wrong, as the end of a sentence. */
export class Endless extends Error {}

export class FolderBounds {
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  #files = 0;
  #folders = 0;
  #nameUnits = 0;
  #emptyPages = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAtMs = clock.monotonicMs();
  }

  /** @throws Endless */
  check(page: readonly FolderEntry[]): void {
    this.#emptyPages = page.length === 0 ? this.#emptyPages + 1 : 0;
    for (const { kind, name } of page) {
      if (kind === 'folder') this.#folders++;
      else this.#files++;
      this.#nameUnits += name.length;
    }
    if (this.#emptyPages > EMPTY_PAGES_MAX)
      throw new Endless('the server answers with nothing, and never says that this was all');
    if (this.#folders > FOLDERS_MAX)
      throw new Endless(`it has more than ${FOLDERS_MAX} folders, or never ends`);
    if (this.#files > FILES_MAX) throw new Endless(`it has more than ${FILES_MAX} entries, or never ends`);
    if (this.#nameUnits > NAME_UNITS_MAX)
      throw new Endless('its names are longer than those of any replica, or it never ends');
    const entries = this.#files + this.#folders;
    const timeMs = BEGIN_MS + (entries > LARGE_FOLDER_ENTRIES ? 0 : ENTRY_MS * entries);
    if (this.#clock.monotonicMs() - this.#startedAtMs > timeMs)
      throw new Endless('the server sends it too slowly, or it never ends');
  }
}

/** The same for a folder and all below it: a server can show folders in folders for ever. */
export class TreeBounds {
  #folders = 0;

  /** @throws Endless */
  check(prefix: string): void {
    this.#folders++;
    if (this.#folders > FOLDERS_MAX)
      throw new Endless(`it has more than ${FOLDERS_MAX} folders, or never ends`);
    if (prefix.split('/').length > DEPTH_MAX)
      throw new Endless(`folders are nested more than ${DEPTH_MAX} deep, or without an end`);
  }
}
