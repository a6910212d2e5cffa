import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CommitCount, TRUSTED_COMMITS } from '../../src/primary/commit-count.ts';

describe('the count of commits', () => {
  it('is trusted from some thousand commits on, and not before', () => {
    const count = new CommitCount();
    for (const [change, expected] of [
      [undefined, false],
      [0, false],
      [TRUSTED_COMMITS - 1, false],
      [TRUSTED_COMMITS, true],
    ] as const)
      assert.equal(count.isTrusted({ change, isCountable: true }), expected, String(change));
    assert.equal(count.isTrusted({ change: 1e6, isCountable: false }), false);
  });

  it('is not trusted for some thousand commits after it was wrong', () => {
    const count = new CommitCount();
    count.note({ change: 10_000, isCountable: true });
    assert.ok(count.isTrusted({ change: 10_000, isCountable: true }));
    count.note({ change: 10_005, isCountable: false });
    assert.ok(!count.isTrusted({ change: 10_005 + TRUSTED_COMMITS - 1, isCountable: true }));
    assert.ok(count.isTrusted({ change: 10_005 + TRUSTED_COMMITS, isCountable: true }));
  });

  it('is counted on past 2^32, but not trusted right after it', () => {
    const count = new CommitCount();
    count.note({ change: 2 ** 32 - 10, isCountable: false });
    assert.ok(!count.isTrusted({ change: 5, isCountable: true }), 'a small number may come again');
    assert.ok(count.isTrusted({ change: TRUSTED_COMMITS, isCountable: true }));
  });
});
