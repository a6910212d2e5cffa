/** A consistent copy of the database -> one object. */
import { encodeAnnotation, type SnapshotAnnotation } from '../generations/annotation.ts';
import { encodeFrameStream } from '../codec/lz4-frame.ts';
import { type Generation, snapshotKey } from '../generations/names.ts';
import type { Snapshot } from '../primary/snapshot-source.ts';
import type { ObjectInfo, ObjectStore } from '../storage/object-store.ts';
import { createOnly } from './create-only.ts';

export interface SnapshotUpload {
  readonly store: ObjectStore;
  readonly generation: Generation;
  readonly snapshot: Snapshot;
  /**
   * Awaited before the last byte is handed over. The copy holds what the log held before its position; it may only
   * appear when the destination holds that part of the log too, for whoever restores replays the log from its start.
   */
  readonly beforeLastByte: () => Promise<void>;
  readonly onBytes?: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

async function* pagesThenWait(upload: SnapshotUpload): AsyncIterable<Uint8Array> {
  for await (const piece of upload.snapshot.pages()) {
    upload.signal?.throwIfAborted();
    upload.onBytes?.(piece.length);
    yield piece;
  }
  await upload.beforeLastByte();
}

/** What shows later whether a log is the one that was copied. */
function evidenceOf({ end, previousEnd }: Snapshot): Partial<SnapshotAnnotation> {
  if (end !== undefined) return { salts: end.salts, checksum: end.checksum };
  if (previousEnd === undefined) return {};
  return { previousEndBytes: previousEnd.offsetBytes, previousEndChecksum: previousEnd.checksum };
}

export async function uploadSnapshot(upload: SnapshotUpload): Promise<ObjectInfo> {
  const { snapshot, generation } = upload;
  const annotation = encodeAnnotation({
    kind: 'snapshot',
    generation,
    index: snapshot.position.index,
    offsetBytes: snapshot.position.offsetBytes,
    pageSizeBytes: snapshot.pageSizeBytes,
    pageCount: snapshot.pageCount,
    ...evidenceOf(snapshot),
  });
  return upload.store.write(
    snapshotKey(generation, snapshot.position.index),
    encodeFrameStream(pagesThenWait(upload), { annotation }),
    { ...createOnly(upload.store), signal: upload.signal },
  );
}
