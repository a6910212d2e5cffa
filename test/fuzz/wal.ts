/** Headers and frames of databases and of their logs. */
import assert from 'node:assert/strict';
import { verifyBytes, startOfLog } from '../../src/primary/cursor.ts';
import { chainAfterSegment } from '../../src/primary/resume-point.ts';
import { DATABASE_HEADER_BYTES, parseDatabaseHeader } from '../../src/wal/database-header.ts';
import {
  encodeFrameHeader,
  frameBytes,
  frameCommit,
  framePage,
  scanFrames,
  startChain,
  viewOf,
} from '../../src/wal/frames.ts';
import {
  encodeWalHeader,
  parseWalHeader,
  WAL_HEADER_BYTES,
  type WalHeader,
} from '../../src/wal/wal-header.ts';
import { asBigEndian, makeWal } from '../support/sample-wal.ts';
import type { FuzzTarget } from './target.ts';

function sampleLogs(): Uint8Array[] {
  const statements = [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)',
    'INSERT INTO t (body) VALUES (randomblob(3000))',
    'INSERT INTO t (body) SELECT randomblob(700) FROM t',
  ];
  const logs = [512, 1024].map((pageSizeBytes) => makeWal(pageSizeBytes, statements));
  return logs.flatMap(({ wal, pageSizeBytes }) => [wal, asBigEndian(wal, pageSizeBytes)]);
}

/** Every checksum as the bytes before it want it, so that frames with strange content are reached. */
export function repairLog(input: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(input);
  if (bytes.length < WAL_HEADER_BYTES) return bytes;
  const view = viewOf(bytes);
  const header: WalHeader = {
    bigEndianChecksum: view.getUint32(0) % 2 === 1,
    pageSizeBytes: view.getUint32(8),
    checkpointSequence: view.getUint32(12),
    salt1: view.getUint32(16),
    salt2: view.getUint32(20),
    checksum: [0, 0],
  };
  bytes.set(encodeWalHeader(header));
  const size = frameBytes(header.pageSizeBytes);
  if (header.pageSizeBytes % 8 !== 0 || header.pageSizeBytes === 0) return bytes;
  let chain = startChain({ ...header, checksum: [view.getUint32(24), view.getUint32(28)] });
  for (let at = WAL_HEADER_BYTES; at + size <= bytes.length; at += size) {
    const frame = { pageNumber: framePage(view, at), commitPageCount: frameCommit(view, at) };
    chain = encodeFrameHeader(chain, bytes, at, frame);
  }
  return bytes;
}

function readDatabaseHeader(input: Uint8Array): void {
  const { pageSizeBytes, pageCount } = parseDatabaseHeader(input);
  assert.ok(pageSizeBytes >= 512 && pageSizeBytes <= 65_536 && Number.isInteger(Math.log2(pageSizeBytes)));
  assert.ok(pageCount >= 0 && pageCount <= 0xffff_ffff);
}

function readWalHeader(input: Uint8Array): void {
  const header = parseWalHeader(input);
  assert.deepEqual(Buffer.from(encodeWalHeader(header)), Buffer.from(input.subarray(0, WAL_HEADER_BYTES)));
}

/** The scan in one go, and frame by frame, and by the reader that ships: all must say the same. */
function readFrames(input: Uint8Array): void {
  const header = parseWalHeader(input);
  const whole = scanFrames(startChain(header), input, WAL_HEADER_BYTES);
  assert.ok(whole.committedBytes <= whole.validBytes);
  assert.ok(whole.validBytes <= input.length - WAL_HEADER_BYTES);
  const size = frameBytes(header.pageSizeBytes);
  let chain = startChain(header);
  let at = WAL_HEADER_BYTES;
  for (; at + size <= input.length; at += size) {
    const one = scanFrames(chain, input, at, at + size);
    if (one.validBytes === 0) break;
    chain = one.chain;
  }
  assert.equal(at - WAL_HEADER_BYTES, whole.validBytes);
  assert.deepEqual(chain, whole.chain);
  const valid = input.subarray(0, at);
  assert.deepEqual(verifyBytes(startOfLog(0), valid).chain, whole.chain);
  assert.deepEqual(chainAfterSegment(header, { index: 0, offsetBytes: 0 }, valid), whole.chain);
}

export const WAL_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'wal/database-header',
    codes: ['DB_INVALID'],
    samples: () => [makeWal(1024, ['CREATE TABLE t (a)']).database.subarray(0, DATABASE_HEADER_BYTES)],
    read: readDatabaseHeader,
  },
  {
    name: 'wal/wal-header',
    codes: ['WAL_INVALID'],
    samples: () => sampleLogs().map((log) => log.slice(0, WAL_HEADER_BYTES)),
    repair: repairLog,
    read: readWalHeader,
  },
  { name: 'wal/frames', codes: ['WAL_INVALID'], samples: sampleLogs, repair: repairLog, read: readFrames },
];
