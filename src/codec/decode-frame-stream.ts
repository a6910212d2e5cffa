import { ChunkReader } from './chunk-reader.ts';
import { belongsOnPool } from './decode-frame.ts';
import { checkContentChecksum, parseFrames } from './frame-parser.ts';
import type { BlockStep, EndStep, FrameStep } from './frame-parser.ts';
import { HISTORY_BYTES_MAX, decodeBlock, decodeBlockOnPool } from './lz4-block.ts';
import { createXxhash32 } from './xxhash32.ts';

export interface DecodeStreamOptions {
  /** Told the payload of each skippable frame before the first data frame, before any content comes out. */
  readonly onAnnotation?: ((payload: Uint8Array) => void) | undefined;
  /** The most bytes that the content may have; no bound when absent. */
  readonly maxBytes?: number | undefined;
}

/** Blocks decoded ahead of the reader; each takes up to 8 MiB. */
const LOOK_AHEAD_BLOCKS = 3;

type Part = { readonly content: Promise<Uint8Array> | Uint8Array } | { readonly end: EndStep };

/**
 * Decodes an LZ4 file as it arrives, in chunks of any size. Accepts and throws what `decodeFrame` does; the content
 * checksum comes last, so **nothing that came out may be trusted before the iteration has ended**. Large independent
 * blocks are decoded on the thread pool, a few ahead of the reader. Chunks must not be changed once handed over; what
 * comes out may share their memory. `source` is closed when the iteration ends, however it ends.
 */
export async function* decodeFrameStream(
  source: AsyncIterable<Uint8Array>,
  options: DecodeStreamOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = new ChunkReader(source);
  const ahead: Part[] = [];
  let hash = createXxhash32();
  try {
    const parts = readParts(reader, options);
    for (;;) {
      const isMore = await lookAhead(parts, ahead);
      const part = ahead.shift();
      if (part === undefined) {
        if (!isMore) return;
      } else if ('end' in part) {
        checkContentChecksum(part.end, hash.digest());
        hash = createXxhash32();
      } else {
        const content = await part.content;
        hash.update(content);
        if (content.length > 0) yield content;
      }
    }
  } finally {
    await reader.close();
  }
}

/** Fills the look-ahead; false when there is nothing more to read. */
async function lookAhead(parts: AsyncGenerator<Part, void, undefined>, ahead: Part[]): Promise<boolean> {
  while (ahead.length < LOOK_AHEAD_BLOCKS) {
    const next = await parts.next();
    if (next.done === true) return false;
    ahead.push(next.value);
  }
  return true;
}

/** The blocks and ends of the file, each block on its way to be decoded. */
async function* readParts(
  reader: ChunkReader,
  options: DecodeStreamOptions,
): AsyncGenerator<Part, void, undefined> {
  const linked = new LinkedDecoder();
  for await (const step of readSteps(reader, options.maxBytes ?? Number.MAX_SAFE_INTEGER)) {
    if (step.kind === 'annotation') options.onAnnotation?.(step.payload.slice());
    else if (step.kind === 'block') yield { content: startDecoding(step, linked) };
    else if (step.kind === 'end') yield { end: step };
  }
}

async function* readSteps(reader: ChunkReader, maxBytes: number): AsyncGenerator<FrameStep, void, undefined> {
  const parser = parseFrames({ maxBytes });
  let answer: Uint8Array | undefined;
  for (let next = parser.next(); next.done !== true; next = parser.next(answer)) {
    const step = next.value;
    answer = undefined;
    if (step.kind === 'want') answer = reader.takeNow(step.bytes) ?? (await reader.take(step.bytes));
    else if (step.kind === 'skip') step.skippedBytes = await reader.skip(step.bytes);
    else yield step;
  }
}

function startDecoding(block: BlockStep, linked: LinkedDecoder): Promise<Uint8Array> | Uint8Array {
  if (block.isLinked) return linked.decode(block);
  if (block.isStored) return block.data;
  if (belongsOnPool(block))
    return handled(decodeBlockOnPool(block.data, block.decodedBytes, block.offsetBytes));
  const content = new Uint8Array(block.decodedBytes);
  decodeBlock(block.data, content, 0);
  return content;
}

/** Keeps a failure that nobody waits for any more from ending the process. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Decodes blocks that refer to those before them, and so must be taken one after the other. */
class LinkedDecoder {
  #history: Uint8Array = new Uint8Array(0);

  decode(block: BlockStep): Uint8Array {
    const history = block.isFirst ? new Uint8Array(0) : this.#history;
    const joined = new Uint8Array(history.length + block.decodedBytes);
    joined.set(history);
    if (block.isStored) joined.set(block.data, history.length);
    else decodeBlock(block.data, joined, history.length);
    this.#history = joined.slice(Math.max(0, joined.length - HISTORY_BYTES_MAX));
    return joined.subarray(history.length);
  }
}
