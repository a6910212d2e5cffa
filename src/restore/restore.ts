/** Restores a database: plan, fetch, apply, verify, and only then the name. */
import { resolve } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { isRivuletError, RivuletError } from '../base/errors.ts';
import { silentLogger } from '../base/log.ts';
import { brokenChain } from '../generations/broken-chain.ts';
import { type Inventory, isSameListing, readInventory } from '../generations/inventory.ts';
import type { RestorePlan } from '../generations/plan-outcome.ts';
import { planRestore } from '../generations/plan-restore.ts';
import { withoutSnapshots } from '../generations/restorable-points.ts';
import { tryPlanRestore } from '../generations/restore-plan.ts';
import { withEndings } from '../generations/superseded.ts';
import type { RestoreTarget } from '../generations/restore-target.ts';
import { type BuildContext, type Built, build } from './build.ts';
import { ChainFault, SnapshotFault } from './faults.ts';
import { checkIntegrity } from './integrity.ts';
import type { IntegrityCheck, RestoreOptions, RestoreSummary } from './options.ts';
import { behindLinks } from './output-link.ts';
import { assertAbsent, openOutput, orUnwritable, tidyOutput } from './output.ts';
import { ProgressMeter } from './progress.ts';

/** As Litestream's flag. */
const DEFAULT_PARALLELISM = 8;
/** A retention that runs meanwhile is over, or far ahead, by the third look. */
const LISTINGS_MAX = 3;

/** The error that people see for a chain that does not hold. */
export function chainError(inventory: Inventory, plan: RestorePlan, fault: ChainFault): RivuletError {
  // Whatever claims more than the chain can keep must not be part of a suggestion.
  const claims = [fault.key, fault.claimantKey].filter((key) => key !== undefined);
  return brokenChain(inventory, {
    generation: plan.generation,
    from: fault.position,
    keys: new Set(claims),
    key: fault.key,
    reason: fault.message,
    cause: fault.cause,
  });
}

/** The error that people see for a snapshot that nothing can stand in for. */
export function snapshotError(inventory: Inventory, plan: RestorePlan, fault: SnapshotFault): RivuletError {
  const { generation } = plan;
  const broken = { generation, keys: new Set([fault.key]), key: fault.key, reason: fault.message };
  return brokenChain(inventory, { ...broken, cause: fault.cause });
}

/** A plan that ends at the very same segment but starts at an older snapshot, or undefined. */
function samePointWithout(
  damaged: ReadonlySet<string>,
  inventory: Inventory,
  target: RestoreTarget,
  plan: RestorePlan,
): RestorePlan | undefined {
  const other = tryPlanRestore(withoutSnapshots(inventory, damaged), target).plan;
  const last = plan.segments.at(-1)?.key;
  return last !== undefined && other?.segments.at(-1)?.key === last ? other : undefined;
}

/** Builds the target; a damaged snapshot is passed over when an older one leads to the same point. */
async function buildTarget(
  inventory: Inventory,
  target: RestoreTarget,
  first: RestorePlan,
  context: BuildContext,
): Promise<Built> {
  const damaged = new Set<string>();
  for (let plan = first; ;) {
    try {
      return await build(plan, context);
    } catch (error) {
      if (error instanceof ChainFault) throw chainError(inventory, plan, error);
      if (!(error instanceof SnapshotFault)) throw error;
      damaged.add(error.key);
      const other = samePointWithout(damaged, inventory, target, plan);
      if (other === undefined) throw snapshotError(inventory, plan, error);
      context.logger.warn('a snapshot cannot be used; an older one leads to the same point', {
        reason: error.message,
        instead: other.snapshot.key,
      });
      context.onPassedOver?.(error.key);
      plan = other;
    }
  }
}

/** An object was gone when it was asked for: the retention of a running process removes what it was still needed for. */
function isVanished(error: unknown): boolean {
  return isRivuletError(error, 'CHAIN_BROKEN') && isRivuletError(error.cause, 'STORAGE_NOT_FOUND');
}

/**
 * Plans and builds, and again with what is there then when something went away meanwhile. What is missing from one listing
 * may be on its way out, or in: only the next one tells a hole.
 */
async function buildPresent(
  options: Pick<RestoreOptions, 'store' | 'target' | 'inventory' | 'signal' | 'logger'>,
  context: BuildContext,
): Promise<Built> {
  const { store, target, signal } = options;
  let inventory = await inventoryOf(options);
  for (let listings = 1; ; listings += 1) {
    try {
      return await buildTarget(inventory, target, planRestore(inventory, target), context);
    } catch (error) {
      if (listings >= LISTINGS_MAX || !isRivuletError(error, 'CHAIN_BROKEN')) throw error;
      const present = await inventoryOf({ store, signal, logger: options.logger });
      // Unless something vanished under the eyes, the same listing comes to the same end.
      if (!isVanished(error) && isSameListing(present, inventory)) throw error;
      context.logger.warn('the replica has changed meanwhile; trying again with what it holds now', {
        error,
      });
      inventory = present;
    }
  }
}

async function inventoryOf(
  options: Pick<RestoreOptions, 'store' | 'inventory' | 'signal' | 'logger'>,
): Promise<Inventory> {
  const { store, signal } = options;
  const inventory =
    options.inventory ?? (await withEndings(await readInventory(store, { signal }), store, { signal }));
  for (const key of inventory.strangers) options.logger?.debug('not part of a replica, ignored', { key });
  return inventory;
}

/**
 * Plans without restoring: what would be fetched, and which moment it stands for. Throws as `restore` does for what
 * names can show.
 */
export async function planOnly(
  options: Pick<RestoreOptions, 'store' | 'target' | 'inventory' | 'signal' | 'logger'>,
): Promise<RestorePlan> {
  return planRestore(await inventoryOf(options), options.target);
}

/**
 * The middle of a restore: plans `target` and builds it in a file that is the caller's business, before and afterwards.
 *
 * @throws RivuletError as `restore` does for what the replica holds
 */
export async function buildInto(
  output: BuildContext['output'],
  options: Pick<RestoreOptions, 'store' | 'target' | 'inventory' | 'signal' | 'logger'>,
): Promise<Built> {
  const { store, logger = silentLogger, signal = new AbortController().signal } = options;
  const meter = new ProgressMeter(undefined, systemClock);
  return buildPresent(options, {
    store,
    output,
    parallelism: DEFAULT_PARALLELISM,
    signal,
    logger,
    meter,
  });
}

function chooseCheck(built: Built, wanted: IntegrityCheck | undefined): IntegrityCheck {
  return wanted ?? (built.unprovenReasons.length === 0 ? 'none' : 'quick');
}

/** Where the database belongs, with nothing in the way. @throws RivuletError `OUTPUT_EXISTS`; what the file system does */
function placeFor(wantedPath: string): string {
  const outputPath = behindLinks(resolve(wantedPath));
  tidyOutput(outputPath);
  assertAbsent(outputPath);
  return outputPath;
}

async function run(options: RestoreOptions, signal: AbortSignal): Promise<RestoreSummary> {
  const { store, target, logger = silentLogger, clock = systemClock } = options;
  const startedMs = clock.monotonicMs();
  const meter = new ProgressMeter(options.onProgress, clock);
  meter.enter('plan');
  const outputPath = await orUnwritable(options.outputPath, async () => placeFor(options.outputPath));
  const inventory = await inventoryOf({ store, inventory: options.inventory, signal, logger });
  await using stack = new AsyncDisposableStack();
  const output = stack.adopt(await openOutput(outputPath, options.mode), (opened) => opened.close());
  const parallelism = Math.max(1, options.parallelism ?? DEFAULT_PARALLELISM);
  const passedOver: string[] = [];
  const onPassedOver = (key: string): void => void passedOver.push(key);
  const context = { store, output, parallelism, signal, logger, meter, onPassedOver };
  const built = await orUnwritable(outputPath, () =>
    buildPresent({ store, target, inventory, signal, logger }, context),
  );
  const integrityCheck = chooseCheck(built, options.integrityCheck);
  meter.enter('verify');
  const checkLeftOut = checkIntegrity(output.temporaryPath, integrityCheck);
  if (integrityCheck !== 'none') logger.debug('checked by SQLite', { check: integrityCheck });
  signal.throwIfAborted();
  meter.enter('finish');
  const movedAside = await output.publish();
  logger.debug('the database has its name', { path: outputPath });
  return {
    generation: built.plan.generation,
    snapshotIndex: built.plan.snapshot.index,
    position: built.position,
    segments: built.plan.segments.length,
    bytesFetched: meter.bytesDone,
    databaseBytes: built.databaseBytes,
    resultingTimeMs: built.plan.resultingTimeMs,
    timeStepMs: built.plan.timeStepMs ?? 1,
    proven: built.unprovenReasons.length === 0,
    unprovenReasons: built.unprovenReasons,
    damagedSnapshots: passedOver,
    integrityCheck,
    checkLeftOut,
    movedAside,
    elapsedMs: clock.monotonicMs() - startedMs,
  };
}

/**
 * Restores `target` from the replica in `store` to `outputPath`, which must not exist. Either the database is there,
 * exact and safe on disk, or there is an error and nothing was left behind.
 *
 * @throws RivuletError `REPLICA_EMPTY`, `TARGET_UNAVAILABLE`, `CHAIN_BROKEN` (naming the object, the newest restorable
 *   point and the flags for it), `AGE_KEY_MISSING`, `AGE_KEY_WRONG`, `STORAGE_FAILED`, `OUTPUT_EXISTS`, `OUTPUT_UNWRITABLE`,
 *   `INTEGRITY`, `CANCELLED`
 */
export async function restore(options: RestoreOptions): Promise<RestoreSummary> {
  const signal = options.signal ?? new AbortController().signal;
  try {
    signal.throwIfAborted();
    return await run(options, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new RivuletError('CANCELLED', 'the restore was cancelled; nothing was left behind', {
      cause: error,
    });
  }
}
