/**
 * What a quick proof has to read: the objects that came since the last one, and whatever is not as it was. Pure: decided from
 * a listing and from what is known to be proven. A hole that names alone can show is found here.
 */
import type { GenerationInventory, SegmentEntry, SnapshotEntry } from '../generations/inventory.ts';
import { comparePositions, type Position, segmentKey, snapshotKey } from '../generations/names.ts';
import { firstChangedLog } from './log-digest.ts';
import { isSameObject, type KnownObject, knownOf, type ProvenChain } from './proven-chain.ts';

/** Clocks of a store and of this machine may differ by so much without anybody being blamed for it. */
const CLOCK_SLACK_MS = 60_000;

export interface QuickPlan {
  /** Each begins at its snapshot, or, the first one only, where the proven chain ends. */
  readonly runs: readonly Run[];
  /** Snapshots beside those that runs begin with. */
  readonly snapshots: readonly SnapshotEntry[];
}

export interface Run {
  /** Undefined: it goes on from the proven chain. */
  readonly base: SnapshotEntry | undefined;
  readonly segments: readonly SegmentEntry[];
}

/** What names show to be missing. */
export interface Missing {
  readonly key: string;
  /** The log that lacks something. */
  readonly index: number;
  /** No chain passes it; undefined when a snapshot is missing that the chain does not need. */
  readonly position: Position | undefined;
  readonly problem: string;
}

export type QuickOutcome =
  | { readonly plan: QuickPlan; readonly missing?: never }
  | { readonly missing: Missing; readonly plan?: never };

export interface Expected {
  /** Length of the window that stays; 0 keeps everything. */
  readonly retentionMs: number;
  readonly nowMs: number;
  /** Index of the newest snapshot that was stored there; undefined when nobody here stored one. */
  readonly snapshotIndex: number | undefined;
}

export function planQuick(
  held: GenerationInventory,
  known: ProvenChain | undefined,
  expected: Expected,
): QuickOutcome {
  if (held.snapshots.length === 0) return { missing: noSnapshot(held, known) };
  const gone = goneTooEarly(held, known?.snapshots ?? [], expected);
  if (gone !== undefined) return { missing: goneSnapshot(held, gone) };
  const base = baseFor(held, known);
  const isOn = base === undefined && known !== undefined;
  const first = base?.index ?? 0;
  const after = isOn ? segmentsAfter(held, known) : held.segments.filter(({ index }) => index >= first);
  const walked = walkRuns(held, base, after, isOn ? placeOf(known) : undefined);
  if ('missing' in walked) return { missing: walked.missing };
  const bases = new Set(walked.runs.map((run) => run.base?.index));
  const isNew = (snapshot: SnapshotEntry): boolean => isUnread(snapshot, known, first);
  const snapshots = held.snapshots.filter((snapshot) => !bases.has(snapshot.index) && isNew(snapshot));
  return { plan: { runs: walked.runs, snapshots } };
}

/**
 * Whether a snapshot has to be read: one that is not as it was, or came since. Older ones that nobody knows are left to full
 * proofs; one that was found damaged is among them.
 */
function isUnread(snapshot: SnapshotEntry, known: ProvenChain | undefined, first: number): boolean {
  if (known === undefined) return snapshot.index > first;
  const before = known.snapshots.find(({ index }) => index === snapshot.index);
  return before === undefined
    ? snapshot.index > known.base.entry.index
    : !isSameObject(before, knownOf(snapshot));
}

/** The place behind which the next segment must begin; `offsetBytes` 0 of a log means that none of it was seen. */
function placeOf({ place }: ProvenChain): Position {
  return { index: place.index, offsetBytes: place.chain?.offsetBytes ?? 0 };
}

/** Index of a snapshot that retention must have kept. It removes from the old end, up to the newest one before the window. */
function goneTooEarly(
  held: GenerationInventory,
  known: readonly KnownObject[],
  { retentionMs, nowMs, snapshotIndex }: Expected,
): number | undefined {
  const newest = held.snapshots.at(-1)?.index ?? -1;
  if (snapshotIndex !== undefined && newest < snapshotIndex) return snapshotIndex;
  const isKept = ({ index }: KnownObject): boolean =>
    retentionMs <= 0 ||
    ![...held.snapshots, ...known].some(
      (later) => later.index > index && later.createdAt <= nowMs - retentionMs + CLOCK_SLACK_MS,
    );
  const gone = known.filter(({ index }) => !held.snapshots.some((one) => one.index === index));
  return gone.find(isKept)?.index;
}

/** The snapshot to begin anew with; undefined when the proven chain is as it was and is gone on with. */
function baseFor(held: GenerationInventory, known: ProvenChain | undefined): SnapshotEntry | undefined {
  if (known === undefined) return held.snapshots.at(-1);
  const oldest = held.snapshots[0]?.index ?? 0;
  const changed = firstChangedLog(known.logs, held.segments, oldest);
  if (changed !== undefined) {
    return held.snapshots.findLast(({ index }) => index <= changed) ?? held.snapshots[0];
  }
  // Retention has taken the log in which the chain ends, with what came behind that end: it begins behind all that went.
  if (placeOf(known).index < oldest) return held.snapshots[0];
  // What the chain rests on may itself have gone by retention; then another snapshot begins it that is known as well.
  return undefined;
}

function segmentsAfter(held: GenerationInventory, known: ProvenChain): readonly SegmentEntry[] {
  const end = placeOf(known);
  return held.segments.filter((segment) => comparePositions(segment, end) >= 0);
}

/** Splits what follows at the places where a snapshot begins anew after logs that are missing on purpose. */
function walkRuns(
  held: GenerationInventory,
  base: SnapshotEntry | undefined,
  segments: readonly SegmentEntry[],
  from: Position | undefined,
): { readonly runs: readonly Run[] } | { readonly missing: Missing } {
  const runs: { base: SnapshotEntry | undefined; segments: SegmentEntry[] }[] = [{ base, segments: [] }];
  let index = base === undefined ? (from?.index ?? 0) : base.index;
  let isBegun = base === undefined && (from?.offsetBytes ?? 0) > 0;
  for (const segment of segments) {
    const follows = isBegun
      ? segment.index === index || (segment.index === index + 1 && segment.offsetBytes === 0)
      : segment.index === index && segment.offsetBytes === 0;
    if (!follows) {
      const anew = held.snapshots.find((one) => one.index === segment.index && one.index > index);
      if (anew === undefined || segment.offsetBytes !== 0) {
        const position = { index: isBegun ? index + 1 : index, offsetBytes: 0 };
        return { missing: missingSegment(held, position, segment) };
      }
      runs.push({ base: anew, segments: [] });
    }
    runs.at(-1)?.segments.push(segment);
    index = segment.index;
    isBegun = true;
  }
  const last = held.snapshots.at(-1);
  // A snapshot ahead of every segment: its own log has not begun to arrive.
  if (last !== undefined && last.index > index + (isBegun ? 1 : 0)) runs.push({ base: last, segments: [] });
  return { runs };
}

function missingSegment(held: GenerationInventory, position: Position, next: SegmentEntry): Missing {
  const key = segmentKey(held.generation, position);
  const { index } = position;
  return { key, index, position, problem: `${key} is missing: the next one that is there is ${next.key}` };
}

function noSnapshot(held: GenerationInventory, known: ProvenChain | undefined): Missing {
  const index = known?.snapshots.at(-1)?.index ?? held.segments[0]?.index ?? 0;
  const key = snapshotKey(held.generation, index);
  const problem = `${key} is missing: without a snapshot generation ${held.generation} is of no use`;
  return { key, index, position: { index, offsetBytes: 0 }, problem };
}

function goneSnapshot(held: GenerationInventory, index: number): Missing {
  const key = snapshotKey(held.generation, index);
  return {
    key,
    index,
    // Later snapshots lead on from there, and older ones to it.
    position: undefined,
    problem: `${key} is missing: it was there, and is within the retention`,
  };
}
