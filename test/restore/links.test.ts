/** How two objects must fit together, tried without the rest of a restore. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkFirstLog, checkNextLog, checkPlace, type PreviousLog } from '../../src/restore/links.ts';
import type { WalHeader } from '../../src/wal/wal-header.ts';
import { ChainFault } from '../../src/restore/faults.ts';

const GENERATION = '00112233445566aa';
const HEADER: WalHeader = {
  bigEndianChecksum: false,
  pageSizeBytes: 4096,
  checkpointSequence: 1,
  salt1: 10,
  salt2: 20,
  checksum: [1, 2],
};

function segment(index: number, offsetBytes: number) {
  return { key: `segment ${index}:${offsetBytes}`, index, offsetBytes, sizeBytes: 1, createdAt: 0 };
}

describe('links', () => {
  it('a snapshot and the log of another history do not belong together', () => {
    const annotation = {
      kind: 'snapshot' as const,
      generation: GENERATION,
      index: 3,
      offsetBytes: 32,
      pageSizeBytes: 4096,
      pageCount: 1,
    };
    const check = (salts: readonly [number, number] | undefined): string | undefined =>
      checkFirstLog(segment(3, 0), HEADER, {
        key: 'snapshot 3',
        annotation: salts === undefined ? annotation : { ...annotation, salts },
      });
    assert.equal(check([10, 20]), undefined);
    assert.equal(check(undefined), undefined);
    assert.throws(() => check([10, 21]), ChainFault);
    assert.throws(() => check([11, 20]), ChainFault);
    assert.match(
      checkFirstLog(segment(3, 0), HEADER, { key: 'old', annotation: undefined }) ?? '',
      /does not say/,
    );
  });

  it('a log follows the one before by its end and by the checksum there', () => {
    const previous: PreviousLog = { end: { index: 2, offsetBytes: 4152 }, header: HEADER, checksum: [7, 8] };
    const check = (more: object): string | undefined =>
      checkNextLog(
        GENERATION,
        segment(3, 0),
        {
          header: { ...HEADER, salt1: 11 },
          annotation: { kind: 'segment', generation: GENERATION, index: 3, ...more },
        },
        previous,
      );
    assert.equal(check({ previousEndBytes: 4152, previousEndChecksum: [7, 8] }), undefined);
    assert.equal(check({ previousEndBytes: 4152 }), undefined);
    assert.throws(
      () => check({ previousEndBytes: 4152, previousEndChecksum: [7, 9] }),
      /follows another log/,
    );
    assert.throws(() => check({ previousEndBytes: 8272 }), /says that it went to/);
    assert.match(check({}) ?? '', /nothing in the replica tells/);
  });

  it('a segment begins where the chain stands, or before it, never behind', () => {
    const reached = { index: 3, offsetBytes: 4152 };
    assert.ok(checkPlace(GENERATION, segment(3, 4152), reached) === 0);
    assert.equal(checkPlace(GENERATION, segment(3, 32), reached), 4120);
    assert.throws(() => checkPlace(GENERATION, segment(3, 8272), reached), /gap of 4120 bytes/);
    assert.throws(() => checkPlace(GENERATION, segment(3, 0), reached), /reaches to .* already/);
  });
});
