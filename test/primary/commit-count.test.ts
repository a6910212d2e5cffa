import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CommitCount, TRUSTED_COMMITS } from '../../src/primary/commit-count.ts';

const LARGE = 10 * TRUSTED_COMMITS;

describe('the count of commits', () => {
  it('is trusted when it is large and has never been found wrong', () => {
    const count = new CommitCount();
    count.note({ isCountable: true, change: LARGE });
    assert.equal(count.isTrusted({ isCountable: true, change: LARGE }), true);
    assert.equal(count.isTrusted({ isCountable: true, change: TRUSTED_COMMITS }), true);
  });

  it('is not trusted while a recovery has begun it a short while ago: the same number may come again', () => {
    const count = new CommitCount();
    for (const change of [0, 1, TRUSTED_COMMITS - 1])
      assert.equal(count.isTrusted({ isCountable: true, change }), false, String(change));
    assert.equal(count.isTrusted({ isCountable: true, change: undefined }), false);
  });

  it('is not trusted where frames and index have counted differently, nor for a long time after that', () => {
    const count = new CommitCount();
    count.note({ isCountable: false, change: LARGE });
    assert.equal(count.isTrusted({ isCountable: false, change: LARGE }), false);
    assert.equal(count.isTrusted({ isCountable: true, change: LARGE + TRUSTED_COMMITS - 1 }), false);
    assert.equal(count.isTrusted({ isCountable: true, change: LARGE + TRUSTED_COMMITS }), true);
  });

  it('goes on where it begins again at 0 after 2^32', () => {
    const count = new CommitCount();
    count.note({ isCountable: false, change: 2 ** 32 - 10 });
    assert.equal(count.isTrusted({ isCountable: true, change: TRUSTED_COMMITS }), true);
    assert.equal(count.isTrusted({ isCountable: true, change: TRUSTED_COMMITS - 1 }), false);
  });
});
