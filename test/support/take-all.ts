/** A destination in memory: takes everything from a primary and puts the database together again with SQLite's help. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { openAnySchema } from '../../src/primary/any-schema.ts';
import { type Cursor, positionOf, startOfLog } from '../../src/primary/cursor.ts';
import type { Primary } from '../../src/primary/primary.ts';
import type { Snapshot } from '../../src/primary/snapshot-source.ts';
import { Scratch } from './scratch.ts';

/** Where the bytes of log `index` must begin for a reader who stands at `cursor`. */
function positionIn(cursor: Cursor, index: number): number {
  const { index: own, offsetBytes } = positionOf(cursor);
  return own === index ? offsetBytes : 0;
}

/** Follows one primary from a first snapshot on; every byte is kept. */
export class Follower {
  readonly name: string;
  readonly #primary: Primary;
  readonly #logs = new Map<number, Buffer[]>();
  #snapshot: Buffer = Buffer.alloc(0);
  cursor: Cursor = startOfLog(0);

  constructor(primary: Primary, name: string = 'memory') {
    this.#primary = primary;
    this.name = name;
  }

  async start(): Promise<void> {
    await this.startWith(await this.#primary.openSnapshot({ keepFor: this.name }));
  }

  /** The same with a snapshot for which the log is kept already. */
  async startWith(snapshot: Snapshot): Promise<void> {
    const pieces: Uint8Array[] = [];
    try {
      for await (const piece of snapshot.pages()) pieces.push(piece.slice());
    } finally {
      snapshot.close();
    }
    this.#snapshot = Buffer.concat(pieces);
    this.cursor = startOfLog(snapshot.position.index);
    this.#primary.confirm(this.name, this.#primary.generation, positionOf(this.cursor));
  }

  /** Takes all there is; answers with the number of bytes. Fails when the chain is lost. */
  take(maxBytes: number = 256 * 1024): number {
    let total = 0;
    for (;;) {
      const taken = this.#primary.take(this.cursor, maxBytes);
      if (taken.kind === 'caught-up') return total;
      if (taken.kind === 'lost') assert.fail(`lost: ${taken.why}`);
      assert.equal(taken.from.offsetBytes, positionIn(this.cursor, taken.from.index), 'a gap in the log');
      const log = this.#logs.get(taken.from.index) ?? [];
      log.push(Buffer.from(taken.bytes));
      this.#logs.set(taken.from.index, log);
      this.cursor = taken.cursor;
      total += taken.bytes.length;
      this.#primary.confirm(this.name, this.#primary.generation, positionOf(this.cursor));
    }
  }

  /** Indexes of the logs that were taken; one after another or the test fails. */
  indexes(): number[] {
    const indexes = [...this.#logs.keys()];
    for (const [i, index] of indexes.entries()) assert.equal(index, (indexes[0] ?? 0) + i, 'a missing log');
    return indexes;
  }

  /** What `look` finds in the database as taken; SQLite applies the logs. */
  copyOf<T>(look: (path: string) => T): T {
    using scratch = new Scratch();
    const path = scratch.file('copy.db');
    writeFileSync(path, this.#snapshot);
    for (const pieces of this.#logs.values()) {
      writeFileSync(`${path}-wal`, Buffer.concat(pieces));
      const database = openAnySchema(path, {});
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      database.close();
    }
    return look(path);
  }

  /** The rows of a query on the database as taken, which SQLite checks. */
  rows(sql: string): unknown[] {
    return this.copyOf((path) => {
      using database = new DatabaseSync(path);
      assert.deepEqual({ ...database.prepare('PRAGMA integrity_check').get() }, { integrity_check: 'ok' });
      return database
        .prepare(sql)
        .all()
        .map((row) => ({ ...row }));
    });
  }
}
