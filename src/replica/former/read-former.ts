/** Reads the last commits of a plan, no more than a few MiB of it: newest segments first, and the snapshot only where all fits. */
import { RivuletError } from '../../base/errors.ts';
import { decodeFrameStream } from '../../codec/decode-frame-stream.ts';
import { decodeFrame } from '../../codec/decode-frame.ts';
import type { SegmentEntry } from '../../generations/inventory.ts';
import type { RestorePlan } from '../../generations/plan-outcome.ts';
import { peekSnapshot } from '../../restore/load-snapshot.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { FormerPages } from './former-pages.ts';

/** Stored bytes that a first snapshot may wait for. */
export const FORMER_BYTES_MAX: number = 16 * 1024 * 1024;
/** One object is decoded to no more than this. */
const DECODED_BYTES_MAX = 256 * 1024 * 1024;

interface Part {
  readonly segments: readonly SegmentEntry[];
  /** All of the plan, the snapshot too. */
  readonly isWhole: boolean;
}

/** The newest objects of a plan, up to so many stored bytes. */
export function newestPart({ segments, snapshot }: RestorePlan, bytesMax: number): Part {
  let left = bytesMax;
  let first = segments.length;
  while (first > 0 && (segments[first - 1]?.sizeBytes ?? 0) <= left) {
    first -= 1;
    left -= segments[first]?.sizeBytes ?? 0;
  }
  return { segments: segments.slice(first), isWhole: first === 0 && snapshot.sizeBytes <= left };
}

/** @throws RivuletError as the store does, and when an object is damaged; `SnapshotFault` */
export async function readFormer(
  store: ObjectStore,
  plan: RestorePlan,
  signal: AbortSignal,
  bytesMax: number = FORMER_BYTES_MAX,
): Promise<FormerPages> {
  const { pageSizeBytes } = await peekSnapshot(store, plan.generation, plan.snapshot, signal);
  const former = new FormerPages(pageSizeBytes);
  const { segments, isWhole } = newestPart(plan, bytesMax);
  for (const { key, sizeBytes, offsetBytes, createdAt } of segments) {
    const bytes = await store.readBytes(key, { signal, sizeHintBytes: sizeBytes });
    const { content } = decodeFrame(bytes, { maxBytes: DECODED_BYTES_MAX });
    former.addSegment(content, offsetBytes, createdAt);
  }
  await readBase(store, plan, former, { isWhole, signal });
  return former;
}

/** Page 1 of the snapshot, or all of its pages. */
async function readBase(
  store: ObjectStore,
  { snapshot }: RestorePlan,
  former: FormerPages,
  { isWhole, signal }: { readonly isWhole: boolean; readonly signal: AbortSignal },
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
      if (!isWhole) return;
      number += 1;
      filled = 0;
    }
  }
  if (number === 1) throw new RivuletError('CHAIN_BROKEN', `${snapshot.key} holds no page`);
}
