/** A replica with very many small segments, as a database with a commit each second leaves them. */
import { closeSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { encodeFrame } from '../../src/codec/encode-frame.ts';
import { type Annotation, encodeAnnotation } from '../../src/generations/annotation.ts';
import { segmentKey, snapshotKey } from '../../src/generations/names.ts';
import { FRAME_HEADER_BYTES } from '../../src/wal/frames.ts';
import { WAL_HEADER_BYTES } from '../../src/wal/wal-header.ts';
import { prepareEvents, RowMaker } from './rows.ts';

const GENERATION = '0123456789abcdef';
const PAGE_BYTES = 4096;

export interface ReplicaSize {
  readonly segments: number;
  readonly indexes: number;
  /** Rows in the snapshot. */
  readonly firstRows: number;
}

/** @returns how many bytes of log there are */
export function makeReplica(root: string, scratchPath: string, size: ReplicaSize): number {
  const database = new DatabaseSync(scratchPath);
  database.exec(`PRAGMA page_size = ${PAGE_BYTES}`);
  const insert = prepareEvents(database);
  const update = database.prepare('UPDATE events SET amount = amount + 1 WHERE id = ?');
  database.exec('PRAGMA wal_autocheckpoint = 0');
  const rows = new RowMaker(2);
  database.exec('BEGIN');
  for (let i = 0; i < size.firstRows; i++) insert.run(...rows.next(400));
  database.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)');
  const content = readFileSync(scratchPath);
  put(root, snapshotKey(GENERATION, 0), content, {
    kind: 'snapshot',
    generation: GENERATION,
    index: 0,
    offsetBytes: 0,
    pageSizeBytes: PAGE_BYTES,
    pageCount: content.length / PAGE_BYTES,
  });
  let logBytes = 0;
  let previousEndBytes: number | undefined;
  for (let index = 0; index < size.indexes; index++) {
    const ends: number[] = [];
    for (let i = 0; i < size.segments / size.indexes; i++) {
      database.exec('BEGIN');
      insert.run(...rows.next(400));
      for (const step of [7919, 104_729]) update.run(1 + (((index * 1000 + i) * step) % size.firstRows));
      database.exec('COMMIT');
      ends.push(logEnd(scratchPath, ends.at(-1) ?? WAL_HEADER_BYTES));
    }
    putLog(root, readFileSync(`${scratchPath}-wal`), ends, { index, previousEndBytes });
    previousEndBytes = ends.at(-1) ?? 0;
    logBytes += previousEndBytes;
    // The next commit begins the log anew: its salt grows by one, as the next index wants it.
    database.exec('PRAGMA wal_checkpoint(RESTART)');
  }
  database.close();
  return logBytes;
}

const FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES;
const SALT_AT = 16;
const SALT_BYTES = 8;

/** The end of the transactions that the log holds, looking from the end of earlier ones on. */
function logEnd(path: string, from: number): number {
  const fd = openSync(`${path}-wal`, 'r');
  try {
    const salts = Buffer.alloc(SALT_BYTES);
    readSync(fd, salts, 0, SALT_BYTES, SALT_AT);
    const head = Buffer.alloc(FRAME_HEADER_BYTES);
    let end = from;
    while (readSync(fd, head, 0, head.length, end) === head.length && salts.equals(head.subarray(8, 16)))
      end += FRAME_BYTES;
    return end;
  } finally {
    closeSync(fd);
  }
}

function putLog(
  root: string,
  wal: Uint8Array,
  ends: readonly number[],
  place: { index: number; previousEndBytes: number | undefined },
): void {
  const { index, previousEndBytes } = place;
  let from = 0;
  for (const end of ends) {
    const annotation: Annotation = {
      kind: 'segment',
      generation: GENERATION,
      index,
      ...(previousEndBytes === undefined ? {} : { previousEndBytes }),
    };
    const key = segmentKey(GENERATION, { index, offsetBytes: from });
    put(root, key, wal.subarray(from, end), from === 0 ? annotation : undefined);
    from = end;
  }
}

function put(root: string, key: string, content: Uint8Array, annotation: Annotation | undefined): void {
  const path = join(root, key);
  mkdirSync(dirname(path), { recursive: true });
  const options = annotation === undefined ? {} : { annotation: encodeAnnotation(annotation) };
  writeFileSync(path, encodeFrame(content, options));
}
