/** One database, or one destination, under two names. */
import assert from 'node:assert/strict';
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Scratch } from '../support/scratch.ts';
import { firstDatabase, parse, problemsOf } from './support.ts';

function twoDatabases(first: string, second: string): string {
  const databases = [first, second].map((path, n) => ({ path, replicas: [{ path: `/copies/${n}` }] }));
  return JSON.stringify({ dbs: databases });
}

describe('one database under two names', () => {
  const isSame = (first: string, second: string): void => {
    assert.match(
      problemsOf(twoDatabases(first, second)).join(),
      /dbs\[1\]\.path: the same database as dbs\[0\]$/,
    );
    assert.match(problemsOf(twoDatabases(second, first)).join(), /the same database as dbs\[0\]$/);
  };

  it('is refused: a link to it, a hard link, a link to its directory', () => {
    using scratch = new Scratch();
    mkdirSync(scratch.file('real'));
    writeFileSync(scratch.file('real/a.db'), 'x');
    symlinkSync('real/a.db', scratch.file('link.db'));
    linkSync(scratch.file('real/a.db'), scratch.file('hard.db'));
    symlinkSync('real', scratch.file('folder'));
    for (const name of ['link.db', 'hard.db', 'folder/a.db', 'real/../real/./a.db'])
      isSame(scratch.file(name), scratch.file('real/a.db'));
    parse(twoDatabases(scratch.file('real/a.db'), scratch.file('real/b.db')));
  });

  it('is refused also before it exists: a link to where it will be, a link to its directory', () => {
    using scratch = new Scratch();
    mkdirSync(scratch.file('real'));
    symlinkSync('real', scratch.file('folder'));
    symlinkSync('folder/a.db', scratch.file('link.db'));
    isSame(scratch.file('folder/a.db'), scratch.file('real/a.db'));
    isSame(scratch.file('link.db'), scratch.file('real/a.db'));
    isSame(scratch.file('folder/new/a.db'), scratch.file('real/new/a.db'));
    symlinkSync('circle', scratch.file('circle'));
    parse(twoDatabases(scratch.file('circle'), scratch.file('real/a.db')));
  });

  it('has one place for its local state', () => {
    using scratch = new Scratch();
    mkdirSync(scratch.file('real'));
    mkdirSync(scratch.file('elsewhere'));
    writeFileSync(scratch.file('real/a.db'), 'x');
    symlinkSync('../real/a.db', scratch.file('elsewhere/link.db'));
    const text = JSON.stringify({
      dbs: [{ path: scratch.file('elsewhere/link.db'), replicas: [{ path: '/r' }] }],
    });
    const { metaPath } = firstDatabase(parse(text));
    assert.doesNotMatch(metaPath, /elsewhere|link/);
  });

  it('two local states in one directory are refused, too', () => {
    using scratch = new Scratch();
    mkdirSync(scratch.file('meta'));
    symlinkSync('meta', scratch.file('link'));
    const databases = ['meta', 'link'].map((name) => ({
      path: scratch.file(`of-${name}.db`),
      'meta-path': scratch.file(name),
      replicas: [{ path: `/copies/${name}` }],
    }));
    assert.match(problemsOf(JSON.stringify({ dbs: databases })).join(), /the same local state as dbs\[0\]/);
  });
});

describe('one destination under two spellings', () => {
  const text = (first: object, second: object): string =>
    JSON.stringify({
      dbs: [first, second].map((replica, n) => ({ path: `/data/${n}.db`, replicas: [replica] })),
    });
  const same = (first: object, second: object): void =>
    assert.match(
      problemsOf(text(first, second)).join(),
      /the same destination as dbs\[0\]\.replicas\[0\]/,
      JSON.stringify(second),
    );
  const other = (first: object, second: object): void =>
    assert.doesNotThrow(() => parse(text(first, second)));

  it('is refused at S3-compatible services', () => {
    const at = (endpoint: string | undefined, more: object = {}): object => ({
      type: 's3',
      bucket: 'bkt',
      path: 'app',
      ...(endpoint === undefined ? {} : { endpoint }),
      ...more,
    });
    const first = at('http://host:9000');
    for (const endpoint of ['http://host:9000/', 'HTTP://HOST:9000', 'http://host.:9000//'])
      same(first, at(endpoint));
    same(first, at('http://host:9000', { path: './app/' }));
    same(at('https://host'), at('https://host:443'));
    same(at('https://host'), at('host'));
    same(at('https://host'), at('http://host:80/'));
    same(at(undefined), at('https://s3.eu-central-1.amazonaws.com'));
    same(at(undefined, { region: 'eu-west-1' }), at('https://s3.amazonaws.com/'));
    other(first, at('http://host:9001'));
    other(first, at('http://host:9000/tenant'));
    other(at(undefined), at('https://s3.cn-north-1.amazonaws.com.cn'));
    other(at(undefined), at('https://host'));
    other(first, at('http://host:9000', { path: 'app2' }));
    other(first, at('http://host:9000', { bucket: 'bkt2' }));
  });

  it('is refused at SFTP servers', () => {
    const at = (host: string, path = 'app', user = 'u'): object => ({ type: 'sftp', host, user, path });
    for (const host of ['host:22', 'HOST', 'host.']) same(at('host'), at(host));
    same(at('host'), at('host', './app/'));
    same(at('[::1]:22'), at('::1'));
    other(at('host'), at('host:2222'));
    other(at('host'), at('host', '/app'));
    other(at('host'), at('host', 'app', 'v'));
  });

  it('is refused at Azure and Google', () => {
    const abs = { type: 'abs', bucket: 'c', path: 'app', 'account-key': 'aaaa' };
    same({ ...abs, 'account-name': 'a' }, { ...abs, 'account-name': 'a', path: './app' });
    same({ ...abs, 'account-name': 'a' }, { ...abs, endpoint: 'https://A.blob.core.windows.net:443/' });
    other({ ...abs, 'account-name': 'a' }, { ...abs, 'account-name': 'b' });
    other({ ...abs, 'account-name': 'a' }, { ...abs, 'account-name': 'a', path: '/app' });
    const gcs = { type: 'gcs', bucket: 'c', path: 'app' };
    same(gcs, { ...gcs, endpoint: 'https://storage.googleapis.com/' });
    other(gcs, { ...gcs, bucket: 'd' });
  });

  it('is refused in directories, through links', () => {
    using scratch = new Scratch();
    mkdirSync(scratch.file('real'));
    symlinkSync('real', scratch.file('link'));
    for (const name of ['real', 'real/new']) {
      const linked = scratch.file(name.replace('real', 'link'));
      same({ path: scratch.file(name) }, { path: linked });
      same({ path: scratch.file(name) }, { url: `file://${linked}/` });
    }
    other({ path: scratch.file('real/a') }, { path: scratch.file('link/b') });
  });
});
