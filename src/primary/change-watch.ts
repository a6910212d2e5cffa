/**
 * Says "something may have changed" for one database: file events on its directory, with a slow poll as a safety
 * net where events are lost or not to be had (network file systems). It never says what changed; readers look.
 *
 * While a reader would not look anyway, `pause` takes the watch away, so that a busy writer costs nothing.
 */
import { type FSWatcher, statSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

export interface ChangeWatchOptions {
  readonly path: string;
  /** Spacing of the poll, in milliseconds. */
  readonly pollIntervalMs: number;
  readonly onChange: () => void;
}

/** Each so many polls "something may have changed" is said whatever the times of the files say. */
const BLIND_POLL_EVERY = 10;

export class ChangeWatch {
  readonly #options: ChangeWatchOptions;
  readonly #names: ReadonlySet<string>;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #fingerprint = '';
  #polls = 0;

  constructor(options: ChangeWatchOptions) {
    this.#options = options;
    const name = basename(options.path);
    this.#names = new Set([name, `${name}-wal`]);
  }

  start(): void {
    this.resume();
    this.#timer ??= setInterval(() => this.#poll(), this.#options.pollIntervalMs);
  }

  /** Stops listening to file events; the poll goes on. */
  pause(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  /** Listens again. What happened in between is not told: look after calling this. */
  resume(): void {
    if (this.#watcher !== undefined) return;
    try {
      const watcher = watch(dirname(this.#options.path), { persistent: false });
      watcher.on('change', (_, name) => {
        if (name === null || this.#names.has(String(name))) this.#options.onChange();
      });
      watcher.on('error', () => this.pause());
      this.#watcher = watcher;
    } catch {
      // No directory, or the system's limit on watches is reached: the poll carries on alone.
    }
  }

  stop(): void {
    this.pause();
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #poll(): void {
    const now = `${fingerprintOf(this.#options.path)} ${fingerprintOf(`${this.#options.path}-wal`)}`;
    this.#polls++;
    if (now === this.#fingerprint && this.#polls % BLIND_POLL_EVERY !== 0) return;
    this.#fingerprint = now;
    this.#options.onChange();
  }
}

function fingerprintOf(path: string): string {
  try {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stats === undefined ? '-' : `${stats.ino} ${stats.size} ${stats.mtimeNs}`;
  } catch {
    return '?';
  }
}
