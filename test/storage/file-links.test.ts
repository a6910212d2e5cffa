/** A file replica may belong to another user, who can put a link in the place of any directory at any moment. */
import assert from 'node:assert/strict';
import {
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FileObjectStore } from '../../src/storage/file/file-object-store.ts';
import { inRealDirectory } from '../../src/storage/file/real-directories.ts';
import { asRoot, onLinux } from '../support/conditions.ts';
import { Scratch } from '../support/scratch.ts';

const NOBODY = 65_534;
const KEY = 'generations/1/wal/x';

function namesIn(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).toSorted((a, b) => a.localeCompare(b));
}

describe('links below the root of a file replica', () => {
  it('lead nowhere, at whatever depth: nothing is made, given away or removed behind them', async () => {
    for (const place of ['generations', 'generations/1', 'generations/1/wal']) {
      using scratch = new Scratch();
      const options = { uid: NOBODY, gid: NOBODY, dirMode: 0o777 };
      const earlier = new FileObjectStore(scratch.file('rep'), options);
      await earlier.write(KEY, Buffer.from('x'));
      await earlier.close();
      const store = new FileObjectStore(scratch.file('rep'), options);
      renameSync(scratch.file(`rep/${place}`), scratch.file('victim'));
      symlinkSync(scratch.file('victim'), scratch.file(`rep/${place}`));
      const before = namesIn(scratch.file('victim'));
      const failed = { code: 'STORAGE_FAILED', message: /is a symbolic link, expected a directory/ };
      await assert.rejects(store.write(KEY, Buffer.from('y')), failed, place);
      await assert.rejects(
        store.write('generations/1/wal/new', Buffer.from('y'), { onlyIf: 'absent' }),
        failed,
      );
      await assert.rejects(store.write('generations/1/wal/deep/new', Buffer.from('y')), failed);
      await assert.rejects(store.remove([KEY]), failed);
      assert.deepEqual(namesIn(scratch.file('victim')), before);
    }
  });

  it('are noticed by who has written there before', async () => {
    for (const place of ['generations', 'generations/1', 'generations/1/wal']) {
      using scratch = new Scratch();
      const store = new FileObjectStore(scratch.file('rep'));
      await store.write(KEY, Buffer.from('x'));
      renameSync(scratch.file(`rep/${place}`), scratch.file('moved'));
      mkdirSync(scratch.file('victim/1/wal'), { recursive: true });
      mkdirSync(scratch.file('victim/wal'));
      const before = namesIn(scratch.file('victim'));
      symlinkSync(scratch.file('victim'), scratch.file(`rep/${place}`));
      await assert.rejects(store.write(KEY, Buffer.from('y')), { code: 'STORAGE_FAILED' }, place);
      assert.deepEqual(namesIn(scratch.file('victim')), before);
      await store.close();
    }
  });

  it('that lead to a file are no directories either', async () => {
    using scratch = new Scratch();
    mkdirSync(scratch.file('rep'));
    writeFileSync(scratch.file('secret'), 'secret', { mode: 0o600 });
    symlinkSync(scratch.file('secret'), scratch.file('rep/generations'));
    const store = new FileObjectStore(scratch.file('rep'), { uid: NOBODY, gid: NOBODY, dirMode: 0o777 });
    await assert.rejects(store.write(KEY, Buffer.from('x')), { code: 'STORAGE_FAILED' });
    const { mode, uid } = statSync(scratch.file('secret'));
    assert.deepEqual([mode & 0o777, uid], [0o600, process.getuid?.()]);
  });

  it('in the place of an object are replaced and removed themselves', async () => {
    using scratch = new Scratch();
    const store = new FileObjectStore(scratch.file('rep'));
    await store.write('a/other', Buffer.from('x'));
    writeFileSync(scratch.file('precious'), 'precious');
    symlinkSync(scratch.file('precious'), scratch.file('rep/a/object'));
    await assert.rejects(store.write('a/object', Buffer.from('y'), { onlyIf: 'absent' }), {
      code: 'STORAGE_EXISTS',
    });
    await store.write('a/object', Buffer.from('y'));
    await store.remove(['a/object']);
    assert.equal(readFileSync(scratch.file('precious'), 'utf8'), 'precious');
    assert.deepEqual(readdirSync(scratch.file('rep/a')), ['other']);
  });

  it('are not followed while left-over temporary files are removed', async () => {
    using scratch = new Scratch();
    const name = 'x.tmp-0123456789abcdef';
    for (const folder of ['victim', 'rep/a']) {
      mkdirSync(scratch.file(folder), { recursive: true });
      writeFileSync(scratch.file(`${folder}/${name}`), 'half');
      utimesSync(scratch.file(`${folder}/${name}`), 0, 0);
    }
    symlinkSync(scratch.file('victim'), scratch.file('rep/b'));
    assert.equal(
      await new FileObjectStore(scratch.file('rep')).removeStaleTemporaries(60_000, () => true),
      1,
    );
    assert.ok(existsSync(scratch.file(`victim/${name}`)));
  });

  it('do not catch work that is under way when one takes the place of its directory', onLinux, async () => {
    using scratch = new Scratch();
    const root = scratch.file('rep');
    mkdirSync(scratch.file('victim'));
    await inRealDirectory(root, 'generations/1', {}, async ({ entries }) => {
      renameSync(scratch.file('rep/generations/1'), scratch.file('moved'));
      symlinkSync(scratch.file('victim'), scratch.file('rep/generations/1'));
      writeFileSync(`${entries}/object`, 'x');
    });
    assert.deepEqual(readdirSync(scratch.file('victim')), []);
    assert.deepEqual(readdirSync(scratch.file('moved')), ['object']);
  });
});

describe('a folder that was written to', () => {
  it('is not the place any more when it was renamed, replaced or removed', async () => {
    using scratch = new Scratch();
    const store = new FileObjectStore(scratch.file('rep'));
    const names = (path: string): string[] => readdirSync(scratch.file(path)).toSorted();
    await store.write('a/1', Buffer.from('x'));
    renameSync(scratch.file('rep'), scratch.file('old'));
    await store.write('a/2', Buffer.from('x'));
    assert.deepEqual([names('old/a'), names('rep/a')], [['1'], ['2']]);
    await store.remove(['a/2']);
    await store.write('a/3', Buffer.from('x'));
    assert.deepEqual(names('rep/a'), ['3']);
  });

  it('is kept open no longer than it is used', { skip: onLinux.skip }, async () => {
    using scratch = new Scratch();
    const store = new FileObjectStore(scratch.file('rep'));
    const open = (): number =>
      readdirSync('/proc/self/fd').filter((fd) => isAt(fd, scratch.file('rep'))).length;
    const keys = Array.from({ length: 20 }, (_, i) => `folder-${i % 3}/${i}`);
    await Promise.all(keys.map(async (key) => store.write(key, Buffer.from('x'))));
    assert.ok(open() <= 3, `${open()} are open`);
    await store.write('a/1', Buffer.from('x'));
    assert.equal(open(), 3);
    await delay(1_500);
    assert.equal(open(), 0);
    await store.write('a/2', Buffer.from('x'));
    await store.close();
    assert.equal(open(), 0);
  });
});

function isAt(descriptor: string, path: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(path);
  } catch {
    return false;
  }
}

describe('the root of a file replica', () => {
  it('may be a link of its own user', async () => {
    using scratch = new Scratch();
    mkdirSync(scratch.file('disk'));
    symlinkSync('disk', scratch.file('link'));
    const store = new FileObjectStore(scratch.file('link/rep'));
    await store.write(KEY, Buffer.from('x'));
    assert.ok(existsSync(scratch.file(`disk/rep/${KEY}`)));
    await store.remove([KEY]);
  });

  it(
    'is no place that a link of another user leads root to',
    { skip: asRoot.skip || onLinux.skip },
    async () => {
      using scratch = new Scratch();
      mkdirSync(scratch.file('etc'));
      symlinkSync('etc', scratch.file('link'));
      lchownSync(scratch.file('link'), NOBODY, NOBODY);
      for (const root of ['link', 'link/rep']) {
        const store = new FileObjectStore(scratch.file(root), { uid: NOBODY, gid: NOBODY });
        await assert.rejects(store.write(KEY, Buffer.from('x')), {
          code: 'STORAGE_FAILED',
          message: /link is a symbolic link of another user/,
        });
      }
      assert.deepEqual(readdirSync(scratch.file('etc')), []);
    },
  );

  it('is not made behind a link that leads nowhere', async () => {
    using scratch = new Scratch();
    symlinkSync(scratch.file('unmounted'), scratch.file('link'));
    for (const root of ['link', 'link/rep']) {
      await assert.rejects(new FileObjectStore(scratch.file(root)).write(KEY, Buffer.from('x')), {
        code: 'STORAGE_FAILED',
      });
    }
    assert.ok(!existsSync(scratch.file('unmounted')));
  });

  it('only gives away what was just made', asRoot, async () => {
    using scratch = new Scratch();
    mkdirSync(scratch.file('rep/generations'), { recursive: true });
    const store = new FileObjectStore(scratch.file('rep'), { uid: NOBODY, gid: NOBODY });
    await store.write(KEY, Buffer.from('x'));
    const owner = (path: string): number => statSync(scratch.file(path)).uid;
    assert.deepEqual(['rep', 'rep/generations'].map(owner), [0, 0]);
    assert.deepEqual(['rep/generations/1', `rep/${KEY}`].map(owner), [NOBODY, NOBODY]);
  });
});
