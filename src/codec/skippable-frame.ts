/**
 * Skippable frames: bytes of one's own inside an LZ4 file. Every reader passes over them, so a frame like this before
 * the data is a place for annotations that changes nothing for others.
 */

const SKIPPABLE_MAGIC_FIRST = 0x184d2a50;
const SKIPPABLE_MAGIC_COUNT = 16;
const HEADER_BYTES = 8;

/** The largest annotation that is written or handed out; a larger skippable frame is somebody else's and is skipped. */
export const ANNOTATION_BYTES_MAX: number = 64 * 1024;

export function isSkippableMagic(magic: number): boolean {
  return magic >= SKIPPABLE_MAGIC_FIRST && magic < SKIPPABLE_MAGIC_FIRST + SKIPPABLE_MAGIC_COUNT;
}

/** `payload` as a skippable frame. Throws a `RangeError` when it is larger than `ANNOTATION_BYTES_MAX`. */
export function encodeSkippableFrame(payload: Uint8Array): Uint8Array {
  if (payload.length > ANNOTATION_BYTES_MAX) {
    throw new RangeError(
      `an annotation of ${payload.length} bytes: at most ${ANNOTATION_BYTES_MAX} are allowed`,
    );
  }
  const frame = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, SKIPPABLE_MAGIC_FIRST, true);
  view.setUint32(4, payload.length, true);
  frame.set(payload, HEADER_BYTES);
  return frame;
}
