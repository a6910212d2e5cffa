/** Looks at the pages of a snapshot while they are read for its upload. */
import type { Snapshot } from '../../primary/snapshot-source.ts';
import type { LivePages } from './compare-live.ts';
import { changeCounterOf, digestOf, type FormerPages } from './former-pages.ts';

/** The same snapshot. `onSeen` is called when all pages were read, and so before the snapshot is stored. */
export function watched(
  snapshot: Snapshot,
  former: FormerPages,
  onSeen: (live: LivePages) => void,
): Snapshot {
  if (snapshot.pageSizeBytes !== former.pageSizeBytes) return snapshot;
  return { ...snapshot, pages: () => pagesOf(snapshot, former, onSeen) };
}

async function* pagesOf(
  snapshot: Snapshot,
  { versions }: FormerPages,
  onSeen: (live: LivePages) => void,
): AsyncIterable<Uint8Array> {
  const { pageSizeBytes } = snapshot;
  const digests = new Map<number, string>();
  let changeCounter = 0;
  let number = 1;
  for await (const piece of snapshot.pages()) {
    for (let at = 0; at < piece.length; at += pageSizeBytes) {
      const page = piece.subarray(at, at + pageSizeBytes);
      if (number === 1) changeCounter = changeCounterOf(page);
      if (versions.has(number)) digests.set(number, digestOf(page));
      number += 1;
    }
    yield piece;
  }
  onSeen({ digests, changeCounter });
}
