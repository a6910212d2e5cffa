/** The blocks of one LZ4 file, decoded one after another; linked ones find what came before them. */
import { HISTORY_BYTES_MAX } from '../kernel/kernel.ts';
import type { BlockStep } from './frame-parser.ts';
import { decompressBlock } from './lz4-block.ts';

const NO_HISTORY: Uint8Array = new Uint8Array(0);

export class BlockDecoder {
  /** The last bytes of the present frame, where its blocks are linked. */
  #history: Uint8Array = NO_HISTORY;

  /**
   * The content of a block; its size is noted in the step, for the parser.
   *
   * @returns a view of the block or of the kernel's memory: to be used or copied before anything is awaited
   * @throws RivuletError `LZ4_INVALID`
   */
  decode(step: BlockStep): Uint8Array {
    const { data, isStored, isLinked, isFirst } = step;
    const history = isLinked && !isFirst ? this.#history : NO_HISTORY;
    const content = isStored ? data : decompressBlock(data, history, step);
    step.decodedBytes = content.length;
    if (isLinked) this.#history = lastBytes(history, content);
    return content;
  }
}

/** A copy of the last bytes of both, as many as a match can reach. */
function lastBytes(before: Uint8Array, content: Uint8Array): Uint8Array {
  if (content.length >= HISTORY_BYTES_MAX) return new Uint8Array(content.subarray(-HISTORY_BYTES_MAX));
  const keptBytes = Math.min(before.length, HISTORY_BYTES_MAX - content.length);
  return Buffer.concat([before.subarray(before.length - keptBytes), content]);
}
