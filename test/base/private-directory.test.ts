import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lchownSync,
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
import { openDirectory } from '../../src/base/directory-handle.ts';
import { readFileWhole, replaceFile, systemFiles } from '../../src/base/files.ts';
import { openPrivateDirectory } from '../../src/base/private-directory.ts';
import { asRoot, onLinux } from '../support/conditions.ts';
import { Scratch } from '../support/scratch.ts';

const NOBODY = 65_534;

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

describe('a private directory', () => {
  it('is made for its owner alone, and its parents as usual', () => {
    using scratch = new Scratch();
    const path = scratch.file('a/b/own');
    using directory = openPrivateDirectory(path);
    assert.equal(statSync(path).mode & 0o777, 0o700);
    assert.equal(statSync(scratch.file('a/b')).mode & 0o777, 0o777 & ~process.umask());
    replaceFile(directory.files, join(path, 'note'), Buffer.from('x'), { durable: true });
    assert.equal(text(readFileWhole(directory.files, join(path, 'note'))), 'x');
    assert.deepEqual(readdirSync(path), ['note']);
    assert.equal(statSync(join(path, 'note')).mode & 0o777, 0o600);
  });

  it('is not one to which others may write, unless it was ours and only a group may', () => {
    using scratch = new Scratch();
    for (const mode of [0o720, 0o702, 0o777, 0o1777]) {
      const path = scratch.file(mode.toString(8));
      mkdirSync(path);
      chmodSync(path, mode);
      assert.throws(() => openPrivateDirectory(path), {
        message: /can be written by others/,
        hint: /chmod 700/,
      });
      assert.equal(statSync(path).mode & 0o7777, mode);
    }
    const ours = scratch.file('720');
    openPrivateDirectory(ours, { mayTakeFromGroup: () => true }).close();
    assert.equal(statSync(ours).mode & 0o777, 0o700);
    const everybody = scratch.file('777');
    assert.throws(() => openPrivateDirectory(everybody, { mayTakeFromGroup: () => true }), /by others/);
  });

  it('is not one of another user', asRoot, () => {
    using scratch = new Scratch();
    const path = scratch.file('theirs');
    mkdirSync(path, { mode: 0o700 });
    lchownSync(path, NOBODY, NOBODY);
    assert.throws(() => openPrivateDirectory(path), /belongs to another user/);
  });

  it('is neither a link nor a file', () => {
    using scratch = new Scratch();
    mkdirSync(scratch.file('target'), { mode: 0o700 });
    symlinkSync(scratch.file('target'), scratch.file('link'));
    symlinkSync(scratch.file('nothing'), scratch.file('dangling'));
    writeFileSync(scratch.file('file'), '');
    for (const name of ['link', 'dangling']) {
      assert.throws(() => openPrivateDirectory(scratch.file(name)), { name: 'UntrustedPath' }, name);
    }
    assert.throws(() => openPrivateDirectory(scratch.file('file')), { code: 'ENOTDIR' });
    assert.ok(!existsSync(scratch.file('nothing')));
  });

  it('stays the same one when another takes its name', onLinux, () => {
    using scratch = new Scratch();
    const path = scratch.file('own');
    using directory = openPrivateDirectory(path);
    mkdirSync(scratch.file('victim'));
    writeFileSync(scratch.file('victim/note'), 'precious');
    renameSync(path, scratch.file('moved'));
    symlinkSync(scratch.file('victim'), path);
    replaceFile(directory.files, join(path, 'note'), Buffer.from('x'), { durable: false });
    directory.files.remove(join(path, 'other'));
    assert.equal(readFileSync(scratch.file('victim/note'), 'utf8'), 'precious');
    assert.deepEqual(readdirSync(scratch.file('moved')), ['note']);
  });

  it('is made again when it was removed, and tells its own path in errors', () => {
    using scratch = new Scratch();
    const path = scratch.file('own');
    using directory = openPrivateDirectory(path);
    rmSync(path, { recursive: true });
    assert.throws(
      () => directory.files.createNew(join(path, 'note'), 0o600),
      (error: Error) => {
        assert.match(error.message, /own\/note/);
        assert.doesNotMatch(error.message, /proc/);
        return true;
      },
    );
    directory.files.makeDirectory(path, 0o700);
    replaceFile(directory.files, join(path, 'note'), Buffer.from('x'), { durable: false });
    assert.deepEqual(readdirSync(path), ['note']);
  });

  it('can be written once more after it was closed', () => {
    using scratch = new Scratch();
    const path = scratch.file('own');
    const directory = openPrivateDirectory(path);
    directory.close();
    replaceFile(directory.files, join(path, 'note'), Buffer.from('x'), { durable: false });
    assert.deepEqual(readdirSync(path), ['note']);
  });
});

describe('files of ours', () => {
  it('are never written or read through links', () => {
    using scratch = new Scratch();
    writeFileSync(scratch.file('precious'), 'precious');
    const link = scratch.file('note');
    symlinkSync(scratch.file('precious'), link);
    assert.throws(() => readFileWhole(systemFiles, link), /not a regular file/);
    assert.throws(() => systemFiles.createNew(link, 0o600), { code: 'EEXIST' });
    replaceFile(systemFiles, link, Buffer.from('x'), { durable: false });
    assert.equal(readFileSync(scratch.file('precious'), 'utf8'), 'precious');
    assert.equal(text(readFileWhole(systemFiles, link)), 'x');
    symlinkSync(scratch.file('precious'), scratch.file('gone'));
    systemFiles.remove(scratch.file('gone'));
    assert.deepEqual(scratch.names(), ['note', 'precious']);
  });

  it('are written under names that cannot be taken before', () => {
    using scratch = new Scratch();
    const names = new Set(Array.from({ length: 100 }, () => systemFiles.temporaryName(scratch.file('note'))));
    assert.equal(names.size, 100);
  });

  it('are removed one by one, never a directory', () => {
    using scratch = new Scratch();
    mkdirSync(scratch.file('folder'));
    writeFileSync(scratch.file('folder/x'), '');
    assert.throws(() => systemFiles.remove(scratch.file('folder')), { code: /EISDIR|EPERM/ });
    assert.ok(existsSync(scratch.file('folder/x')));
  });
});

describe('the way to a directory', () => {
  it(
    'as root leads through links of root, not through those of others',
    { skip: asRoot.skip || onLinux.skip },
    () => {
      using scratch = new Scratch();
      mkdirSync(scratch.file('target'));
      symlinkSync('target', scratch.file('by-root'));
      symlinkSync('target', scratch.file('by-nobody'));
      lchownSync(scratch.file('by-nobody'), NOBODY, NOBODY);
      openDirectory(scratch.file('by-root/new/deep'), { mayBeLink: false, makeMode: 0o700 }).close();
      assert.ok(existsSync(scratch.file('target/new/deep')));
      for (const path of ['by-nobody', 'by-nobody/other/deep']) {
        assert.throws(() => openDirectory(scratch.file(path), { mayBeLink: true, makeMode: 0o700 }), {
          name: 'UntrustedPath',
          message: /by-nobody is a symbolic link of another user/,
        });
      }
      assert.ok(!existsSync(scratch.file('target/other')));
    },
  );
});
