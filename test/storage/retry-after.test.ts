import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parseRetryAfter } from '../../src/storage/retry-after.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');

it('reads seconds and dates', () => {
  assert.equal(parseRetryAfter('0', NOW), 0);
  assert.equal(parseRetryAfter(' 120 ', NOW), 120_000);
  assert.equal(parseRetryAfter('Thu, 01 Jan 2026 00:00:30 GMT', NOW), 30_000);
  assert.equal(parseRetryAfter('Wed, 31 Dec 2025 23:00:00 GMT', NOW), 0, 'a time that is over');
});

it('knows nothing of anything else', () => {
  for (const value of [undefined, null, '', 'soon', '-5s']) {
    assert.equal(parseRetryAfter(value, NOW), undefined, String(value));
  }
});
