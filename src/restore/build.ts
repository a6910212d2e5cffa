/**
 * One attempt to build the database from a plan: snapshot, segments, and the checks on where the chain ended. Without
 * an output everything is read and checked in the same way, and nothing written.
 */
import { ftruncateSync } from 'node:fs';
import type { LogFields, Logger } from '../base/log.ts';
import type { Position } from '../generations/names.ts';
import type { RestorePlan } from '../generations/plan-outcome.ts';
import { formatTime } from '../generations/restore-target.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { applySegments } from './apply-segments.ts';
import { ChainApplier } from './chain-applier.ts';
import { SnapshotAhead } from './faults.ts';
import { type LoadedSnapshot, loadSnapshot } from './load-snapshot.ts';
import type { Output } from './output.ts';
import { DatabaseSink, NoPages, type PageSink } from './page-sink.ts';
import type { ProgressMeter } from './progress.ts';
import { verifyChain } from './verify-chain.ts';

export interface BuildContext {
  readonly store: ObjectStore;
  /** Where it is built: a temporary file, and a place for what is too large for memory. Undefined: nowhere. */
  readonly output: Pick<Output, 'fd' | 'folder' | 'openOverflow'> | undefined;
  readonly parallelism: number;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly meter: ProgressMeter;
  /** Told of a damaged snapshot in whose place an older one is taken. */
  readonly onPassedOver?: (key: string) => void;
}

export interface Built {
  readonly plan: RestorePlan;
  readonly position: Position | undefined;
  readonly databaseBytes: number;
  readonly unprovenReasons: readonly string[];
}

function positionOf(applier: ChainApplier, snapshot: LoadedSnapshot): Position | undefined {
  if (applier.committed !== undefined) return applier.committed;
  const { annotation, entry } = snapshot;
  return annotation === undefined ? undefined : { index: entry.index, offsetBytes: annotation.offsetBytes };
}

function sinkFor(output: BuildContext['output'], { pageSizeBytes, pageCount }: LoadedSnapshot): PageSink {
  if (output === undefined) return new NoPages(pageSizeBytes, pageCount);
  return new DatabaseSink(output, pageSizeBytes, pageCount);
}

async function buildOnce(plan: RestorePlan, context: BuildContext): Promise<Built> {
  const { store, output, signal, logger, meter } = context;
  if (output !== undefined) ftruncateSync(output.fd, 0);
  meter.begin(plan);
  logger.debug('restoring', describePlan(plan));
  meter.enter('snapshot');
  const snapshot = await loadSnapshot(store, plan.generation, plan.snapshot, {
    output,
    signal,
    onBytes: (bytes) => meter.add(bytes, 0),
  });
  meter.add(0, 1);
  logger.debug('snapshot read', { key: plan.snapshot.key });
  meter.enter('segments');
  using applier = new ChainApplier(plan, snapshot, sinkFor(output, snapshot));
  await applySegments(applier, plan.segments, {
    store,
    parallelism: context.parallelism,
    signal,
    onSegment: ({ key, sizeBytes }) => {
      meter.add(sizeBytes, 1);
      logger.debug('segment applied', { key });
    },
  });
  const reasons = await verifyChain(plan, snapshot, applier.reached, { store, logger, signal });
  applier.finish();
  const unprovenReasons = [...applier.unprovenReasons, ...reasons];
  logger.debug('end of the chain compared', { proven: unprovenReasons.length === 0 });
  return { plan, position: positionOf(applier, snapshot), databaseBytes: applier.sizeBytes, unprovenReasons };
}

function describePlan({ generation, segments, bytes, resultingTimeMs }: RestorePlan): LogFields {
  return { generation, segments: segments.length, bytes, asOf: formatTime(resultingTimeMs) };
}

/** The plan without segments: the snapshot is exact by itself and stands for a moment before all that was left out. */
function bare(plan: RestorePlan): RestorePlan {
  const { snapshot } = plan;
  return {
    ...plan,
    segments: [],
    until: undefined,
    witness: undefined,
    objects: 1,
    bytes: snapshot.sizeBytes,
    resultingTimeMs: snapshot.createdAt,
  };
}

/**
 * Builds the database of `plan` in the temporary file.
 *
 * @throws SnapshotFault, ChainFault; a system error when the output cannot be written
 */
export async function build(plan: RestorePlan, context: BuildContext): Promise<Built> {
  try {
    return await buildOnce(plan, context);
  } catch (error) {
    if (!(error instanceof SnapshotAhead)) throw error;
    return buildOnce(bare(plan), context);
  }
}
