/**
 * xxHash32, the checksum inside LZ4 frames. The library starts asynchronously; the await at the top of this module
 * hides that, so everything that imports it can hash synchronously.
 */
import xxhash from 'xxhash-wasm';

const library = await xxhash();

/**
 * The library copies its input into WebAssembly memory, which only ever grows: feeding it pieces keeps that small
 * however large the input is, and stays inside the processor's cache.
 */
const PIECE_BYTES = 64 * 1024;

/** A running xxHash32 (seed 0). Any number may run side by side. */
export interface Xxhash32 {
  update(bytes: Uint8Array): void;
  /** The hash of everything so far, as an unsigned 32-bit number. */
  digest(): number;
}

export function createXxhash32(): Xxhash32 {
  const state = library.create32();
  return {
    update(bytes) {
      for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
        state.update(bytes.subarray(start, start + PIECE_BYTES));
      }
    },
    digest: () => state.digest() >>> 0,
  };
}

/** xxHash32 (seed 0) of `bytes`, as an unsigned 32-bit number. */
export function xxhash32(bytes: Uint8Array): number {
  if (bytes.length <= PIECE_BYTES) return library.h32Raw(bytes) >>> 0;
  const hash = createXxhash32();
  hash.update(bytes);
  return hash.digest();
}
