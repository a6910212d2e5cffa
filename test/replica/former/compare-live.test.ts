/** Random histories: what stands at an earlier commit is behind, and what went on from the last one never is. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { compareLive, type LivePages } from '../../../src/replica/former/compare-live.ts';
import { digestOf, FormerPages } from '../../../src/replica/former/former-pages.ts';
import type { RestorePlan } from '../../../src/generations/plan-outcome.ts';
import { newestPart } from '../../../src/replica/former/read-former.ts';
import { frameBytes, FRAME_HEADER_BYTES, viewOf } from '../../../src/wal/frames.ts';
import { WAL_HEADER_BYTES } from '../../../src/wal/wal-header.ts';

const PAGE_BYTES = 512;
const PAGES = 6;

/** Pages that a transaction writes. */
type Write = readonly number[];
/** Content of each page, by number. */
type State = ReadonlyMap<number, Uint8Array>;

let contents = 0;

/** Another content with each call; that of page 1 counts up its change counter. */
function written(state: State, pages: Write): State {
  const next = new Map(state);
  for (const page of pages) {
    const bytes = new Uint8Array(PAGE_BYTES);
    contents += 1;
    viewOf(bytes).setUint32(100, contents);
    if (page === 1) viewOf(bytes).setUint32(24, viewOf(state.get(1)!).getUint32(24) + 1);
    next.set(page, bytes);
  }
  return next;
}

function segmentOf(state: State, pages: Write): Uint8Array {
  const bytes = new Uint8Array(frameBytes(PAGE_BYTES) * pages.length);
  for (const [i, page] of pages.entries()) {
    const at = i * frameBytes(PAGE_BYTES);
    viewOf(bytes).setUint32(at, page);
    viewOf(bytes).setUint32(at + 4, i === pages.length - 1 ? PAGES : 0);
    bytes.set(state.get(page)!, at + FRAME_HEADER_BYTES);
  }
  return bytes;
}

interface History {
  readonly states: readonly State[];
  readonly former: FormerPages;
}

function historyOf(writes: readonly Write[]): History {
  let base: State = new Map(Array.from({ length: PAGES }, (_, i) => [i + 1, new Uint8Array(PAGE_BYTES)]));
  base = written(base, [1, 2, 3, 4, 5, 6]);
  const states = [base];
  const former = new FormerPages(PAGE_BYTES);
  for (const [i, pages] of writes.entries()) {
    const state = written(states[i]!, pages);
    states.push(state);
    const frames = segmentOf(state, pages);
    const isStart = i % 3 === 0;
    const bytes = isStart ? Buffer.concat([new Uint8Array(WAL_HEADER_BYTES), frames]) : frames;
    former.addSegment(bytes, isStart ? 0 : WAL_HEADER_BYTES, i + 1);
  }
  for (const [page, bytes] of base) former.addBase(page, bytes);
  return { states, former };
}

function liveOf(state: State): LivePages {
  const digests = new Map([...state].map(([page, bytes]) => [page, digestOf(bytes)]));
  return { digests, changeCounter: viewOf(state.get(1)!).getUint32(24) };
}

const write = fc.uniqueArray(fc.integer({ min: 1, max: PAGES }), { minLength: 1, maxLength: 4 });
const writes = fc.array(write, { minLength: 1, maxLength: 12 });

describe('the live database and what a destination holds', () => {
  it('is behind where it stands at an earlier commit, by the commits that are missing', () => {
    fc.assert(
      fc.property(writes, fc.nat(), (made, at) => {
        const { states, former } = historyOf(made);
        const stands = at % made.length;
        const standing = compareLive(former, liveOf(states[stands]!));
        assert.ok(standing.kind === 'behind');
        assert.equal(standing.isCertain, true);
        // Commits that later ones wrote over entirely leave no trace.
        assert.ok((standing.lacked ?? 0) >= made.length - stands, `${standing.lacked} of ${made.length}`);
        assert.ok((standing.lacked ?? 0) <= made.length);
      }),
    );
  });

  it('is not behind where it stands at the last commit, or went on from there', () => {
    fc.assert(
      fc.property(writes, fc.array(write, { maxLength: 12 }), (made, more) => {
        const { states, former } = historyOf(made);
        const state = more.reduce(written, states.at(-1)!);
        assert.notEqual(compareLive(former, liveOf(state)).kind, 'behind');
        if (more.length === 0) assert.equal(compareLive(former, liveOf(state)).kind, 'has-all');
      }),
    );
  });

  it('is behind in all likelihood where it went on from an earlier commit, unless nothing of that is left', () => {
    fc.assert(
      fc.property(writes, write, fc.nat(), (made, more, at) => {
        const { states, former } = historyOf(made);
        const stands = at % made.length;
        const standing = compareLive(former, liveOf(written(states[stands]!, more)));
        const changedSince = new Set(made.slice(stands).flat());
        const isTraced = [...changedSince].some((page) => !more.includes(page));
        if (isTraced) assert.equal(standing.kind, 'behind');
        assert.notEqual(standing.kind, 'has-all');
      }),
    );
  });

  it('counts a page that a transaction wrote as it was for no change', () => {
    const { states, former } = historyOf([[2], [3]]);
    former.addSegment(segmentOf(states[2]!, [3]), WAL_HEADER_BYTES, 9);
    assert.equal(compareLive(former, liveOf(states[2]!)).kind, 'has-all');
    assert.equal(compareLive(former, liveOf(states[1]!)).kind, 'behind');
  });

  it('passes over a transaction that did not end', () => {
    const { states, former } = historyOf([[2]]);
    const open = segmentOf(written(states[1]!, [3]), [3]);
    viewOf(open).setUint32(4, 0);
    former.addSegment(open, WAL_HEADER_BYTES, 9);
    assert.equal(compareLive(former, liveOf(states[1]!)).kind, 'has-all');
  });

  it('is another one or an older one where its change counter is lower, and nothing else is known', () => {
    const { former } = historyOf([[1], [1]]);
    const standing = compareLive(former, { digests: new Map(), changeCounter: 2 });
    assert.deepEqual(standing, { kind: 'behind', isCertain: true, lacked: undefined, isLeast: true });
    assert.equal(compareLive(former, { digests: new Map(), changeCounter: 9 }).kind, 'unknown');
  });

  it('lacks at least what was looked at where the commits before were not', () => {
    const { states, former } = historyOf([[2], [3], [2]]);
    const part = new FormerPages(PAGE_BYTES, false);
    part.addSegment(segmentOf(states[2]!, [3]), WAL_HEADER_BYTES, 2);
    part.addSegment(segmentOf(states[3]!, [2]), WAL_HEADER_BYTES, 3);
    for (const [page, bytes] of states[0]!) part.addBase(page, bytes);
    const behind = { kind: 'behind', isCertain: true };
    assert.deepEqual(compareLive(part, liveOf(states[0]!)), { ...behind, lacked: 2, isLeast: true });
    // Page 2 is as a commit left it that was not looked at: a later one may have done so, too.
    assert.deepEqual(compareLive(part, liveOf(states[2]!)), { kind: 'unknown' });
    assert.deepEqual(compareLive(former, liveOf(states[0]!)), { ...behind, lacked: 3, isLeast: false });
  });
});

describe('what is read of a former generation', () => {
  const plan = (sizes: readonly number[], snapshotBytes: number): RestorePlan =>
    ({
      snapshot: { sizeBytes: snapshotBytes },
      segments: sizes.map((sizeBytes, i) => ({ sizeBytes, index: 0, offsetBytes: i })),
    }) as unknown as RestorePlan;
  const partOf = (sizes: readonly number[], snapshotBytes: number): unknown => {
    const { segments, isWhole, hasSnapshot } = newestPart(plan(sizes, snapshotBytes), 100);
    return [segments.map(({ offsetBytes }) => offsetBytes), isWhole, hasSnapshot];
  };

  it('is the newest of it, within bounds on bytes and objects', () => {
    assert.deepEqual(partOf([40, 40], 20), [[0, 1], true, true]);
    assert.deepEqual(partOf([40, 40], 21), [[0, 1], true, false]);
    assert.deepEqual(partOf([40, 40, 40], 20), [[1, 2], false, true]);
    assert.deepEqual(partOf([1, 101], 1), [[], false, true]);
    assert.deepEqual(partOf([], 1), [[], true, true]);
    const [offsets, isWhole] = partOf(
      Array.from({ length: 300 }, () => 0),
      1,
    ) as [number[], boolean];
    assert.deepEqual([offsets.length, offsets.at(-1), isWhole], [256, 299, false]);
  });
});
