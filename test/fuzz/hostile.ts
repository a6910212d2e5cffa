/**
 * A restore from a replica that somebody made to do harm: every checksum is right, and every number is chosen by the input.
 * Small objects must stay small: in memory, on the disk and in time. What a restore makes of them is either a database that
 * SQLite opens, or an error.
 */
import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { encodeFrame } from '../../src/codec/encode-frame.ts';
import { encodeAnnotation, type SnapshotAnnotation } from '../../src/generations/annotation.ts';
import { segmentKey, snapshotKey } from '../../src/generations/names.ts';
import { buildInto } from '../../src/restore/restore.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { boundedStore } from '../../src/storage/bounded-body.ts';
import { forwardingStore } from '../../src/storage/forwarding.ts';
import { encodeFrameHeader, frameBytes, startChain } from '../../src/wal/frames.ts';
import { encodeWalHeader, parseWalHeader, WAL_HEADER_BYTES } from '../../src/wal/wal-header.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';
import type { FuzzTarget } from './target.ts';

const GENERATION = '00112233445566aa';
const PAGE = 512;
const MIB = 1024 * 1024;
/** Zeros that a file which grows in chunks may end with; see `restore/size-limit.ts`. They take no room on the disk. */
const UNWRITTEN_BYTES = 256 * MIB;
const RESTORE_MS_MAX = 10_000;

/** Numbers that a forger would try. */
const SIZES = [
  0, 1, 2, 3, 255, 65_536, 1_000_000, 2_097_153, 250_000_000, 0x7fffffff, 0xfffffffe, 0xffffffff,
];

/** Reads choices from the input; zeros come behind its end. */
class Choices {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  below(limit: number): number {
    return (this.#bytes[this.#at++] ?? 0) % limit;
  }

  size(): number {
    return SIZES[this.below(SIZES.length)] as number;
  }
}

let made: Buffer | undefined;

/** A database of a few pages. */
function database(): Buffer {
  if (made !== undefined) return made;
  using scratch = new Scratch();
  const path = scratch.file('db');
  const connection = new DatabaseSync(path);
  connection.exec(`PRAGMA page_size = ${PAGE}; CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(900))`);
  connection.close();
  return (made = readFileSync(path));
}

interface Hostile {
  readonly store: ObjectStore;
  readonly storedBytes: number;
  readonly decodedBytes: number;
}

/** Bytes that never end, or end too early, behind what the listing tells. */
function lying(store: MemoryStore, how: number): ObjectStore {
  if (how === 0) return store;
  return forwardingStore(store, {
    async *read(key, options) {
      yield* store.read(key, options);
      const chunks = how === 1 ? 64 : 0;
      for (let i = 0; i < chunks; i++) yield Buffer.alloc(MIB, i);
    },
  });
}

function snapshotOf(choices: Choices): { readonly stored: Uint8Array; readonly decodedBytes: number } {
  const content = Buffer.from(database());
  if (choices.below(2) === 1) content.writeUInt32BE(choices.size(), 28);
  if (choices.below(3) === 1) content.writeUInt32BE(7, 92);
  const tail = Buffer.alloc(choices.below(4) * MIB);
  const annotation: SnapshotAnnotation = {
    kind: 'snapshot',
    generation: GENERATION,
    index: 0,
    offsetBytes: 0,
    pageSizeBytes: PAGE,
    pageCount: choices.below(2) === 0 ? content.length / PAGE : choices.size(),
  };
  const whole = Buffer.concat([content, tail]);
  const annotated = choices.below(2) === 0 ? { annotation: encodeAnnotation(annotation) } : {};
  const first = encodeFrame(whole, annotated);
  const more = choices.below(3) === 1 ? encodeFrame(Buffer.alloc(8 * MIB)) : new Uint8Array(0);
  return {
    stored: Buffer.concat([first, more]),
    decodedBytes: whole.length + (more.length > 0 ? 8 * MIB : 0),
  };
}

function logOf(choices: Choices, salt: number): Buffer {
  const frames = choices.below(24);
  const bytes = Buffer.alloc(WAL_HEADER_BYTES + frames * frameBytes(PAGE));
  bytes.set(
    encodeWalHeader({
      pageSizeBytes: PAGE,
      checkpointSequence: salt,
      salt1: salt,
      salt2: 7,
      bigEndianChecksum: false,
    }),
  );
  let chain = startChain(parseWalHeader(bytes));
  for (let i = 0; i < frames; i++) {
    const at = WAL_HEADER_BYTES + i * frameBytes(PAGE);
    const pageNumber = Math.max(1, choices.below(2) === 0 ? 1 + choices.below(6) : choices.size());
    if (pageNumber <= 2) database().copy(bytes, at + 24, (pageNumber - 1) * PAGE, pageNumber * PAGE);
    const commitPageCount = choices.below(2) === 0 ? 0 : choices.size();
    chain = encodeFrameHeader(chain, bytes, at, { pageNumber, commitPageCount });
  }
  return bytes;
}

function hostileReplica(input: Uint8Array): Hostile {
  const choices = new Choices(input);
  const store = new MemoryStore();
  const snapshot = snapshotOf(choices);
  store.put(snapshotKey(GENERATION, 0), snapshot.stored);
  let decodedBytes = snapshot.decodedBytes;
  const logs = choices.below(4);
  for (let index = 0; index < logs; index++) {
    const log = logOf(choices, 1 + index);
    decodedBytes += log.length;
    store.put(segmentKey(GENERATION, { index, offsetBytes: 0 }), encodeFrame(log));
  }
  let storedBytes = 0;
  for (const { bytes } of store.objects.values()) storedBytes += bytes.length;
  return { store: boundedStore(lying(store, choices.below(3))), storedBytes, decodedBytes };
}

async function restoreHostile(input: Uint8Array): Promise<void> {
  const { store, decodedBytes } = hostileReplica(input);
  using scratch = new Scratch();
  const path = scratch.file('out');
  const spoolPath = scratch.file('spool');
  const fd = openSync(path, 'wx+');
  const startedMs = performance.now();
  try {
    const restored = await buildInto(
      { fd, folder: scratch.path, openOverflow: () => openSync(spoolPath, 'wx+') },
      { store, target: {} },
    ).then(
      ({ databaseBytes }) => databaseBytes,
      (error: unknown) => {
        assertSmall();
        throw error;
      },
    );
    assertSmall();
    assert.ok(restored <= decodedBytes + UNWRITTEN_BYTES + PAGE, `${restored} bytes from ${decodedBytes}`);
    assert.equal(fstatSync(fd).size, restored);
  } finally {
    closeSync(fd);
    const elapsedMs = performance.now() - startedMs;
    assert.ok(elapsedMs < RESTORE_MS_MAX, `it took ${Math.round(elapsedMs)} ms`);
  }

  /** What lies on the disk, whatever the file's length seems to be. */
  function assertSmall(): void {
    const { blocks } = fstatSync(fd);
    const spool = statSync(spoolPath, { throwIfNoEntry: false })?.blocks ?? 0;
    const most = 2 * decodedBytes + MIB;
    assert.ok((blocks + spool) * 512 <= most, `${(blocks + spool) * 512} bytes on the disk, at most ${most}`);
  }
}

function samples(): Uint8Array[] {
  const whole = Uint8Array.of(0, 0, 0, 0, 0, 0, 1);
  const terabytes = Uint8Array.of(0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 1, 8);
  const bomb = Uint8Array.of(0, 0, 3, 0, 0, 1, 0);
  const annotated = Uint8Array.of(0, 0, 0, 1, 8, 0, 0);
  const many = Uint8Array.from({ length: 96 }, (_, i) => (i * 37 + 11) & 0xff);
  return [whole, terabytes, bomb, annotated, many];
}

export const HOSTILE_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'restore/hostile',
    codes: ['CHAIN_BROKEN', 'REPLICA_INVALID', 'LZ4_INVALID', 'REPLICA_EMPTY', 'TARGET_UNAVAILABLE'],
    samples,
    read: restoreHostile,
    inputBytesMax: 512,
    memory: { perByte: 64, besides: 160 * MIB },
    cpuMsMax: 6_000,
  },
];
