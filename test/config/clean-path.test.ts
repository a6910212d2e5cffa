/** Paths of replicas name the objects that v0.3.13 names with them, whatever way they are written. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatReplicaUrl } from '../../src/config/replica-url.ts';
import { restoreSource, restoreUrl } from '../../src/config/restore-url.ts';
import type { Destination } from '../../src/config/settings.ts';
import { prefixOfPath } from '../../src/storage/object-key.ts';
import { firstReplica, parse, problemsOf, withReplica } from './support.ts';

const KEYS = {
  s3: 'type: s3, bucket: b',
  gcs: 'type: gcs, bucket: b',
  abs: 'type: abs, bucket: b, account-name: a',
  sftp: 'type: sftp, host: h, user: u, insecure-host-key: true',
} as const;

function destinationOf(type: keyof typeof KEYS, path: string): Destination {
  return firstReplica(parse(withReplica(...KEYS[type].split(', '), `path: ${JSON.stringify(path)}`)))
    .destination;
}

const SAME: readonly (readonly [string, string])[] = [
  ['data', 'data'],
  ['./data', 'data'],
  ['data/', 'data'],
  ['data//', 'data'],
  ['a//b', 'a/b'],
  ['a/./b', 'a/b'],
  ['x/../b', 'b'],
  ['a/b/..', 'a'],
  ['a/../..x', '..x'],
  ['.', ''],
  ['./', ''],
  ['x/..', ''],
];

describe('the path of a replica', () => {
  for (const [written, clean] of SAME) {
    it(`${JSON.stringify(written)} is ${JSON.stringify(clean)}`, () => {
      for (const type of ['s3', 'gcs', 'abs'] as const) {
        const destination = destinationOf(type, written);
        assert.equal(destination.path, clean, type);
        const url = restoreUrl(destination) ?? '';
        const again = parse(`dbs: [{path: /a.db, replicas: [{url: ${JSON.stringify(url)}}]}]`);
        assert.equal(firstReplica(again).destination.path, clean, url);
      }
    });
  }

  it('with a slash at its beginning has it in the names of objects at Azure and Google, not at S3', () => {
    assert.equal(destinationOf('s3', '//data/./x').path, 'data/x');
    for (const type of ['gcs', 'abs'] as const) {
      const destination = destinationOf(type, '//data/./x/');
      assert.equal(destination.path, '/data/x');
      assert.match(formatReplicaUrl(destination), /b\/\/data\/x$/);
      // A URL names `data/x`, as with v0.3.13.
      assert.equal(restoreUrl(destination), undefined);
      assert.deepEqual(restoreSource(destination, 'r', '/a.db'), ['-replica', 'r', '/a.db']);
    }
    assert.deepEqual(
      [prefixOfPath('/'), prefixOfPath('/a'), prefixOfPath('a/'), prefixOfPath('')],
      ['/', '/a/', 'a/', ''],
    );
  });

  it('on an SFTP server is cleaned, and may begin above the folder of the login', () => {
    for (const [written, clean] of [
      ['/a//b/../c/', '/a/c'],
      ['./a', 'a'],
      ['../a', '../a'],
    ] as const)
      assert.equal(destinationOf('sftp', written).path, clean);
  });

  it('that leads out of the bucket is refused', () => {
    for (const path of ['..', '../x', 'a/../../b']) {
      const text = withReplica(...KEYS.gcs.split(', '), `path: ${path}`);
      assert.match(problemsOf(text).join('\n'), /path: leads out of the bucket/);
    }
  });
});

it('two spellings of one destination clash', () => {
  const text = (one: string, other: string): string =>
    `dbs: [{path: /a, replicas: [{name: x, ${KEYS.abs}, path: ${one}}, {name: y, ${KEYS.abs}, path: ${other}}]}]`;
  assert.match(problemsOf(text('a//b', './a/b/')).join('\n'), /the same destination/);
  assert.doesNotThrow(() => parse(text('/a', 'a')));
});
