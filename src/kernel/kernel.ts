/**
 * The loops that go over every byte, in WebAssembly: LZ4 blocks and xxHash32. They are
 * compiled from `assembly/`. Everything happens in one memory that never grows, so nothing is allocated for a block. **What a function
 * returns as a view of that memory is good only until the next call of any function here**: it is to be used or copied before
 * anything is awaited.
 */
import { KERNEL_CODE } from './code.ts';

/** What is used of the global object; its types come with those of browsers only. */
interface WebAssemblyGlobal {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  freeFrom(): number;
  prepareDecoding(): void;
  encodeBlock(from: number, bytes: number, to: number): number;
  decodeBlock(from: number, bytes: number, to: number, room: number, history: number): number;
  beginHash(state: number): void;
  addToHash(state: number, from: number, bytes: number): void;
  hashOf(state: number): number;
}

/** The largest block of an LZ4 frame, before and after (LZ4 frame format, "Block Maximum Size"). */
export const BLOCK_BYTES_MAX: number = 4 * 1024 * 1024;
/** How far back a match can reach; a linked block can reach this far into the blocks before it. */
export const HISTORY_BYTES_MAX: number = 64 * 1024;
/** So many bytes may be read behind an input. */
const SLACK_BYTES = 64;
const HASH_STATE_BYTES = 44;

const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyGlobal };
const compiled = new WebAssembly.Module(Buffer.from(KERNEL_CODE, 'base64'));
const wasm = new WebAssembly.Instance(compiled).exports as KernelExports;
wasm.prepareDecoding();

const memory = new Uint8Array(wasm.memory.buffer);

// How the memory is divided.
const HASH_AT = roundUp(wasm.freeFrom());
const INPUT_AT = roundUp(HASH_AT + HASH_STATE_BYTES);
const HISTORY_AT = roundUp(INPUT_AT + BLOCK_BYTES_MAX + SLACK_BYTES);
const OUTPUT_AT = HISTORY_AT + HISTORY_BYTES_MAX;
const OUTPUT_BYTES_MAX = BLOCK_BYTES_MAX + Math.ceil(BLOCK_BYTES_MAX / 255) + SLACK_BYTES;
if (OUTPUT_AT + OUTPUT_BYTES_MAX > memory.length)
  throw new RangeError('the memory of the kernel is too small');

function roundUp(at: number): number {
  return (at + 63) & ~63;
}

function assertFits(bytes: number, most: number): void {
  if (bytes > most) throw new RangeError(`${bytes} bytes, at most ${most} fit`);
}

/** Puts `content` where a block is read from. @returns it, as a view there */
export function putInput(content: Uint8Array): Uint8Array {
  assertFits(content.length, BLOCK_BYTES_MAX);
  memory.set(content, INPUT_AT);
  return memory.subarray(INPUT_AT, INPUT_AT + content.length);
}

/** The first `bytes` bytes of what `putInput` has put there, as one LZ4 block. @returns a view; longer than the content where that is noise */
export function encodeInput(bytes: number): Uint8Array {
  const size = wasm.encodeBlock(INPUT_AT, bytes, OUTPUT_AT);
  return memory.subarray(OUTPUT_AT, OUTPUT_AT + size);
}

/**
 * Decodes one LZ4 block, and trusts nothing in it.
 *
 * @param room - the most bytes that it may decode to
 * @param history - what was decoded before it, as far as its matches may reach there
 * @returns a view; undefined when the block is malformed, or decodes to more
 */
export function decodeBlock(block: Uint8Array, room: number, history: Uint8Array): Uint8Array | undefined {
  assertFits(room, BLOCK_BYTES_MAX);
  assertFits(history.length, HISTORY_BYTES_MAX);
  putInput(block);
  memory.set(history, OUTPUT_AT - history.length);
  const size = wasm.decodeBlock(INPUT_AT, block.length, OUTPUT_AT, room, history.length);
  return size < 0 ? undefined : memory.subarray(OUTPUT_AT, OUTPUT_AT + size);
}

/** A running xxHash32 (seed 0; xxHash specification). Any number may run side by side. */
export class Xxhash32 {
  readonly #state = new Uint8Array(HASH_STATE_BYTES);

  constructor() {
    wasm.beginHash(HASH_AT);
    this.#leave();
  }

  /** Takes views of the kernel's own memory as they are, and copies everything else into it. */
  update(bytes: Uint8Array): void {
    this.#enter();
    if (bytes.buffer === memory.buffer) wasm.addToHash(HASH_AT, bytes.byteOffset, bytes.length);
    else {
      for (let at = 0; at < bytes.length; at += HASH_PIECE_BYTES) {
        const piece = putInput(bytes.subarray(at, at + HASH_PIECE_BYTES));
        wasm.addToHash(HASH_AT, INPUT_AT, piece.length);
      }
    }
    this.#leave();
  }

  /** The hash of everything so far, as an unsigned 32-bit number. */
  digest(): number {
    this.#enter();
    return wasm.hashOf(HASH_AT) >>> 0;
  }

  #enter(): void {
    memory.set(this.#state, HASH_AT);
  }

  #leave(): void {
    this.#state.set(memory.subarray(HASH_AT, HASH_AT + HASH_STATE_BYTES));
  }
}

/** Pieces of this size stay in the processor's cache between the copy and the hash. */
const HASH_PIECE_BYTES = 64 * 1024;

/** xxHash32 (seed 0) of `bytes`, as an unsigned 32-bit number. */
export function xxhash32(bytes: Uint8Array): number {
  const hash = new Xxhash32();
  hash.update(bytes);
  return hash.digest();
}
