import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isForState, openStateDirectory } from '../../src/primary/state-directory.ts';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';
import { Scratch } from '../support/scratch.ts';

const MARKER = 'rivulet-state.json';

describe('the state directory', () => {
  it('is marked, private, and known again whatever else comes into it', () => {
    using scratch = new Scratch();
    const path = scratch.file('meta');
    assert.ok(isForState(path));
    openStateDirectory(path, '/data/app.db').release();
    assert.deepEqual(JSON.parse(readFileSync(join(path, MARKER), 'utf8')), {
      version: 1,
      program: 'rivulet',
      database: '/data/app.db',
    });
    assert.equal(statSync(path).mode & 0o777, 0o700);
    writeFileSync(join(path, 'generation'), 'of Litestream');
    assert.ok(isForState(path));
    openStateDirectory(path, '/data/app.db').release();
  });

  it('of an earlier version is known by what is in it', async () => {
    using scratch = new Scratch();
    const bare = scratch.file('bare');
    mkdirSync(join(bare, 'spool'), { recursive: true, mode: 0o700 });
    for (const name of ['lock', 'lease-s3.json', 'validated-s3', 'state.json.tmp']) {
      writeFileSync(join(bare, name), '');
    }
    assert.ok(isForState(bare));
    openStateDirectory(bare, 'x.db').release();
    assert.ok(existsSync(join(bare, MARKER)));
    assert.ok(!existsSync(join(bare, 'state.json.tmp')));

    using live = new LiveDatabase();
    const metaPath = live.scratch.file('meta');
    const primary = openPrimary(live.path, { metaPath });
    await primary.refresh();
    await primary.close();
    chmodSync(metaPath, 0o700);
    writeFileSync(join(metaPath, 'strange'), '');
    assert.ok(isForState(metaPath));
  });

  it('is taken again where it was removed or replaced, unless it is not ours or another process has it', () => {
    using scratch = new Scratch();
    const database = scratch.file('app.db');
    const path = scratch.file('meta');
    const directory = openStateDirectory(path, database);
    const { files } = directory;
    assert.equal(directory.refresh(), false);
    rmSync(path, { recursive: true });
    assert.equal(directory.refresh(), true);
    assert.deepEqual(readdirSync(path).toSorted(), ['lock', MARKER]);
    assert.throws(() => openStateDirectory(path, database), { code: 'DB_IN_USE' });

    rmSync(join(path, 'lock'));
    assert.equal(directory.refresh(), true, 'the lock alone is gone');
    assert.throws(() => openStateDirectory(path, database), { code: 'DB_IN_USE' });

    renameSync(path, scratch.file('former'));
    const other = openStateDirectory(path, database);
    assert.throws(() => directory.refresh(), { code: 'DB_IN_USE' });
    files.close(files.createNew(join(path, 'state.json'), 0o600));
    assert.ok(existsSync(scratch.file('former/state.json')), 'the former one is still what is used');
    other.release();
    assert.equal(directory.refresh(), true);

    renameSync(path, scratch.file('again'));
    mkdirSync(path);
    chmodSync(path, 0o777);
    assert.throws(() => directory.refresh(), { code: 'STATE_INVALID', message: /written by others/ });
    chmodSync(path, 0o700);
    writeFileSync(join(path, 'thesis.txt'), 'not ours');
    assert.throws(() => directory.refresh(), { code: 'STATE_INVALID', message: /not Rivulet's/ });
    rmSync(path, { recursive: true });
    assert.equal(directory.refresh(), true);
    directory.release();
    openStateDirectory(path, database).release();
  });

  it('is not made again while the directory of the database is missing', () => {
    using scratch = new Scratch();
    mkdirSync(scratch.file('data'));
    const path = scratch.file('data/.app.db-rivulet');
    const directory = openStateDirectory(path, scratch.file('data/app.db'));
    rmSync(scratch.file('data'), { recursive: true });
    assert.equal(directory.refresh(), false);
    assert.throws(() => directory.files.makeDirectory(path, 0o700), { code: 'ENOENT' });
    assert.deepEqual(scratch.names(), []);
    mkdirSync(scratch.file('data'));
    assert.equal(directory.refresh(), true);
    directory.release();
  });

  it('is not one that holds the files of others', () => {
    using scratch = new Scratch();
    for (const [name, files] of Object.entries({
      var: ['spool/mail', 'lock/x'],
      spool: ['spool/mail'],
      lock: ['lock', 'other'],
      full: ['lock-file'],
      state: ['state.json', 'other'],
    })) {
      const path = scratch.file(name);
      mkdirSync(path, { mode: 0o700 });
      for (const file of files) {
        mkdirSync(join(path, file, '..'), { recursive: true });
        writeFileSync(join(path, file), file === 'lock' ? '' : 'precious');
      }
      const before = readdirSync(path, { recursive: true });
      assert.ok(!isForState(path), name);
      assert.throws(() => openStateDirectory(path, 'x.db'), {
        code: 'STATE_INVALID',
        message: /holds files that are not Rivulet's/,
        hint: /does not exist yet or is empty/,
      });
      assert.deepEqual(readdirSync(path, { recursive: true }), before);
    }
  });

  it('whose spool is a link or a file is refused, and what that leads to stays', () => {
    using scratch = new Scratch();
    mkdirSync(scratch.file('victim'));
    writeFileSync(scratch.file('victim/00000007_00000000_00000010.wal'), 'precious');
    for (const name of ['.link-rivulet', '.file-rivulet']) mkdirSync(scratch.file(name), { mode: 0o700 });
    symlinkSync(scratch.file('victim'), scratch.file('.link-rivulet/spool'));
    writeFileSync(scratch.file('.file-rivulet/spool'), 'precious');
    for (const name of ['.link-rivulet', '.file-rivulet']) {
      assert.throws(() => openStateDirectory(scratch.file(name), 'x.db'), {
        code: 'STATE_INVALID',
        message: /spool is a link or a file/,
      });
    }
    assert.ok(existsSync(scratch.file('victim/00000007_00000000_00000010.wal')));
    assert.equal(readFileSync(scratch.file('.file-rivulet/spool'), 'utf8'), 'precious');
  });

  it('whose lock is a link is refused, and nothing is made where that leads', () => {
    using scratch = new Scratch();
    const path = scratch.file('.a.db-rivulet');
    mkdirSync(path, { mode: 0o700 });
    symlinkSync(scratch.file('elsewhere'), join(path, 'lock'));
    assert.throws(() => openStateDirectory(path, 'x.db'), {
      code: 'STATE_INVALID',
      message: /lock is not a regular/,
    });
    assert.ok(!existsSync(scratch.file('elsewhere')));
  });

  it('that others can write to, or a link to one, is refused with what to do', () => {
    using scratch = new Scratch();
    const shared = scratch.file('.a.db-rivulet');
    mkdirSync(shared);
    chmodSync(shared, 0o777);
    assert.throws(() => openStateDirectory(shared, 'x.db'), { code: 'STATE_INVALID', hint: /chmod 700/ });
    assert.deepEqual(readdirSync(shared), []);
    mkdirSync(scratch.file('real'), { mode: 0o700 });
    symlinkSync('real', scratch.file('.b.db-rivulet'));
    assert.throws(() => openStateDirectory(scratch.file('.b.db-rivulet'), 'x.db'), {
      code: 'STATE_INVALID',
      hint: /path behind the link/,
    });
  });

  it('that a volume opened for its group is taken back when it is marked', () => {
    using scratch = new Scratch();
    const path = scratch.file('meta');
    openStateDirectory(path, 'x.db').release();
    chmodSync(path, 0o2770);
    openStateDirectory(path, 'x.db').release();
    assert.equal(statSync(path).mode & 0o777, 0o700);
  });

  it('with links in the place of notes and their temporary names: they are replaced, never followed', async () => {
    using live = new LiveDatabase();
    const metaPath = live.scratch.file('.x-rivulet');
    mkdirSync(metaPath, { mode: 0o700 });
    const victims = ['state.json', 'state.json.tmp', 'rivulet-state.json', 'daemon.json'].map((name) => {
      const victim = live.scratch.file(`victim-${name}`);
      writeFileSync(victim, 'precious');
      symlinkSync(victim, join(metaPath, name));
      return victim;
    });
    const primary = openPrimary(live.path, { metaPath });
    await primary.refresh();
    await primary.close();
    for (const victim of victims) assert.equal(readFileSync(victim, 'utf8'), 'precious', victim);
    for (const name of ['state.json', 'rivulet-state.json']) {
      assert.ok(lstatSync(join(metaPath, name)).isFile(), name);
    }
  });
});
