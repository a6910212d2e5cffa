/** Rows as applications have them: words, numbers, dates, and now and then bytes that do not compress. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { randomFrom } from './random.ts';

const SYLLABLES = 'an be co da el fi go ha in jo ka lu me no or pa qui ro sa tu un va wi xe yo zu'.split(' ');

export const CREATE_EVENTS =
  'CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, at TEXT, kind TEXT, amount REAL, body TEXT, extra BLOB)';
export const INSERT_EVENT = 'INSERT INTO events (at, kind, amount, body, extra) VALUES (?, ?, ?, ?, ?)';

export class RowMaker {
  readonly #random: () => number;
  readonly #words: string[];
  #second = 0;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
    this.#words = Array.from({ length: 4000 }, () => this.#word());
  }

  #word(): string {
    const syllables = 1 + Math.floor(this.#random() * 4);
    return Array.from({ length: syllables }, () => SYLLABLES[this.#below(SYLLABLES.length)]).join('');
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  #text(chars: number): string {
    let text = '';
    // The square prefers the words at the front, as language does.
    while (text.length < chars) text += `${this.#words[Math.floor(this.#random() ** 2 * 4000)]} `;
    return text.slice(0, chars);
  }

  #bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#below(256));
  }

  /** Values for `INSERT_EVENT`: about `bytes` bytes, a fifth of them random. */
  next(bytes: number): SQLInputValue[] {
    const at = new Date(1_700_000_000_000 + 1000 * this.#second++).toISOString();
    const extraBytes = Math.floor(bytes / 5);
    const textChars = Math.max(1, bytes - extraBytes - 50);
    const kind = this.#words[this.#below(20)] ?? '';
    return [at, kind, this.#below(1_000_000) / 100, this.#text(textChars), this.#bytes(extraBytes)];
  }
}

/** Makes sure of the table, in a database in WAL mode; the application of the benchmark does not wait for the disk. */
export function prepareEvents(database: DatabaseSync): StatementSync {
  database.exec('PRAGMA journal_mode = wal; PRAGMA synchronous = normal; PRAGMA busy_timeout = 5000');
  database.exec(CREATE_EVENTS);
  return database.prepare(INSERT_EVENT);
}
