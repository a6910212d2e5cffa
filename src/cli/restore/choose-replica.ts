/** The replica to restore from: of those that lead to the target, the one with the newest data. */
import { messageOf, RivuletError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { ReplicaSettings } from '../../config/settings.ts';
import { openStore } from '../../daemon/stores.ts';
import { EMPTY_REPLICA } from '../../generations/choose-generation.ts';
import { readInventory } from '../../generations/inventory.ts';
import type { Inventory } from '../../generations/inventory.ts';
import {
  lookForLtx,
  lookForOther,
  type LtxBeside,
  type OtherContents,
  otherContentsError,
} from '../../generations/other-contents.ts';
import { tryPlanRestore } from '../../generations/restore-plan.ts';
import { withEndings } from '../../generations/superseded.ts';
import { formatTime, type RestoreTarget } from '../../generations/restore-target.ts';
import type { ObjectStore } from '../../storage/object-store.ts';

export interface Candidate {
  readonly name: string;
  readonly store: ObjectStore;
  readonly inventory: Inventory;
  /** What is there instead, where the inventory is empty; undefined: nothing. */
  readonly other: OtherContents | undefined;
  /** What Litestream v0.5 has stored beside the inventory. */
  readonly ltx: LtxBeside | undefined;
}

export interface Candidates {
  readonly readable: readonly Candidate[];
  /** Replicas that could not be read, and why. */
  readonly failures: readonly { readonly name: string; readonly error: unknown }[];
}

/** Opens and lists all replicas; the stores of the readable ones are closed with `stack`. */
export async function readCandidates(
  replicas: readonly ReplicaSettings[],
  stack: AsyncDisposableStack,
  signal: AbortSignal,
  logger: Logger,
): Promise<Candidates> {
  const readable: Candidate[] = [];
  const failures: { name: string; error: unknown }[] = [];
  for (const replica of replicas) {
    try {
      const store = stack.adopt(
        await openStore(replica, { logger, personWaits: true, file: { atOnce: true } }),
        async (opened) => opened.close(),
      );
      const inventory = await withEndings(await readInventory(store, { signal }), store, { signal });
      const isBare = inventory.generations.length === 0;
      readable.push({
        name: replica.name,
        store,
        inventory,
        other: isBare ? await lookForOther(store, { signal }) : undefined,
        ltx: isBare ? undefined : await lookForLtx(store, { signal }),
      });
    } catch (error) {
      signal.throwIfAborted();
      failures.push({ name: replica.name, error });
    }
  }
  return { readable, failures };
}

/** Whether there is nothing at all: a place with something else in it is not empty. */
export function isEmpty({ readable, failures }: Candidates): boolean {
  return (
    failures.length === 0 &&
    readable.every(({ inventory, other }) => inventory.generations.length === 0 && other === undefined)
  );
}

/**
 * The best candidate for `target`. When none leads there, one that holds data comes back, so that planning says what
 * it lacks. Throws the first failure when a replica could not be read and no other one has data, `REPLICA_UNREADABLE` when
 * something else lies at one or is newer, and `REPLICA_EMPTY` when all are empty.
 */
export function chooseCandidate({ readable, failures }: Candidates, target: RestoreTarget): Candidate {
  const [best] = readable
    .map((candidate) => ({ candidate, timeMs: reachMs(candidate.inventory, target) }))
    .sort((a, b) => b.timeMs - a.timeMs);
  const [failure] = failures;
  const nothing = best === undefined || best.candidate.inventory.generations.length === 0;
  if (nothing && failure !== undefined) throw failure.error;
  if (best === undefined)
    throw new RivuletError('REPLICA_UNKNOWN', 'no replica is configured for this database');
  if (nothing) throw emptyReplicas(readable);
  assertNewest(best.candidate, target);
  return best.candidate;
}

/** The newest state was asked for, and another program has stored a newer one beside it. */
function assertNewest({ inventory, ltx }: Candidate, target: RestoreTarget): void {
  const { generation, index, timestampMs } = target;
  if (ltx === undefined || generation !== undefined || index !== undefined || timestampMs !== undefined)
    return;
  const updatedAtMs = Math.max(...inventory.generations.map(({ updatedAt }) => updatedAt));
  if (ltx.updatedAtMs <= updatedAtMs) return;
  const { message, key } = ltx.contents;
  throw new RivuletError(
    'REPLICA_UNREADABLE',
    `${message}; it was written at ${formatTime(ltx.updatedAtMs)}, and what Rivulet reads here ends at ${formatTime(updatedAtMs)}`,
    {
      hint: 'Restore it with Litestream v0.5. To restore the older state all the same, ask for it with -timestamp or -generation.',
      details: { key, holds: 'ltx' },
    },
  );
}

/** Entry points of containers look for "no matching backups found", the words of Litestream, to know a first start. */
function emptyReplicas(candidates: readonly Candidate[]): RivuletError {
  const other = candidates.find((candidate) => candidate.other !== undefined)?.other;
  if (other !== undefined) return otherContentsError(other);
  const places = candidates.map(({ store }) => store.location).join(', ');
  return new RivuletError('REPLICA_EMPTY', `${places}: ${EMPTY_REPLICA}`, {
    hint: 'Check that this is the right place; -if-replica-exists makes an empty replica a success.',
  });
}

/** The moment to which the target leads there; below that of any which does not lead there at all. */
function reachMs(inventory: Inventory, target: RestoreTarget): number {
  const { plan } = tryPlanRestore(inventory, target);
  if (plan !== undefined) return plan.resultingTimeMs;
  return inventory.generations.length > 0 ? -1 : -2;
}

export function describeFailure({ name, error }: Candidates['failures'][number]): string {
  return `the replica ${name} cannot be read and was passed over: ${messageOf(error)}`;
}
