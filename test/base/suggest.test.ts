import assert from 'node:assert/strict';
import { test } from 'node:test';

import { editDistance, suggest } from '../../src/base/suggest.ts';

test('counts letters inserted, removed, replaced and swapped', () => {
  assert.equal(editDistance('', 'abc'), 3);
  assert.equal(editDistance('retention', 'retention'), 0);
  assert.equal(editDistance('rentention', 'retention'), 1);
  assert.equal(editDistance('retnetion', 'retention'), 1);
  assert.equal(editDistance('kitten', 'sitting'), 3);
});

test('suggests the nearest, and nothing when nothing is near', () => {
  const keys = ['sync-interval', 'snapshot-interval', 'path'];
  assert.equal(suggest('sync_interval', keys), 'sync-interval');
  assert.equal(suggest('SyncInterval', keys), 'sync-interval');
  assert.equal(suggest('pahts', keys), undefined);
  assert.equal(suggest('paht', keys), 'path');
  assert.equal(suggest('frobnicate', keys), undefined);
  assert.equal(suggest('x', []), undefined);
});
