/**
 * What applications do between two looks of a primary that holds no read transaction: whatever it takes for proven must be true, and what
 * it missed must begin a new generation. `test/compat/beside/unseen.test.ts` does the same to the whole of Rivulet.
 */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Primary } from '../../src/primary/primary.ts';
import { type Sequence, SEQUENCES } from '../support/applications/sequences.ts';
import { inOneProcess, SqlApplication } from '../support/applications/sql-application.ts';
import { openPrimary } from '../support/live-database.ts';
import { Scratch } from '../support/scratch.ts';
import { Follower } from '../support/take-all.ts';

const LOOK_MS = 30;
const LOOKS_MAX = 1_000;
const CONTENTS = ['x', 'y'].map((table) => `SELECT hex(a) AS a FROM ${table} ORDER BY rowid`);

/** Looks until no read transaction is open that is to end. */
async function settle(primary: Primary): Promise<void> {
  for (let left = LOOKS_MAX; left > 0; left--) {
    const found = await primary.refresh();
    if (!found && !primary.isRestless) return;
    await delay(LOOK_MS);
  }
  assert.fail('it is never at rest');
}

/** A destination that follows the primary from one generation to the next. */
class Destination {
  readonly #primary: Primary;
  #generation: string | undefined;
  #follower: Follower | undefined;
  generations = 0;

  constructor(primary: Primary) {
    this.#primary = primary;
  }

  async take(): Promise<void> {
    const { generation } = this.#primary;
    if (this.#follower === undefined || generation !== this.#generation) {
      this.generations += 1;
      this.#follower = new Follower(this.#primary, `destination-${this.generations}`);
      this.#generation = generation;
      await this.#follower.start();
    }
    this.#follower.take();
  }

  rows(sql: string): unknown[] {
    return this.#follower?.rows(sql) ?? [];
  }
}

function rowsOf(path: string, sql: string): unknown[] {
  using database = new DatabaseSync(path, { timeout: 2000 });
  return database
    .prepare(sql)
    .all()
    .map((row) => ({ ...row }));
}

async function follow({ stays, make, unseen, rounds = 1, expects }: Sequence, path: string): Promise<void> {
  await using application = stays === undefined ? undefined : new SqlApplication(path, stays);
  if (application === undefined) await inOneProcess(path, make);
  else await application.run(...make);
  const primary = openPrimary(path);
  try {
    const destination = new Destination(primary);
    await primary.refresh();
    await destination.take();
    for (let left = rounds; left > 0; left--) {
      await settle(primary);
      await destination.take();
      await unseen(path, application);
      await settle(primary);
      await destination.take();
    }
    for (const sql of CONTENTS) assert.deepEqual(destination.rows(sql), rowsOf(path, sql), sql);
    if (expects === 'continuity') assert.equal(destination.generations, 1);
    if (expects === 'snapshot') assert.equal(destination.generations, 1 + rounds);
  } finally {
    await primary.close();
  }
}

describe('between two looks', () => {
  for (const sequence of SEQUENCES) {
    test(sequence.title, async () => {
      using scratch = new Scratch();
      await follow(sequence, scratch.file('app.db'));
    });
  }
});
