/**
 * A streamed blob: blocks that nobody sees, then a list that makes a blob of them. A list that never comes leaves
 * blocks that the service forgets after a week.
 */
import { randomBytes } from 'node:crypto';

/** A blob has 50,000 blocks at most. */
const BLOCKS_MAX = 50_000;
const BLOCK_BYTES = 4 * 1024 * 1024;
/** After so many, blocks are twice as large: 1.2 TiB fit in, and what is small needs little memory. */
const BLOCKS_OF_ONE_SIZE = 10_000;
/** Blocks under way at once; one more is being gathered meanwhile. */
export const BLOCKS_AT_ONCE = 2;

/**
 * Ids of all blocks of a blob, also of those that another upload left behind, must be of one length. Litestream
 * v0.3.13's have 64 bytes.
 */
const BLOCK_ID_BYTES = 64;
const UPLOAD_ID_BYTES = 16;

/** Bytes of the block with that index, from 0. @throws RangeError when a blob has no room for it */
export function blockSizeOf(index: number): number {
  if (index >= BLOCKS_MAX) throw new RangeError(`a blob has ${BLOCKS_MAX} blocks at most`);
  return BLOCK_BYTES * 2 ** Math.floor(index / BLOCKS_OF_ONE_SIZE);
}

/**
 * Names the blocks of one upload. Blocks that wait for their list belong to the blob's name, not to who sent them:
 * the ids of two uploads to one name must never be the same.
 */
export function blockNames(): (index: number) => string {
  const upload = randomBytes(UPLOAD_ID_BYTES);
  return (index) => {
    const id = Buffer.alloc(BLOCK_ID_BYTES);
    upload.copy(id);
    id.writeUInt32BE(index, UPLOAD_ID_BYTES);
    return id.toString('base64');
  };
}
