import { Xxhash32 } from '../kernel/kernel.ts';
import { BlockDecoder } from './block-decoder.ts';
import { checkContentChecksum, parseFrames } from './frame-parser.ts';

export interface DecodeOptions {
  /** The most bytes that the content may have; more is refused before memory is taken for it. */
  readonly maxBytes: number;
}

export interface DecodedFrame {
  /** The content of all data frames, one after the other. Its memory is its own. */
  readonly content: Uint8Array;
  /** Payloads of the skippable frames before the first data frame, in order. */
  readonly annotations: Uint8Array[];
}

/**
 * Decodes an LZ4 file held in memory: any mix of data frames (every block size, linked blocks, all checksums) and
 * skippable frames. Throws `LZ4_INVALID` for anything that is not exactly that, and `AGE_KEY_MISSING` for an object
 * that is encrypted.
 */
export function decodeFrame(bytes: Uint8Array, options: DecodeOptions): DecodedFrame {
  const annotations: Uint8Array[] = [];
  const contents: Uint8Array[] = [];
  const blocks = new BlockDecoder();
  const parser = parseFrames(options);
  let hash = new Xxhash32();
  let at = 0;
  let answer: Uint8Array | undefined;
  for (let next = parser.next(); next.done !== true; next = parser.next(answer)) {
    const step = next.value;
    answer = undefined;
    switch (step.kind) {
      case 'want':
        answer = bytes.subarray(at, at + step.bytes);
        at += answer.length;
        break;
      case 'skip':
        step.skippedBytes = Math.min(step.bytes, bytes.length - at);
        at += step.skippedBytes;
        break;
      case 'annotation':
        annotations.push(new Uint8Array(step.payload));
        break;
      case 'block': {
        const content = blocks.decode(step);
        contents.push(new Uint8Array(content));
        hash.update(content);
        break;
      }
      case 'end':
        checkContentChecksum(step, hash.digest());
        hash = new Xxhash32();
        break;
    }
  }
  const [only] = contents;
  return { content: contents.length === 1 && only !== undefined ? only : joined(contents), annotations };
}

function joined(contents: readonly Uint8Array[]): Uint8Array {
  let sizeBytes = 0;
  for (const { length } of contents) sizeBytes += length;
  const whole = new Uint8Array(sizeBytes);
  let at = 0;
  for (const content of contents) {
    whole.set(content, at);
    at += content.length;
  }
  return whole;
}
