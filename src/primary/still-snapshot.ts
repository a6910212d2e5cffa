/**
 * A consistent copy of the database that is read while it goes out, without any lock: it is right as long as nothing is
 * committed meanwhile. A checkpoint moves only what was committed, so until the WAL index says that something was, nothing newer
 * than the position is in the database file; and what is older there lies in the WAL, which nobody restarts without a commit.
 */
import type { WalIndex } from '../wal/wal-index.ts';
import type { LogTail } from './log-tail.ts';
import type { OpenDatabase } from './open-database.ts';
import { sourceOf } from './pin-snapshot.ts';
import type { ReadAgainDeps } from './read-again.ts';
import type { LogEnd } from './resume-point.ts';
import { makeSnapshot, type Snapshot } from './snapshot-source.ts';

/** Something was committed, or the WAL was emptied, while the copy went out. Nothing is lost: a copy that is made aside never meets it. */
export class SnapshotOvertaken extends Error {
  constructor() {
    super('something was committed while the database was read');
  }
}

/**
 * The database at the end of `tail`; undefined when that is not the end of the WAL any more.
 *
 * @param previousEnd - where the WAL before ended, as far as known
 * @param assertGoesOn - throws when nobody needs the copy any more
 * @throws RivuletError `DB_UNREADABLE`; reading the pages throws SnapshotOvertaken when something was committed
 */
export function stillSnapshot(
  database: OpenDatabase,
  tail: LogTail,
  previousEnd: LogEnd | undefined,
  { assertGoesOn, ...deps }: ReadAgainDeps & { readonly assertGoesOn: () => void },
): Snapshot | undefined {
  const before = database.index.read();
  if (before.kind !== 'index' || !tail.isSameLog() || !tail.hasAllOf(before.index)) return undefined;
  const snapshot = makeSnapshot(sourceOf(database, tail, previousEnd, () => undefined, deps));
  const assertStill = (): void => {
    assertGoesOn();
    const now = database.index.read();
    if (now.kind !== 'index' || !isSameState(now.index, before.index)) throw new SnapshotOvertaken();
  };
  return { ...snapshot, pages: () => checkedPages(snapshot, assertStill) };
}

/** What was committed is the same. The count alone would do, but for a recovery, which sets it to 0. */
function isSameState(now: WalIndex, before: WalIndex): boolean {
  return (
    now.change === before.change &&
    now.frames === before.frames &&
    now.salt1 === before.salt1 &&
    now.salt2 === before.salt2
  );
}

/** Each piece is good if nothing had been committed by when it was read. */
async function* checkedPages(snapshot: Snapshot, assertStill: () => void): AsyncGenerator<Uint8Array> {
  for await (const piece of snapshot.pages()) {
    assertStill();
    yield piece;
  }
}
