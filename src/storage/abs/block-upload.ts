/**
 * A streamed blob: blocks that nobody sees, then a list that makes a blob of them. A list that never comes leaves
 * blocks that the service forgets after a week.
 */
import { randomBytes } from 'node:crypto';
import type { BlobRequestConditions } from '@azure/storage-blob';
import { isRivuletError } from '../../base/errors.ts';
import type { Parts } from '../body-parts.ts';
import type { WrittenObject } from '../object-store.ts';
import { sendParts } from '../send-parts.ts';
import { objectExists } from '../storage-error.ts';
import { abortedBy, type AbsRequests, type WriteAnswer } from './requests.ts';

/** A blob has 50,000 blocks at most. */
const BLOCKS_MAX = 50_000;
const BLOCK_BYTES = 4 * 1024 * 1024;
/** After so many, blocks are twice as large: 1.2 TiB fit in, and what is small needs little memory. */
const BLOCKS_OF_ONE_SIZE = 10_000;
/** Blocks under way at once; one more is being gathered meanwhile. */
const BLOCKS_AT_ONCE = 2;

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

export type Conditions = Pick<BlobRequestConditions, 'ifMatch' | 'ifNoneMatch'>;

/** One upload in blocks. Each is tried again by itself, since the body cannot be asked for once more. */
export class BlockUpload {
  readonly #requests: AbsRequests;
  readonly #key: string;
  readonly #conditions: Conditions;
  readonly #nameOf = blockNames();
  readonly #names: string[] = [];
  #sizeBytes = 0;

  constructor(requests: AbsRequests, key: string, conditions: Conditions) {
    this.#requests = requests;
    this.#key = key;
    this.#conditions = conditions;
  }

  /** @param parts - of the sizes that `blockSizeOf` gives */
  async write(parts: Parts, signal: AbortSignal | undefined): Promise<WrittenObject> {
    const stage = async (part: Uint8Array, index: number, stop: AbortSignal): Promise<void> =>
      this.#stage(part, index, stop);
    await sendParts(parts, BLOCKS_AT_ONCE, stage, signal);
    return this.#commit(signal);
  }

  async #stage(part: Uint8Array, index: number, signal: AbortSignal): Promise<void> {
    const name = this.#nameOf(index);
    this.#names[index] = name;
    this.#sizeBytes += part.length;
    const requests = this.#requests;
    const action = `write a part of ${this.#key}`;
    await requests.retried(action, part.length, signal, async (attemptSignal) =>
      requests.run({
        kind: 'PUT',
        action,
        signal: attemptSignal,
        send: async (container) =>
          requests.blob(container, this.#key).stageBlock(name, part, part.length, abortedBy(attemptSignal)),
      }),
    );
  }

  /**
   * Makes the blob. An answer may get lost after the work was done, so a refusal of a later attempt is believed only
   * when the blob is not made of these very blocks.
   */
  async #commit(signal: AbortSignal | undefined): Promise<WrittenObject> {
    const requests = this.#requests;
    return requests.retried(`write ${this.#key}`, 0, signal, async (inner, number) => {
      try {
        return this.#written(await this.#list(inner));
      } catch (error) {
        if (!isRivuletError(error, 'STORAGE_EXISTS') && !hasLostBlocks(error)) throw error;
        const present = number > 1 ? await this.#present(inner) : undefined;
        if (present !== undefined) return this.#written(present);
        throw isConditional(this.#conditions) ? objectExists(requests.location, this.#key, error) : error;
      }
    });
  }

  #written(answer: WriteAnswer): WrittenObject {
    return this.#requests.written(this.#key, this.#sizeBytes, answer);
  }

  async #list(signal: AbortSignal): Promise<WriteAnswer> {
    const options = { conditions: this.#conditions, ...abortedBy(signal) };
    return this.#requests.run({
      kind: 'PUT',
      action: `write ${this.#key}`,
      key: this.#key,
      signal,
      send: async (container) =>
        this.#requests.blob(container, this.#key).commitBlockList(this.#names, options),
    });
  }

  /** The blob, if it consists of these blocks. */
  async #present(signal: AbortSignal): Promise<WriteAnswer | undefined> {
    const list = await this.#requests.run({
      kind: 'GET',
      action: `read the blocks of ${this.#key}`,
      key: this.#key,
      signal,
      send: async (container) =>
        this.#requests.blob(container, this.#key).getBlockList('committed', abortedBy(signal)),
    });
    const present = list.committedBlocks ?? [];
    const names = this.#names;
    const isSame = present.length === names.length && present.every(({ name }, i) => name === names[i]);
    return isSame ? list : undefined;
  }
}

function isConditional({ ifMatch, ifNoneMatch }: Conditions): boolean {
  return ifMatch !== undefined || ifNoneMatch !== undefined;
}

/** Who makes a blob takes away the waiting blocks of all others who write to that name. */
function hasLostBlocks(error: unknown): boolean {
  return isRivuletError(error) && error.details['serverCode'] === 'InvalidBlockList';
}
