import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chainAfterSegment } from '../../src/primary/resume-point.ts';
import { frameBytes, scanFrames, startChain } from '../../src/wal/frames.ts';
import { parseWalHeader } from '../../src/wal/wal-header.ts';
import { makeWal } from '../support/sample-wal.ts';

const { wal } = makeWal(1024, ['CREATE TABLE t (a)', 'INSERT INTO t VALUES (zeroblob(5000))']);
const SIZE = frameBytes(1024);
const header = parseWalHeader(wal);
const at = (offsetBytes: number) => ({ index: 0, offsetBytes });

describe('the chain behind a segment', () => {
  it('is the one that a scan from the start finds, wherever the log is cut', () => {
    const frames = (wal.length - 32) / SIZE;
    for (let end = 1; end <= frames; end++) {
      const scanned = scanFrames(startChain(header), wal, 32, 32 + end * SIZE).chain;
      assert.deepEqual(chainAfterSegment(header, at(0), wal.subarray(0, 32 + end * SIZE)), scanned);
      for (let start = 0; start < end; start++) {
        const from = 32 + start * SIZE;
        assert.deepEqual(chainAfterSegment(header, at(from), wal.subarray(from, 32 + end * SIZE)), scanned);
      }
    }
  });

  it('behind a header alone the first frame comes', () => {
    assert.deepEqual(chainAfterSegment(header, at(0), wal.subarray(0, 32)), startChain(header));
  });

  it('half frames, and nothing at all, lead nowhere', () => {
    assert.equal(chainAfterSegment(header, at(0), wal.subarray(0, 31)), undefined);
    assert.equal(chainAfterSegment(header, at(0), wal.subarray(0, 32 + SIZE - 1)), undefined);
    assert.equal(chainAfterSegment(header, at(32), wal.subarray(32, 32 + SIZE + 8)), undefined);
    assert.equal(chainAfterSegment(header, at(32), new Uint8Array(0)), undefined);
    assert.equal(chainAfterSegment(header, at(0), new Uint8Array(0)), undefined);
    assert.throws(() => chainAfterSegment(header, at(0), new Uint8Array(32)), { code: 'WAL_INVALID' });
  });
});
