/**
 * LZ4 frames in and out: the door of this room. What is written is byte for byte what Litestream v0.3.13's LZ4 frames
 * look like; what is read is any valid LZ4 file.
 *
 * | | whole, at once | whole, with turns for others | streamed |
 * |---|---|---|---|
 * | encode | `encodeFrame` | `encodeFrameInTurns` | `encodeFrameStream` |
 * | decode | `decodeFrame` | | `decodeFrameStream` |
 */
export { encodeFrame, encodeFrameInTurns } from './encode-frame.ts';
export type { EncodeOptions } from './encode-frame.ts';
export { encodeFrameStream } from './encode-frame-stream.ts';
export { decodeFrame } from './decode-frame.ts';
export type { DecodeOptions, DecodedFrame } from './decode-frame.ts';
export { decodeFrameStream } from './decode-frame-stream.ts';
export type { DecodeStreamOptions } from './decode-frame-stream.ts';
export { EMPTY_FRAME } from './frame-descriptor.ts';
export { ANNOTATION_BYTES_MAX } from './skippable-frame.ts';
