import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { locationOf, parseHostAndPort } from '../../../src/storage/sftp/options.ts';
import { cleanRoot, folderOf, inFolder } from '../../../src/storage/sftp/paths.ts';

describe('sftp addresses', () => {
  it('are a host with or without a port', () => {
    const cases: [string, string, number | undefined][] = [
      ['alpha', 'alpha', undefined],
      ['alpha.example:2222', 'alpha.example', 2222],
      ['10.0.0.1:22', '10.0.0.1', 22],
      ['[::1]:2222', '::1', 2222],
      ['[::1]', '::1', undefined],
      ['fe80::1', 'fe80::1', undefined],
    ];
    for (const [text, host, port] of cases) assert.deepEqual(parseHostAndPort(text), { host, port }, text);
    for (const text of ['', 'alpha:', 'alpha:0', 'alpha:65536', 'alpha:ssh', '[::1', 'a:b:c:zz']) {
      assert.throws(() => parseHostAndPort(text), RangeError, text);
    }
  });

  it('are shown without secrets', () => {
    const options = { user: 'me@x', host: 'alpha', path: '/db', password: 'hunter2' };
    assert.equal(locationOf(options), 'sftp://me%40x@alpha/db');
    assert.equal(locationOf({ ...options, port: 22 }), 'sftp://me%40x@alpha/db');
    assert.equal(locationOf({ ...options, host: '::1', port: 2222 }), 'sftp://me%40x@[::1]:2222/db');
    assert.equal(locationOf({ ...options, path: 'db' }), 'sftp://me%40x@alpha/~/db');
  });
});

describe('sftp paths', () => {
  it('keep whether they begin at the root or at the login', () => {
    const roots: [string, string][] = [
      ['/db', '/db'],
      ['/db/', '/db'],
      ['//db//x/./y', '/db/x/y'],
      ['/', '/'],
      ['', '.'],
      ['.', '.'],
      ['db/', 'db'],
      ['./db', 'db'],
    ];
    for (const [text, expected] of roots) assert.equal(cleanRoot(text), expected, text);
    assert.deepEqual(
      ['/', '.'].map((root) => inFolder(root, 'a/b')),
      ['/a/b', './a/b'],
    );
    assert.equal(inFolder('/db', ''), '/db');
  });

  it('lead up to the root or the login, where they stay', () => {
    const ups: [string, string][] = [
      ['/a/b', '/a'],
      ['/a', '/'],
      ['/', '/'],
      ['a/b', 'a'],
      ['a', '.'],
      ['.', '.'],
    ];
    for (const [path, expected] of ups) assert.equal(folderOf(path), expected, path);
  });
});
