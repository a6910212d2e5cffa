import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import {
  type Chain,
  encodeFrameHeader,
  frameBytes,
  frameCommit,
  framePage,
  scanFrames,
  startChain,
  viewOf,
  walBytes,
} from '../../src/wal/frames.ts';
import { encodeWalHeader, parseWalHeader, WAL_HEADER_BYTES } from '../../src/wal/wal-header.ts';
import { asBigEndian, makeWal, readWithSqlite } from '../support/sample-wal.ts';

const STATEMENTS = [
  'CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)',
  'INSERT INTO t (body) VALUES (zeroblob(3000))',
  'INSERT INTO t (body) SELECT randomblob(1500) FROM t, t AS u',
  'DELETE FROM t WHERE id = 1',
];

/** A log of transactions of the given sizes (in frames), made with the program's own encoder. */
function encodeLog(sizes: readonly number[], pageSizeBytes = 512, bigEndianChecksum = false): Buffer {
  const frames = sizes.reduce((sum, size) => sum + size, 0);
  const bytes = Buffer.alloc(walBytes(frames, pageSizeBytes));
  const header = { bigEndianChecksum, pageSizeBytes, checkpointSequence: 0, salt1: 77, salt2: 88 };
  bytes.set(encodeWalHeader(header));
  let chain = startChain(parseWalHeader(bytes));
  let pageNumber = 0;
  for (const size of sizes) {
    for (let n = 1; n <= size; n++) {
      pageNumber++;
      bytes.fill(pageNumber, chain.offsetBytes + 24, chain.offsetBytes + frameBytes(pageSizeBytes));
      const commitPageCount = n === size ? pageNumber : 0;
      chain = encodeFrameHeader(chain, bytes, chain.offsetBytes, { pageNumber, commitPageCount });
    }
  }
  return bytes;
}

function scanLog(log: Uint8Array): ReturnType<typeof scanFrames> {
  return scanFrames(startChain(parseWalHeader(log)), log, WAL_HEADER_BYTES);
}

describe('frames of a write-ahead log', () => {
  for (const pageSizeBytes of [512, 1024, 4096, 65536]) {
    it(`all of a log by SQLite is valid and committed, pages of ${pageSizeBytes} bytes`, () => {
      const sample = makeWal(pageSizeBytes, STATEMENTS);
      const big = asBigEndian(sample.wal, pageSizeBytes);
      // SQLite itself accepts the re-encoded log, so it is a fair sample of the other byte order.
      const sql = 'SELECT id, hex(body) AS body FROM t';
      assert.deepEqual(
        readWithSqlite(sample.database, big, sql),
        readWithSqlite(sample.database, sample.wal, sql),
      );
      assert.equal(readWithSqlite(sample.database, big, sql).length, 1);
      for (const log of [sample.wal, big]) {
        const scan = scanLog(log);
        assert.equal(scan.stop, 'end');
        assert.equal(scan.validBytes, log.length - WAL_HEADER_BYTES);
        assert.equal(scan.committedBytes, scan.validBytes);
        assert.deepEqual(scan.committedChain, scan.chain);
        assert.equal(scan.chain.offsetBytes, log.length);
        const last = log.length - frameBytes(pageSizeBytes);
        assert.equal(scan.commitPageCount, log.readUInt32BE(last + 4));
        assert.equal(frameCommit(viewOf(log), last), scan.commitPageCount);
        assert.equal(framePage(viewOf(log), last), log.readUInt32BE(last));
      }
    });
  }

  it('the encoder writes the very bytes that SQLite writes', () => {
    const { wal, pageSizeBytes } = makeWal(1024, STATEMENTS);
    const copy = Buffer.from(wal);
    let chain = startChain(parseWalHeader(copy));
    for (let at = WAL_HEADER_BYTES; at < copy.length; at += frameBytes(pageSizeBytes)) {
      const frame = { pageNumber: copy.readUInt32BE(at), commitPageCount: copy.readUInt32BE(at + 4) };
      copy.fill(0, at, at + 24);
      chain = encodeFrameHeader(chain, copy, at, frame);
    }
    assert.ok(copy.equals(wal));
    assert.deepEqual(chain, scanLog(wal).chain);
  });

  for (const bigEndian of [false, true]) {
    it(`any flipped bit stops the scan at its frame (${bigEndian ? 'big' : 'little'} endian)`, () => {
      const log = encodeLog([1, 2, 1], 512, bigEndian);
      const size = frameBytes(512);
      const ends = [1, 3, 4].map((frames) => frames * size);
      for (let bit = WAL_HEADER_BYTES * 8; bit < log.length * 8; bit++) {
        const at = bit >> 3;
        log[at] = (log[at] ?? 0) ^ (1 << (bit & 7));
        const scan = scanLog(log);
        log[at] = (log[at] ?? 0) ^ (1 << (bit & 7));
        const before = Math.floor((at - WAL_HEADER_BYTES) / size) * size;
        assert.equal(scan.validBytes, before, `bit ${bit}`);
        assert.notEqual(scan.stop, 'end');
        assert.equal(scan.committedBytes, ends.findLast((end) => end <= before) ?? 0);
      }
      assert.equal(scanLog(log).validBytes, 4 * size);
    });
  }

  it('says why it stopped', () => {
    const log = encodeLog([1, 1]);
    const second = WAL_HEADER_BYTES + frameBytes(512);
    const stopAfter = (change: (bytes: Buffer) => void): string => {
      const bytes = Buffer.from(log);
      change(bytes);
      const scan = scanLog(bytes);
      assert.equal(scan.validBytes, frameBytes(512));
      return scan.stop;
    };
    assert.equal(
      stopAfter((bytes) => bytes.writeUInt32BE(78, second + 8)),
      'salt',
    );
    assert.equal(
      stopAfter((bytes) => bytes.writeUInt32BE(0, second + 12)),
      'salt',
    );
    assert.equal(
      stopAfter((bytes) => bytes.writeUInt32BE(0, second)),
      'page-number',
    );
    assert.equal(
      stopAfter((bytes) => bytes.writeUInt32BE(1, second + 20)),
      'checksum',
    );
    assert.equal(
      stopAfter((bytes) => void (bytes[second + 30] = 1)),
      'checksum',
    );
  });

  it('frames of an older log behind the end do not count', () => {
    const [old, fresh] = [encodeLog([1, 1, 1, 1]), encodeLog([2])];
    old.writeUInt32BE(76, WAL_HEADER_BYTES + 2 * frameBytes(512) + 8);
    fresh.copy(old);
    const scan = scanLog(old);
    assert.deepEqual([scan.validBytes, scan.stop], [2 * frameBytes(512), 'salt']);
  });

  it('cut anywhere, a log gives its whole frames and its whole transactions', () => {
    const transactions = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(transactions, fc.double({ min: 0, max: 1, noNaN: true }), (sizes, share) => {
        const log = encodeLog(sizes);
        const size = frameBytes(512);
        const cut = WAL_HEADER_BYTES + Math.floor(share * (log.length - WAL_HEADER_BYTES));
        const scan = scanLog(log.subarray(0, cut));
        const whole = Math.floor((cut - WAL_HEADER_BYTES) / size);
        let committed = 0;
        for (const frames of sizes)
          if (committed + frames <= whole) committed += frames;
          else break;
        assert.equal(scan.validBytes, whole * size);
        assert.equal(scan.committedBytes, committed * size);
        assert.equal(scan.commitPageCount, committed);
        assert.equal(scan.committedChain.offsetBytes, WAL_HEADER_BYTES + committed * size);
        assert.equal(scan.stop, 'end');
      }),
      { seed: 11, numRuns: 200 },
    );
  });

  it('read in pieces of any size, a log gives the same chain as in one', () => {
    const sizes = [3, 1, 4, 1, 5];
    const log = encodeLog(sizes);
    const whole = scanLog(log);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 14 }), (steps) => {
        let chain: Chain = startChain(parseWalHeader(log));
        let committed = chain;
        for (const frames of [...steps, 14]) {
          const end = Math.min(log.length, chain.offsetBytes + frames * frameBytes(512));
          const scan = scanFrames(chain, log, chain.offsetBytes, end);
          chain = scan.chain;
          if (scan.committedBytes > 0) committed = scan.committedChain;
        }
        assert.deepEqual(chain, whole.chain);
        assert.deepEqual(committed, whole.committedChain);
      }),
      { seed: 13, numRuns: 200 },
    );
  });
});
