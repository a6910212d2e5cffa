/** What `generations`, `snapshots` and `wal` have in common: rows from every replica, as a table or as JSON. */
import { joined, mapped } from '../base/repeatable.ts';
import { openStore } from '../daemon/stores.ts';
import type { Inventory } from '../generations/inventory.ts';
import { readInventory } from '../generations/inventory.ts';
import { assertNothingElse } from '../generations/other-contents.ts';
import type { CommandContext } from './command.ts';
import { commandLogger } from './command-logger.ts';
import { EXIT_FAILED, EXIT_OK } from './exit-codes.ts';
import { writeJsonArray, writeTable } from './output.ts';
import type { Column } from './output.ts';
import { writeError } from './report-error.ts';
import { findSources } from './sources.ts';
import type { Sources } from './sources.ts';

export interface Listing<Row> {
  readonly columns: readonly Column<Row>[];
  /** As JSON shows a row. */
  toJson(this: void, row: Row): unknown;
  /** May be gone through more than once. A row is made when its turn comes: a replica may have a million. */
  rowsOf(
    this: void,
    replicaName: string,
    inventory: Inventory,
    sources: Sources,
  ): Iterable<Row> | Promise<Iterable<Row>>;
}

/** Enough for what passes in a second or two; a person waits for the answer. */
const ATTEMPTS_MAX = 4;

/**
 * Prints the rows of every replica that can be read. One that cannot is an error on stderr and exit code 1, after the
 * others were printed: an empty listing must never mean that nobody looked.
 */
export async function runListing<Row>(context: CommandContext, listing: Listing<Row>): Promise<number> {
  const sources = await findSources(context);
  const asJson = context.flags.boolean('json');
  const logger = await commandLogger(context);
  const found: Iterable<Row>[] = [];
  let exitCode = EXIT_OK;
  for (const replica of sources.replicas) {
    try {
      const store = await openStore(replica, {
        namesOnly: true,
        logger,
        attemptsMax: ATTEMPTS_MAX,
        personWaits: true,
      });
      await using _closing = { [Symbol.asyncDispose]: async () => store.close() };
      const inventory = await readInventory(store, { signal: context.signals.graceful });
      await assertNothingElse(store, inventory, { signal: context.signals.graceful });
      found.push(await listing.rowsOf(replica.name, inventory, sources));
    } catch (error) {
      if (context.signals.graceful.aborted) throw error;
      writeError(context.stderr, error, asJson);
      exitCode = EXIT_FAILED;
    }
  }
  const rows = joined(found);
  if (asJson) writeJsonArray(context.stdout, mapped(rows, listing.toJson));
  else writeTable(context.stdout, listing.columns, rows);
  return exitCode;
}
