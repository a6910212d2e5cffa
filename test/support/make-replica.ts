/**
 * Makes replicas from real SQLite databases: runs SQL, captures the write-ahead log's bytes, and stores them as
 * segments and snapshots, with Rivulet's annotations or, like Litestream, without. It remembers the exact database
 * at every point, so that a restore can be compared byte by byte.
 */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { encodeFrame } from '../../src/codec/encode-frame.ts';
import { type Annotation, encodeAnnotation } from '../../src/generations/annotation.ts';
import { encodeEnd, endKey } from '../../src/generations/ends.ts';
import { type Position, segmentKey, snapshotKey } from '../../src/generations/names.ts';
import { parseDatabaseHeader } from '../../src/wal/database-header.ts';
import { encodeFrameHeader, frameBytes, startChain, viewOf } from '../../src/wal/frames.ts';
import { WAL_HEADER_BYTES, encodeWalHeader, parseWalHeader } from '../../src/wal/wal-header.ts';
import type { MemoryStore } from './memory-store.ts';

export interface ReplicaShape {
  readonly generation?: string;
  readonly pageSizeBytes?: number;
  readonly annotated?: boolean;
  readonly bigEndianChecksum?: boolean;
  readonly autoVacuum?: 'none' | 'full' | 'incremental';
}

/** A state that the replica holds. */
export interface Point {
  readonly position: Position;
  readonly timeMs: number;
  readonly database: Buffer;
}

/** The same log with its checksums in the other byte order. */
function withBigEndianChecksums(wal: Uint8Array): Uint8Array {
  if (wal.length < WAL_HEADER_BYTES) return wal;
  const old = parseWalHeader(wal);
  const header = encodeWalHeader({ ...old, bigEndianChecksum: true });
  const bytes = Buffer.from(wal);
  bytes.set(header);
  const view = viewOf(bytes);
  let chain = startChain(parseWalHeader(header));
  const size = frameBytes(old.pageSizeBytes);
  for (let at = WAL_HEADER_BYTES; at + size <= bytes.length; at += size) {
    if (view.getUint32(at + 8) !== old.salt1) break;
    chain = encodeFrameHeader(chain, bytes, at, {
      pageNumber: view.getUint32(at),
      commitPageCount: view.getUint32(at + 4),
    });
  }
  return bytes;
}

/** Of the frame that ends at `offsetBytes`. */
function checksumBefore(wal: Uint8Array, offsetBytes: number): readonly [number, number] {
  const view = viewOf(wal);
  const last = offsetBytes - frameBytes(parseWalHeader(wal).pageSizeBytes);
  return [view.getUint32(last + 16), view.getUint32(last + 20)];
}

/** The bytes of the frames that carry the header's salts: what a log holds since its last restart. */
function liveBytes(wal: Uint8Array): Uint8Array {
  if (wal.length < WAL_HEADER_BYTES) return wal.subarray(0, 0);
  const header = parseWalHeader(wal);
  const view = viewOf(wal);
  const size = frameBytes(header.pageSizeBytes);
  let at = WAL_HEADER_BYTES;
  while (at + size <= wal.length && view.getUint32(at + 8) === header.salt1) at += size;
  return wal.subarray(0, at);
}

export class ReplicaMaker implements Disposable {
  readonly generation: string;
  readonly store: MemoryStore;
  /** Every state that was stored, in order. */
  readonly points: Point[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), 'rivulet-replica-'));
  readonly #path = join(this.#folder, 'db');
  readonly #shape: ReplicaShape;
  readonly #database: DatabaseSync;
  readonly #reader: DatabaseSync;
  #index = 0;
  #offsetBytes = 0;
  #previousEndBytes: number | undefined;

  constructor(store: MemoryStore, shape: ReplicaShape = {}) {
    this.store = store;
    this.#shape = shape;
    this.generation = shape.generation ?? '00112233445566aa';
    this.#database = new DatabaseSync(this.#path);
    this.#database.exec(`PRAGMA page_size = ${shape.pageSizeBytes ?? 4096}`);
    this.#database.exec(`PRAGMA auto_vacuum = ${shape.autoVacuum ?? 'none'}`);
    this.#database.exec('PRAGMA journal_mode = wal');
    this.#database.exec('PRAGMA synchronous = off; PRAGMA wal_autocheckpoint = 0');
    this.#reader = new DatabaseSync(this.#path);
  }

  get position(): Position {
    return { index: this.#index, offsetBytes: this.#offsetBytes };
  }

  exec(sql: string): void {
    this.#database.exec(sql);
  }

  /** Stores what the log has more than the replica. `timeMs` passes by one second unless told otherwise. */
  segment(stepMs: number = 1000): string {
    const wal = this.#wal();
    const key = segmentKey(this.generation, this.position);
    const content = wal.subarray(this.#offsetBytes);
    if (content.length === 0) throw new Error('nothing new in the log');
    const annotation = this.#offsetBytes === 0 ? this.#segmentAnnotation() : undefined;
    this.#offsetBytes = wal.length;
    this.#put(key, content, annotation, stepMs);
    this.#remember();
    return key;
  }

  /** Stores the new bytes of the log as several segments, cut at these fractions of its frames. */
  segments(pieces: number): void {
    const whole = this.#wal();
    const size = frameBytes(this.#shape.pageSizeBytes ?? 4096);
    const frames = (whole.length - Math.max(this.#offsetBytes, WAL_HEADER_BYTES)) / size;
    for (let piece = 1; piece <= pieces; piece += 1) {
      const start = Math.max(this.#offsetBytes, WAL_HEADER_BYTES);
      const rest = frames - Math.floor((frames * (piece - 1)) / pieces);
      const end =
        piece === pieces ? whole.length : start + size * Math.max(1, Math.floor(rest / (pieces - piece + 1)));
      const key = segmentKey(this.generation, this.position);
      const annotation = this.#offsetBytes === 0 ? this.#segmentAnnotation() : undefined;
      this.#put(key, whole.subarray(this.#offsetBytes, end), annotation, 1000);
      this.#offsetBytes = end;
    }
    this.#remember();
  }

  /** Ends this index: everything is checkpointed, and the next write restarts the log. */
  nextIndex(): void {
    this.#releaseReader();
    this.#database.exec('PRAGMA wal_checkpoint(RESTART)');
    this.#previousEndBytes = this.#offsetBytes;
    this.#index += 1;
    this.#offsetBytes = 0;
  }

  /** Stores a snapshot of the present state, which must be stored as segments already (or be the first). */
  snapshot(stepMs: number = 1000): string {
    // A reader keeps the log from restarting after the checkpoint; it stays until the index ends.
    this.#releaseReader();
    this.#reader.exec('BEGIN');
    this.#reader.prepare('SELECT count(*) FROM sqlite_schema').get();
    this.#database.exec('PRAGMA wal_checkpoint(PASSIVE)');
    const content = readFileSync(this.#path);
    const key = snapshotKey(this.generation, this.#index);
    this.#put(key, content, this.#snapshotAnnotation(content), stepMs);
    if (this.points.length === 0) this.#remember();
    return key;
  }

  #releaseReader(): void {
    if (this.#reader.isTransaction) this.#reader.exec('ROLLBACK');
  }

  promiseEnd(position: Position = this.position): string {
    const key = endKey(this.generation, position);
    this.store.nowMs += 1000;
    this.store.put(key, encodeEnd(position));
    return key;
  }

  #put(key: string, content: Uint8Array, annotation: Annotation | undefined, stepMs: number): void {
    this.store.nowMs += stepMs;
    const annotate = annotation !== undefined && this.#shape.annotated !== false;
    this.store.put(key, encodeFrame(content, annotate ? { annotation: encodeAnnotation(annotation) } : {}));
  }

  #segmentAnnotation(): Annotation {
    const place = { kind: 'segment' as const, generation: this.generation, index: this.#index };
    return this.#previousEndBytes === undefined
      ? place
      : { ...place, previousEndBytes: this.#previousEndBytes };
  }

  #snapshotAnnotation(content: Uint8Array): Annotation {
    const { pageSizeBytes } = parseDatabaseHeader(content);
    const wal = this.#offsetBytes === 0 ? new Uint8Array(0) : this.#wal();
    const header = wal.length === 0 ? undefined : parseWalHeader(wal);
    return {
      kind: 'snapshot',
      generation: this.generation,
      index: this.#index,
      offsetBytes: this.#offsetBytes,
      pageSizeBytes,
      pageCount: content.length / pageSizeBytes,
      ...(header === undefined
        ? {}
        : {
            salts: [header.salt1, header.salt2] as const,
            checksum: checksumBefore(wal, this.#offsetBytes),
          }),
    };
  }

  #wal(): Uint8Array {
    if (!existsSync(`${this.#path}-wal`)) return new Uint8Array(0);
    const live = liveBytes(readFileSync(`${this.#path}-wal`));
    return this.#shape.bigEndianChecksum === true ? withBigEndianChecksums(live) : live;
  }

  /** What SQLite makes of the present state: a copy with its log folded in. */
  #remember(): void {
    const copy = join(this.#folder, 'copy');
    copyFileSync(this.#path, copy);
    if (existsSync(`${this.#path}-wal`)) copyFileSync(`${this.#path}-wal`, `${copy}-wal`);
    const database = new DatabaseSync(copy);
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    database.close();
    this.points.push({ position: this.position, timeMs: this.store.nowMs, database: readFileSync(copy) });
    for (const suffix of ['', '-wal', '-shm']) rmSync(copy + suffix, { force: true });
  }

  [Symbol.dispose](): void {
    this.#reader.close();
    this.#database.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The database at the replica's end. */
export function lastPoint(maker: ReplicaMaker): Point {
  const point = maker.points.at(-1);
  if (point === undefined) throw new Error('the replica holds nothing yet');
  return point;
}

/**
 * A small replica with everything in it: three indexes, several segments, a transaction over two segments, two
 * snapshots and a promise.
 */
export function fillSmallReplica(maker: ReplicaMaker, options: { promise?: boolean } = {}): void {
  maker.exec(
    'CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB); INSERT INTO t (body) VALUES (randomblob(300))',
  );
  maker.segment();
  maker.snapshot();
  maker.exec('INSERT INTO t (body) SELECT randomblob(900) FROM t');
  maker.segment();
  maker.exec('INSERT INTO t (body) SELECT randomblob(2000) FROM t, t AS u');
  maker.segment();
  maker.nextIndex();
  maker.exec('UPDATE t SET body = randomblob(1500) WHERE id % 2 = 0');
  maker.segment();
  maker.exec('CREATE INDEX by_body ON t (body)');
  maker.segments(2);
  maker.snapshot();
  maker.exec('INSERT INTO t (body) SELECT randomblob(700) FROM t');
  maker.segment();
  maker.nextIndex();
  maker.exec('DELETE FROM t WHERE id % 3 = 0; VACUUM');
  maker.segment();
  maker.exec('INSERT INTO t (body) VALUES (randomblob(5000))');
  maker.segment();
  if (options.promise !== false) maker.promiseEnd();
}
