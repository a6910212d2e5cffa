/** A database with reserved bytes, in which SQLite's checksum VFS keeps a checksum of each page: no page is ever written from here. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { makeReserved, sealFrames, sealPages, unsealedPages } from '../support/page-checksums.ts';
import { type Ended, runRivulet } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';

describe('checksums of pages', () => {
  let scratch: Scratch;
  let path: string;
  let url: string;

  beforeEach(() => {
    scratch = new Scratch();
    path = scratch.file('app.db');
    url = `file://${scratch.file('replica')}`;
    makeReserved(path);
  });
  afterEach(() => scratch[Symbol.dispose]());

  function exec(sql: string): void {
    using database = new DatabaseSync(path);
    database.exec(sql);
  }

  async function succeed(...words: string[]): Promise<Ended> {
    const ended = await runRivulet(words);
    assert.equal(ended.code, 0, ended.out + ended.err);
    return ended;
  }

  it('stay right in the database and in what is restored, and the full verification passes', async () => {
    exec('PRAGMA journal_mode=wal; CREATE TABLE t (body); INSERT INTO t VALUES (randomblob(20000))');
    sealPages(path);
    await succeed('replicate', '-once', path, url);
    assert.deepEqual(unsealedPages(path), []);
    // Commits of the application come through the WAL, each frame a page with its reserved bytes.
    using application = new DatabaseSync(path);
    application.exec('PRAGMA wal_autocheckpoint=0; INSERT INTO t VALUES (randomblob(20000))');
    await succeed('replicate', '-once', path, url);
    const { out } = await succeed('verify', '-full', url);
    assert.match(out, /^proven: /);
    await succeed('restore', '-integrity-check', 'full', '-o', scratch.file('copy.db'), url);
    application.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    assert.ok(readFileSync(scratch.file('copy.db')).equals(readFileSync(path)));
  });

  it('are not spoilt by the switch to WAL mode, which is left to the application', async () => {
    exec('CREATE TABLE t (body)');
    sealPages(path);
    copyFileSync(path, scratch.file('before'));
    writeFileSync(scratch.file('c.yml'), `dbs: [{path: ${path}, replicas: [{url: "${url}"}]}]\n`);
    const checked = await runRivulet(['check', '-config', scratch.file('c.yml')]);
    assert.match(checked.out, /PRAGMA journal_mode=WAL/);
    const ended = await runRivulet(['replicate', '-once', path, url]);
    assert.notEqual(ended.code, 0);
    assert.match(ended.out + ended.err, /would spoil the checksum of its first page/);
    assert.ok(readFileSync(scratch.file('before')).equals(readFileSync(path)));
    exec('PRAGMA journal_mode=wal');
    await succeed('replicate', '-once', path, url);
  });

  it('that were put into frames after SQLite had made the frames are named, since nobody can prove such a WAL', async () => {
    exec('PRAGMA journal_mode=wal; CREATE TABLE t (body)');
    using application = new DatabaseSync(path);
    application.exec('PRAGMA wal_autocheckpoint=0; INSERT INTO t VALUES (randomblob(20000))');
    sealFrames(`${path}-wal`);
    const ended = await runRivulet(['replicate', '-once', path, url]);
    assert.notEqual(ended.code, 0);
    assert.match(ended.out + ended.err, /the application uses SQLite's checksum VFS/);
    application.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    await succeed('replicate', '-once', path, url);
  });
});
