/**
 * The loops that go over every byte, compiled to WebAssembly (`npm run build:kernel`; `src/kernel/` calls them). The caller owns
 * the memory and says where everything is; nothing is allocated.
 */
export { encodeBlock } from './lz4-encode';
export { decodeBlock, prepareDecoding } from './lz4-decode';
export { addToHash, beginHash, hashOf } from './xxh32';

/** The first byte that is free for the caller. */
export function freeFrom(): usize {
  return __heap_base;
}
