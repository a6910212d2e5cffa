/**
 * What Rivulet says about an object inside the object itself: an LZ4 *skippable frame* before the data frame.
 * Every LZ4 frame reader, Litestream's too, passes over it (LZ4 frame format, "Skippable Frames").
 *
 * It binds an object to its name, and it tells where the index before ended, which the layout alone cannot show:
 * without it a chain whose last segment of a finished index is lost looks complete.
 *
 * Payload: `RVLT`, one version byte (1), JSON in UTF-8, then the xxHash32 of all that, little-endian.
 */
export interface SegmentAnnotation {
  readonly kind: 'segment';
  readonly generation: string;
  readonly index: number;
  /** Where index - 1 ended; absent for the first index that this generation holds at this destination. */
  readonly previousEndBytes?: number;
}

export interface SnapshotAnnotation {
  readonly kind: 'snapshot';
  readonly generation: string;
  readonly index: number;
  /** The snapshot is the exact database after the frames of `index` before this offset. */
  readonly offsetBytes: number;
  readonly pageSizeBytes: number;
  readonly pageCount: number;
  /** Salts of the write-ahead log `index`; absent when it had no header yet. */
  readonly salts?: readonly [number, number];
}

export type Annotation = SegmentAnnotation | SnapshotAnnotation;
