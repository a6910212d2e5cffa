import assert from 'node:assert/strict';
import { chmodSync, chownSync, lstatSync, mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { openRuntimeDirectory } from '../../src/base/runtime-directory.ts';
import { Scratch } from '../support/scratch.ts';

test('it is made for its owner alone, in a directory that is there', () => {
  using scratch = new Scratch();
  openRuntimeDirectory(scratch.file('rivulet')).close();
  assert.equal(lstatSync(scratch.file('rivulet')).mode & 0o777, 0o700);
  openRuntimeDirectory(scratch.file('rivulet')).close();
  assert.throws(() => openRuntimeDirectory(scratch.file('absent/rivulet')), { code: 'ENOENT' });
  assert.deepEqual(scratch.names(), ['rivulet']);
});

test('one in which others may write is not used', () => {
  using scratch = new Scratch();
  mkdirSync(scratch.file('rivulet'));
  chmodSync(scratch.file('rivulet'), 0o777);
  assert.throws(() => openRuntimeDirectory(scratch.file('rivulet')), { name: 'UntrustedPath' });
});

test('nor one in the directory of another user', (t) => {
  if (process.geteuid?.() !== 0) {
    t.skip('needs root');
    return;
  }
  using scratch = new Scratch();
  mkdirSync(scratch.file('session'));
  chownSync(scratch.file('session'), 61_001, 61_001);
  assert.throws(() => openRuntimeDirectory(scratch.file('session/rivulet')), { name: 'UntrustedPath' });
});
