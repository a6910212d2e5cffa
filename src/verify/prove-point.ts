/** One point of a replica: read and checked as a restore does, with or without writing the database. */
import { dirname } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { isRivuletError, RivuletError } from '../base/errors.ts';
import { type Logger, silentLogger } from '../base/log.ts';
import { type Inventory, readInventory } from '../generations/inventory.ts';
import type { RestorePlan } from '../generations/plan-outcome.ts';
import { planRestore } from '../generations/plan-restore.ts';
import type { RestoreTarget } from '../generations/restore-target.ts';
import { withEndings } from '../generations/superseded.ts';
import { build, type Built } from '../restore/build.ts';
import { freeBytesIn } from '../restore/free-space.ts';
import { checkIntegrityAside } from '../restore/integrity-aside.ts';
import type { RestoreProgress } from '../restore/options.ts';
import { openOutput, unwritable } from '../restore/output.ts';
import { ProgressMeter } from '../restore/progress.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { damageOf, damageOfPlan, faultOf } from './damage.ts';
import { type Look, untilCertain } from './looking-again.ts';
import { leavesOpen, type Proof, type Proven } from './proof.ts';
import { sizedStore } from './sized-store.ts';

const DEFAULT_PARALLELISM = 8;
/** What a proof leaves free beside its copy: whatever else is on that disk goes on. */
const SPARE_BYTES = 64 * 1024 * 1024;

export interface PointParts {
  readonly store: ObjectStore;
  readonly target: RestoreTarget;
  /**
   * Where the database is restored to and checked by SQLite (`integrity_check`), and removed afterwards; must not exist.
   * Undefined: everything is read and checked, and nothing written.
   */
  readonly temporaryPath?: string | undefined;
  /** Whether a listing tells the size of what a read gives: not where it is encrypted. */
  readonly hasExactSizes: boolean;
  readonly clock: Clock;
  readonly logger?: Logger | undefined;
  readonly parallelism?: number | undefined;
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @throws RivuletError `TARGET_UNAVAILABLE` and `USAGE` for a point that is not there at the first look, `CANCELLED`
 */
export async function provePoint(parts: PointParts): Promise<Proof> {
  const { signal } = parts;
  let looks = 0;
  try {
    return await untilCertain(async () => {
      looks += 1;
      return look(parts);
    }, parts);
  } catch (error) {
    if (signal?.aborted === true) throw error;
    if (leavesOpen(error)) return { outcome: 'inconclusive', error };
    // It was there a moment ago: what is not there any more now has left the window.
    if (looks > 1 && isRivuletError(error, 'TARGET_UNAVAILABLE')) return { outcome: 'inconclusive', error };
    throw error;
  }
}

async function look(parts: PointParts): Promise<Look<Proven>> {
  const { store, target } = parts;
  const options = { signal: parts.signal };
  const inventory = await withEndings(await readInventory(store, options), store, options);
  let plan: RestorePlan;
  try {
    plan = planRestore(inventory, target);
  } catch (error) {
    return orThrow(inventory, damageOfPlan(error, target.generation), error);
  }
  const startedMs = parts.clock.monotonicMs();
  try {
    const { built, checkLeftOut } = await buildPlan(plan, parts);
    const elapsedMs = parts.clock.monotonicMs() - startedMs;
    return { inventory, proof: { ...provenOf(plan, built, elapsedMs, parts), checkLeftOut } };
  } catch (error) {
    const fault = faultOf(error);
    const damage = fault === undefined ? undefined : damageOf(inventory, plan.generation, fault);
    return orThrow(inventory, damage ?? damageOfPlan(error, plan.generation), error);
  }
}

function orThrow(
  inventory: Inventory,
  damage: ReturnType<typeof damageOfPlan>,
  error: unknown,
): Look<Proven> {
  if (damage === undefined) throw error;
  return { inventory, proof: { outcome: 'broken', damage } };
}

/** Without a check by SQLite, what the chain cannot prove stays open. */
function provenOf(
  plan: RestorePlan,
  built: Built,
  elapsedMs: number,
  parts: PointParts,
): Omit<Proven, 'checkLeftOut'> {
  const wasChecked = parts.temporaryPath !== undefined;
  return {
    outcome: 'proven',
    generation: plan.generation,
    position: built.position,
    untilMs: built.plan.resultingTimeMs,
    unproven: built.unprovenReasons,
    wasChecked,
    objects: plan.objects,
    bytes: plan.bytes,
    elapsedMs,
  };
}

async function buildPlan(
  plan: RestorePlan,
  parts: PointParts,
): Promise<{ built: Built; checkLeftOut: readonly string[] }> {
  const { temporaryPath, hasExactSizes, parallelism = DEFAULT_PARALLELISM } = parts;
  const context = {
    store: hasExactSizes ? sizedStore(parts.store) : parts.store,
    parallelism,
    signal: parts.signal ?? new AbortController().signal,
    logger: parts.logger ?? silentLogger,
    meter: new ProgressMeter(parts.onProgress, parts.clock),
  };
  if (temporaryPath === undefined) {
    return { built: await build(plan, { ...context, output: undefined }), checkLeftOut: [] };
  }
  await using stack = new AsyncDisposableStack();
  const output = stack.adopt(await openOutput(temporaryPath), (opened) => opened.close());
  try {
    const built = await build(plan, { ...context, output });
    context.meter.enter('verify');
    return { built, checkLeftOut: await checkIntegrityAside(output.temporaryPath, 'full') };
  } catch (error) {
    // A full disk says nothing about the replica.
    throw unwritable(temporaryPath, error);
  }
}

/**
 * Refuses to fill the disk on which, often enough, the live database lies.
 *
 * @param neededBytes - size of the copy
 * @throws RivuletError `OUTPUT_UNWRITABLE` when it would leave too little
 */
export function assertRoomFor(path: string, neededBytes: number): void {
  const folder = dirname(path);
  const freeBytes = freeBytesIn(folder);
  if (freeBytes === undefined || freeBytes >= neededBytes + SPARE_BYTES) return;
  const problem = `${folder} has ${freeBytes} bytes free, and a copy for the proof takes ${neededBytes}`;
  throw new RivuletError('OUTPUT_UNWRITABLE', problem, {
    hint: 'Set `temporary-path` in the `verify` section to a directory with more room.',
  });
}
