import assert from 'node:assert/strict';
import { statSync, utimesSync } from 'node:fs';
import { test } from 'node:test';
import { FileObjectStore } from '../../src/storage/file/file-object-store.ts';
import { Scratch } from '../support/scratch.ts';

test('an object that was stored at the very end of a second is listed in that second', async () => {
  using scratch = new Scratch();
  const store = new FileObjectStore(scratch.path);
  await store.write('folder/object', new Uint8Array(1));
  utimesSync(scratch.file('folder/object'), 1_700_000_000, 1_700_000_000.9998);
  assert.ok(statSync(scratch.file('folder/object')).mtimeMs > 1_700_000_000_999.5, 'no fine times here');
  for await (const { modifiedAt } of store.list('')) {
    assert.equal(modifiedAt.toISOString(), '2023-11-14T22:13:20.999Z');
  }
});
