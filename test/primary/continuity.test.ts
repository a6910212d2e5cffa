import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  chainAtTail,
  type ContinuityFacts,
  decideContinuity,
  type LogRemains,
  oldLogEndedAtTail,
} from '../../src/primary/continuity.ts';
import type { HeaderReading } from '../../src/primary/live-wal.ts';
import type { LocalState } from '../../src/primary/state-file.ts';
import { frameBytes, walBytes } from '../../src/wal/frames.ts';
import { encodeWalHeader, parseWalHeader } from '../../src/wal/wal-header.ts';

const TAIL = walBytes(5, 4096);
const FRAME = frameBytes(4096);

function logOf(salt1: number, salt2: number = 1): HeaderReading {
  const bytes = encodeWalHeader({
    bigEndianChecksum: false,
    pageSizeBytes: 4096,
    checkpointSequence: 0,
    salt1,
    salt2,
  });
  return { header: parseWalHeader(bytes), bytes };
}

const identity = { device: '1', inode: '2' };
const state: LocalState = {
  generation: '00112233445566ff',
  identity,
  bootId: 'this start',
  index: 7,
  header: logOf(10).bytes,
  tailBytes: TAIL,
  tailChecksum: [3, 4],
  ends: new Map(),
  confirmed: new Map(),
};
const same: ContinuityFacts = {
  reading: { kind: 'state', state },
  identity,
  bootId: 'this start',
  log: logOf(10),
  chainAtStateTail: { header: logOf(10).header, offsetBytes: TAIL, checksum: [3, 4] },
  isDatabaseUntouched: false,
  isOverwritten: false,
  frames: 0,
  remains: undefined,
};
const untouched: LogRemains = {
  fileBytes: TAIL + FRAME,
  newLogEndBytes: TAIL,
  continuation: { validBytes: 0 },
  isOverwritten: false,
  isLastFrameThere: true,
};
const next: ContinuityFacts = {
  ...same,
  log: logOf(11, 999),
  chainAtStateTail: undefined,
  remains: untouched,
};

function reasonOf(facts: ContinuityFacts): string {
  const verdict = decideContinuity(facts);
  assert.equal(verdict.kind, 'new-generation');
  return verdict.reason;
}

describe('may the log continue the generation', () => {
  it('the same log, as far as it was and further: yes', () => {
    assert.deepEqual(decideContinuity(same), { kind: 'same-log', index: 7 });
  });

  it('the next log after the machine was started anew: no, a power cut may have taken frames that others replaced', () => {
    assert.match(reasonOf({ ...next, bootId: 'another start' }), /the machine was too/);
    const { bootId: _, ...withoutBoot } = state;
    assert.match(
      reasonOf({ ...next, reading: { kind: 'state', state: withoutBoot } }),
      /the machine was too/,
    );
    assert.deepEqual(decideContinuity({ ...same, bootId: 'another start' }), { kind: 'same-log', index: 7 });
  });

  it('the next log, when the old one is seen to have ended: yes', () => {
    assert.deepEqual(decideContinuity(next), { kind: 'next-log', index: 8 });
    const wrapped = { ...state, header: logOf(0xffffffff).bytes };
    const facts = { ...next, reading: { kind: 'state' as const, state: wrapped }, log: logOf(0) };
    assert.deepEqual(decideContinuity(facts), { kind: 'next-log', index: 8 });
  });

  it('another log, or one that had been empty, when the database file was not written to since: yes', () => {
    const facts: ContinuityFacts = { ...next, remains: undefined, isDatabaseUntouched: true };
    const after = { kind: 'next-log', index: state.index + 1 };
    assert.deepEqual(decideContinuity(facts), after);
    assert.deepEqual(decideContinuity({ ...facts, log: undefined }), after);
    assert.deepEqual(
      decideContinuity({ ...facts, log: same.log }).kind,
      'new-generation',
      'its frames are gone',
    );
    const empty = { kind: 'state', state: { ...state, header: new Uint8Array(0) } } as const;
    const begun = { kind: 'begun-log', index: state.index };
    assert.deepEqual(decideContinuity({ ...facts, reading: empty }), begun);
    assert.deepEqual(decideContinuity({ ...facts, reading: empty, log: undefined }), begun);
  });

  it('every other case begins a new generation, and says why', () => {
    const withState = (change: Partial<LocalState>): ContinuityFacts['reading'] => ({
      kind: 'state',
      state: { ...state, ...change },
    });
    const empty = withState({ header: new Uint8Array(0) });
    const untouchedDatabase: ContinuityFacts = { ...same, isDatabaseUntouched: true };
    const table: [RegExp, ContinuityFacts][] = [
      [/^no local state$/, { ...same, reading: { kind: 'none' } }],
      [/damaged \(torn\)/, { ...same, reading: { kind: 'damaged', why: 'torn' } }],
      [/replaced by another/, { ...same, identity: { device: '1', inode: '3' } }],
      [/replaced by another/, { ...same, identity: { device: '9', inode: '2' } }],
      [/was emptied/, { ...same, log: undefined }],
      [/shorter than it was/, { ...same, chainAtStateTail: undefined }],
      [/was overwritten/, { ...same, chainAtStateTail: { ...chainAtTail(state), checksum: [3, 5] } }],
      [/restarted while nobody/, { ...next, log: logOf(12) }],
      [/restarted while nobody/, { ...next, log: logOf(10, 2) }],
      [/restarted while nobody/, { ...next, log: logOf(9) }],
      [/was empty, and/, { ...same, reading: withState({ header: new Uint8Array(0) }) }],
      [/was empty, and/, { ...untouchedDatabase, bootId: 'another start', reading: empty }],
      [/was emptied/, { ...untouchedDatabase, bootId: 'another start', log: undefined }],
      [/index has reached/, { ...next, reading: withState({ index: 0x7fffffff }) }],
      [/cannot be proven/, { ...next, remains: undefined }],
      [/cannot be proven/, { ...next, remains: { ...untouched, continuation: { validBytes: FRAME } } }],
      [/cannot be proven/, { ...next, remains: { ...untouched, newLogEndBytes: TAIL + FRAME } }],
      [/cannot be proven/, { ...next, remains: { ...untouched, fileBytes: TAIL - 1 } }],
      [/cannot be proven/, { ...next, remains: { ...untouched, isOverwritten: true } }],
      [/cannot be proven/, { ...next, remains: { ...untouched, fileBytes: TAIL, isLastFrameThere: false } }],
    ];
    for (const [reason, facts] of table) assert.match(reasonOf(facts), reason);
  });

  it('an index one below the maximum still has a next', () => {
    const reading = { kind: 'state' as const, state: { ...state, index: 0x7ffffffe } };
    assert.deepEqual(decideContinuity({ ...next, reading }), { kind: 'next-log', index: 0x7fffffff });
  });

  it('the place where the old log would go on must be there whole, or the file must end before it', () => {
    const ended = (fileBytes: number): boolean => oldLogEndedAtTail({ ...untouched, fileBytes }, TAIL, 4096);
    assert.deepEqual(
      [TAIL - 1, TAIL, TAIL + 1, TAIL + FRAME - 1, TAIL + FRAME, TAIL + 9 * FRAME].map(ended),
      [false, true, false, false, true, true],
    );
  });

  it('the chain at the tail is the one that the state describes', () => {
    assert.deepEqual(chainAtTail(state), { header: logOf(10).header, offsetBytes: TAIL, checksum: [3, 4] });
  });
});
