/** Reads the last commits of a plan, no more than a few MiB and a few hundred objects of it: newest segments first, and the snapshot where it fits. */
import { RivuletError } from '../../base/errors.ts';
import { decodeFrameStream } from '../../codec/decode-frame-stream.ts';
import { decodeFrame } from '../../codec/decode-frame.ts';
import type { SegmentEntry } from '../../generations/inventory.ts';
import type { RestorePlan } from '../../generations/plan-outcome.ts';
import { fetchSegments } from '../../restore/fetch-segments.ts';
import { peekSnapshot } from '../../restore/load-snapshot.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { FormerPages } from './former-pages.ts';

/** Stored bytes that a first snapshot may wait for. */
export const FORMER_BYTES_MAX: number = 16 * 1024 * 1024;
/** And so many objects: each is a request. */
const FORMER_OBJECTS_MAX = 256;
const PARALLELISM = 8;
/** One object is decoded to no more than this. */
const DECODED_BYTES_MAX = 256 * 1024 * 1024;

interface Part {
  readonly segments: readonly SegmentEntry[];
  /** No segment of the plan is left out. */
  readonly isWhole: boolean;
  /** All pages of the snapshot, too; else its first one. */
  readonly hasSnapshot: boolean;
}

/** The newest objects of a plan, up to so many stored bytes. */
export function newestPart({ segments, snapshot }: RestorePlan, bytesMax: number): Part {
  let left = bytesMax;
  let first = segments.length;
  const least = Math.max(0, segments.length - FORMER_OBJECTS_MAX);
  while (first > least && (segments[first - 1]?.sizeBytes ?? 0) <= left) {
    first -= 1;
    left -= segments[first]?.sizeBytes ?? 0;
  }
  return {
    segments: segments.slice(first),
    isWhole: first === 0,
    hasSnapshot: snapshot.sizeBytes <= left,
  };
}

/** @throws RivuletError as the store does, and when an object is damaged; `SnapshotFault` */
export async function readFormer(
  store: ObjectStore,
  plan: RestorePlan,
  signal: AbortSignal,
  bytesMax: number = FORMER_BYTES_MAX,
): Promise<FormerPages> {
  const { pageSizeBytes } = await peekSnapshot(store, plan.generation, plan.snapshot, signal);
  const { segments, isWhole, hasSnapshot } = newestPart(plan, bytesMax);
  const former = new FormerPages(pageSizeBytes, isWhole);
  for await (const { segment, bytes } of fetchSegments(store, segments, {
    parallelism: PARALLELISM,
    signal,
  })) {
    const { key, offsetBytes, createdAt } = segment;
    const stored = bytes ?? (await store.readBytes(key, { signal, sizeHintBytes: segment.sizeBytes }));
    const { content } = decodeFrame(stored, { maxBytes: DECODED_BYTES_MAX });
    former.addSegment(content, offsetBytes, createdAt);
  }
  await readBase(store, plan, former, { hasSnapshot, signal });
  return former;
}

/** Page 1 of the snapshot, or all of its pages. */
async function readBase(
  store: ObjectStore,
  { snapshot }: RestorePlan,
  former: FormerPages,
  { hasSnapshot, signal }: { readonly hasSnapshot: boolean; readonly signal: AbortSignal },
): Promise<void> {
  const { pageSizeBytes } = former;
  const page = new Uint8Array(pageSizeBytes);
  let filled = 0;
  let number = 1;
  const content = decodeFrameStream(store.read(snapshot.key, { signal }), { passingChunks: true });
  for await (const chunk of content) {
    for (let at = 0; at < chunk.length;) {
      const piece = chunk.subarray(at, at + pageSizeBytes - filled);
      page.set(piece, filled);
      filled += piece.length;
      at += piece.length;
      if (filled < pageSizeBytes) continue;
      former.addBase(number, page);
      if (!hasSnapshot) return;
      number += 1;
      filled = 0;
    }
  }
  if (number === 1) throw new RivuletError('CHAIN_BROKEN', `${snapshot.key} holds no page`);
}
