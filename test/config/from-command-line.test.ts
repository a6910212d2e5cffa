import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isRivuletError } from '../../src/base/errors.ts';
import { configFromCommandLine } from '../../src/config/from-command-line.ts';
import { parse, PLACES, withReplica } from './support.ts';

const OPTIONS = { ...PLACES, environment: {} };

test('a path and a URL are the same as a file with them', () => {
  const config = configFromCommandLine('/a.db', ['file:///r'], OPTIONS);
  assert.deepEqual(config, parse(withReplica('url: file:///r')).config);
  assert.equal(configFromCommandLine('a.db', ['file:///r'], OPTIONS).databases[0]?.path, '/srv/dir/a.db');
  assert.equal(configFromCommandLine('~/a.db', ['file:///r'], { ...OPTIONS, exec: 'x' }).exec, 'x');
});

test('replicas of one type get names of their own', () => {
  const urls = ['file:///a', 's3://b/x', 'file:///b', 'file:///c'];
  const names = configFromCommandLine('a.db', urls, OPTIONS).databases[0]?.replicas.map(({ name }) => name);
  assert.deepEqual(names, ['file', 's3', 'file-2', 'file-3']);
});

test('refuses what cannot be replicated', () => {
  const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['a.db', [], /without a replica URL/],
    ['file:///r', ['a.db'], /path of a database first/],
    ['a.db', ['/r'], /expected a replica URL/],
    ['a.db', ['s5://x'], /unknown kind of replica `s5:\/\/`/],
    ['a.db', ['sftp://host/x'], /replica URL 1: names no user/],
    ['a.db', ['file:///r', 'file:///r/'], /replica URL 2: the same destination as replica URL 1/],
  ];
  for (const [path, urls, message] of refused) {
    assert.throws(
      () => configFromCommandLine(path, urls, OPTIONS),
      (error) => isRivuletError(error, 'USAGE') && message.test(error.message),
      `${path} ${urls.join(' ')}`,
    );
  }
});
