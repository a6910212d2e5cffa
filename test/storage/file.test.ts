import assert from 'node:assert/strict';
import fsModule from 'node:fs';
import * as fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, mock } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FileObjectStore } from '../../src/storage/file/file-object-store.ts';
import { conformance, gather, type StoreUnderTest } from './conformance.ts';

const isRoot = process.getuid?.() === 0;

async function withDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await fs.mkdtemp(join(tmpdir(), 'rivulet-file-'));
  try {
    await run(directory);
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
}

async function keysOf(store: FileObjectStore): Promise<string[]> {
  return (await gather(store.list(''))).map((info) => info.key).sort();
}

/** A directory is read 1,024 entries at a time. */
const RUNS = { manyKeys: 1_100 };

for (const atOnce of [false, true]) {
  const makeStore = async (): Promise<StoreUnderTest> => {
    const directory = await fs.mkdtemp(join(tmpdir(), 'rivulet-file-'));
    const store = new FileObjectStore(join(directory, 'not', 'there', 'yet'), { atOnce });
    return {
      store,
      async dispose() {
        await store.close();
        await fs.rm(directory, { recursive: true });
      },
    };
  };
  conformance(atOnce ? 'file, at once' : 'file', makeStore, RUNS);
}

const noLinks = async (): Promise<never> => {
  throw Object.assign(new Error('no links here'), { code: 'ENOTSUP' });
};

const makeStoreWithoutLinks = async (): Promise<StoreUnderTest> => {
  const directory = await fs.mkdtemp(join(tmpdir(), 'rivulet-file-'));
  return {
    store: new FileObjectStore(directory, { naming: { link: noLinks } }),
    dispose: async () => fs.rm(directory, { recursive: true }),
  };
};

conformance('file without hard links', makeStoreWithoutLinks, RUNS);

describe('file: a new name without hard links', () => {
  for (const code of ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']) {
    it(`creates once, and leaves nothing else, where a link fails with ${code}`, async () => {
      await withDirectory(async (directory) => {
        const link = async (): Promise<never> => {
          throw Object.assign(new Error('no'), { code });
        };
        const store = new FileObjectStore(directory, { naming: { link } });
        await store.write('a/object', Buffer.from('first'), { onlyIf: 'absent' });
        const again = store.write('a/object', Buffer.from('second'), { onlyIf: 'absent' });
        await assert.rejects(again, { code: 'STORAGE_EXISTS' });
        assert.deepEqual(await fs.readdir(join(directory, 'a')), ['object']);
        assert.equal(await fs.readFile(join(directory, 'a', 'object'), 'utf8'), 'first');
      });
    });
  }

  it('shows nobody an object in part, nor lets two win', async () => {
    await withDirectory(async (directory) => {
      const body = (i: number): Buffer => Buffer.alloc(100_000, i);
      const stores = Array.from(
        { length: 8 },
        () => new FileObjectStore(directory, { naming: { link: noLinks } }),
      );
      const over = new AbortController();
      const watching = (async () => {
        while (!over.signal.aborted) {
          const sizes = (await gather(stores[0]!.list(''))).map((info) => info.sizeBytes);
          for (const size of sizes) assert.equal(size, 100_000);
        }
      })();
      for (let round = 0; round < 10; round++) {
        const outcomes = await Promise.allSettled(
          stores.map(async (store, i) => store.write(`a/${round}`, body(i), { onlyIf: 'absent' })),
        );
        const winners = [...outcomes.entries()].filter(([, { status }]) => status === 'fulfilled');
        assert.equal(winners.length, 1);
        assert.deepEqual(await fs.readFile(join(directory, 'a', `${round}`)), body(winners[0]![0]));
      }
      over.abort();
      await watching;
      assert.equal((await fs.readdir(join(directory, 'a'))).length, 10);
    });
  });

  it('waits for the guard of another, and takes away one that was left behind', async () => {
    await withDirectory(async (directory) => {
      const guard = join(directory, 'object.tmp-0000000000000000');
      await fs.writeFile(guard, 'of a process that died');
      const naming = { link: noLinks, guardStaleMs: 100 };
      const startedMs = performance.now();
      await new FileObjectStore(directory, { naming }).write('object', Buffer.from('x'), {
        onlyIf: 'absent',
      });
      assert.ok(performance.now() - startedMs >= 100);
      assert.deepEqual(await fs.readdir(directory), ['object']);
    });
  });

  it('can be cancelled while another holds the guard, and leaves that one alone', async () => {
    await withDirectory(async (directory) => {
      const guard = 'object.tmp-0000000000000000';
      await fs.writeFile(join(directory, guard), 'of a process that is alive');
      const store = new FileObjectStore(directory, { naming: { link: noLinks } });
      const signal = AbortSignal.timeout(50);
      const writing = store.write('object', Buffer.from('x'), { onlyIf: 'absent', signal });
      await assert.rejects(writing, { name: 'TimeoutError' });
      assert.deepEqual(await fs.readdir(directory), [guard]);
    });
  });

  it('leaves no temporary file when linking fails in another way', async () => {
    await withDirectory(async (directory) => {
      const link = async (): Promise<never> => {
        throw Object.assign(new Error('the disk is broken'), { code: 'EIO' });
      };
      const store = new FileObjectStore(directory, { naming: { link } });
      const writing = store.write('object', Buffer.from('x'), { onlyIf: 'absent' });
      await assert.rejects(writing, { code: 'STORAGE_FAILED', message: /link to .*object/ });
      assert.deepEqual(await fs.readdir(directory), []);
    });
  });

  it('knows its own link when the answer was lost and the link was asked for again', async () => {
    await withDirectory(async (directory) => {
      const link = async (from: string, to: string): Promise<void> => {
        await fs.link(from, to);
        await fs.link(from, to);
      };
      const store = new FileObjectStore(directory, { naming: { link } });
      await store.write('object', Buffer.from('x'), { onlyIf: 'absent' });
      await assert.rejects(store.write('object', Buffer.from('y'), { onlyIf: 'absent' }), {
        code: 'STORAGE_EXISTS',
      });
      assert.equal(await fs.readFile(join(directory, 'object'), 'utf8'), 'x');
      assert.deepEqual(await fs.readdir(directory), ['object']);
    });
  });
});

describe('file: object store', () => {
  it('reads bytes and time of one content while the object is replaced', async () => {
    await withDirectory(async (directory) => {
      const store = new FileObjectStore(directory);
      const old = new Date('2020-01-01T00:00:00Z');
      for (let i = 0; i < 50; i++) {
        await store.write('object', Buffer.from('old'));
        await fs.utimes(join(directory, 'object'), old, old);
        const replacing = store.write('object', Buffer.from('new'));
        const { bytes, modifiedAt } = await store.readVersioned('object');
        await replacing;
        assert.equal(Buffer.from(bytes).toString() === 'old', modifiedAt.getTime() === old.getTime());
      }
    });
  });

  it('leaves no temporary file, also on errors', async () => {
    await withDirectory(async (directory) => {
      const store = new FileObjectStore(directory);
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(10);
        throw new Error('broken');
      }
      await assert.rejects(store.write('a/object', broken()));
      await store.write('a/object', Buffer.alloc(1));
      // Something that a file cannot be renamed over.
      await fs.mkdir(join(directory, 'a', 'taken', 'by'), { recursive: true });
      await assert.rejects(store.write('a/taken', Buffer.alloc(1)), { code: 'STORAGE_FAILED' });
      assert.deepEqual((await fs.readdir(join(directory, 'a'))).sort(), ['object', 'taken']);
    });
  });

  it('passes over temporary files, its own and those of Litestream', async () => {
    await withDirectory(async (directory) => {
      const store = new FileObjectStore(directory);
      await store.write('wal/00000000_00000000.wal.lz4', Buffer.from('x'));
      await fs.writeFile(join(directory, 'wal', '00000000_00001000.wal.lz4.tmp'), 'half');
      await fs.writeFile(join(directory, 'wal', '00000000_00001000.wal.lz4.tmp-0123456789abcdef'), 'half');
      assert.deepEqual(await keysOf(store), ['wal/00000000_00000000.wal.lz4']);
      await assert.rejects(store.readBytes('a.tmp'), RangeError);
      await assert.rejects(async () => store.write('a.tmp', Buffer.alloc(1)), RangeError);
    });
  });

  it('sweeps stale temporary files and leaves everything else', async () => {
    await withDirectory(async (directory) => {
      const store = new FileObjectStore(directory);
      await store.write('a/object', Buffer.from('x'));
      const old = join(directory, 'a', 'object.tmp-0123456789abcdef');
      const young = join(directory, 'a', 'object.tmp-fedcba9876543210');
      const foreign = join(directory, 'a', 'object.tmp');
      for (const path of [old, young, foreign]) await fs.writeFile(path, 'half');
      const hourAgo = new Date(Date.now() - 3_600_000);
      for (const path of [old, foreign]) await fs.utimes(path, hourAgo, hourAgo);
      assert.equal(await store.removeStaleTemporaries(60_000, () => true), 1);
      assert.deepEqual((await fs.readdir(join(directory, 'a'))).sort(), [
        'object',
        'object.tmp',
        'object.tmp-fedcba9876543210',
      ]);
      assert.equal(
        await new FileObjectStore(join(directory, 'absent')).removeStaleTemporaries(0, () => true),
        0,
      );
    });
  });

  it('gives objects and new directories the wanted mode, whatever the umask', async () => {
    await withDirectory(async (directory) => {
      const modeOf = async (...parts: string[]): Promise<number> => {
        return (await fs.stat(join(directory, ...parts))).mode & 0o777;
      };
      await new FileObjectStore(join(directory, 'default')).write('a/b', Buffer.alloc(1));
      assert.equal(await modeOf('default', 'a', 'b'), 0o600);
      assert.equal(await modeOf('default', 'a'), 0o700);
      assert.equal(await modeOf('default'), 0o700);
      const open = new FileObjectStore(join(directory, 'open'), { fileMode: 0o666, dirMode: 0o777 });
      await open.write('a/b', Buffer.alloc(1));
      assert.equal(await modeOf('open', 'a', 'b'), 0o666);
      assert.equal(await modeOf('open', 'a'), 0o777);
    });
  });

  it('gives objects away when it may', { skip: !isRoot && 'only root may' }, async () => {
    await withDirectory(async (directory) => {
      await new FileObjectStore(join(directory, 'r'), { uid: 1234, gid: 2345 }).write('a/b', Buffer.alloc(1));
      for (const path of ['r', 'r/a', 'r/a/b']) {
        const { uid, gid } = await fs.stat(join(directory, path));
        assert.deepEqual({ uid, gid }, { uid: 1234, gid: 2345 }, path);
      }
    });
  });

  it('makes the root again when it was removed under it', async () => {
    await withDirectory(async (directory) => {
      const root = join(directory, 'root');
      const store = new FileObjectStore(root);
      await store.write('a/1', Buffer.from('x'));
      await fs.rm(root, { recursive: true });
      assert.deepEqual(await keysOf(store), []);
      await store.write('a/2', Buffer.from('y'));
      assert.deepEqual(await keysOf(store), ['a/2']);
    });
  });

  it('removes folders with their last object, but never the root', async () => {
    await withDirectory(async (directory) => {
      const root = join(directory, 'root');
      const store = new FileObjectStore(root);
      await store.write('g/1/wal/x', Buffer.alloc(1));
      await store.write('g/2/wal/y', Buffer.alloc(1));
      await store.remove(['g/1/wal/x']);
      assert.deepEqual(await fs.readdir(join(root, 'g')), ['2']);
      await store.remove(['g/2/wal/y', 'g/1/wal/x']);
      assert.deepEqual(await fs.readdir(root), []);
    });
  });

  it('says clearly that the root is a file', async () => {
    await withDirectory(async (directory) => {
      const root = join(directory, 'root');
      await fs.writeFile(root, 'I am a file');
      const store = new FileObjectStore(root);
      const failed = { code: 'STORAGE_FAILED', message: /root.*is a file, expected a directory/ };
      await assert.rejects(keysOf(store), failed);
      await assert.rejects(store.listFolders('a/'), failed);
      await assert.rejects(store.write('a/b', Buffer.alloc(1)), failed);
      await assert.rejects(store.readBytes('a/b'), failed);
      await assert.rejects(store.remove(['a/b']), failed);
      await assert.rejects(
        store.removeStaleTemporaries(0, () => true),
        failed,
      );
    });
  });

  it('fails, rather than being empty, when the root is a link to nowhere', async () => {
    await withDirectory(async (directory) => {
      await fs.symlink(join(directory, 'unmounted'), join(directory, 'link'));
      for (const root of ['link', 'link/below']) {
        const store = new FileObjectStore(join(directory, root));
        await assert.rejects(keysOf(store), { code: 'STORAGE_FAILED', hint: /mounted/ });
        await assert.rejects(store.listFolders('generations/'), { code: 'STORAGE_FAILED' });
      }
      await fs.mkdir(join(directory, 'unmounted'));
      assert.deepEqual(await keysOf(new FileObjectStore(join(directory, 'link'))), []);
    });
  });

  it('fails when a directory cannot be read', { skip: isRoot && 'root may read everything' }, async () => {
    await withDirectory(async (directory) => {
      const store = new FileObjectStore(directory);
      await store.write('a/b', Buffer.alloc(1));
      await fs.chmod(join(directory, 'a'), 0o000);
      await assert.rejects(keysOf(store), { code: 'STORAGE_FAILED', hint: /owner or the mode/ });
      await assert.rejects(store.write('a/c', Buffer.alloc(1)), { code: 'STORAGE_FAILED' });
      await fs.chmod(join(directory, 'a'), 0o700);
    });
  });

  it('fails when a file gets shorter while it is read', async () => {
    await withDirectory(async (directory) => {
      const store = new FileObjectStore(directory);
      await store.write('object', Buffer.alloc(4 * 1024 * 1024));
      const reading = async (): Promise<void> => {
        for await (const _ of store.read('object')) await fs.truncate(join(directory, 'object'), 1000);
      };
      await assert.rejects(reading(), {
        code: 'STORAGE_FAILED',
        message: /ends at byte \d+, expected 4194304/,
      });
    });
  });

  it('gives up a read that hangs, as on a mount that is gone', { timeout: 10_000 }, async () => {
    await withDirectory(async (directory) => {
      const store = new FileObjectStore(directory);
      await store.write('hangs', Buffer.from('x'));
      const hung = mock.method(fsModule, 'read', () => undefined);
      syncBuiltinESMExports();
      const stop = new AbortController();
      const reading = gather(store.read('hangs', { signal: stop.signal }));
      const reason = new Error('enough');
      setTimeout(() => stop.abort(reason), 50);
      try {
        const late = delay(5_000, 'it hangs', { ref: false });
        assert.equal(await Promise.race([reading.catch((error: unknown) => error), late]), reason);
      } finally {
        hung.mock.restore();
        syncBuiltinESMExports();
      }
    });
  });

  it('fails on a directory where an object should be', async () => {
    await withDirectory(async (directory) => {
      const store = new FileObjectStore(directory);
      await store.write('a/b', Buffer.alloc(1));
      await assert.rejects(store.readBytes('a'), { code: 'STORAGE_FAILED' });
      await assert.rejects(gather(store.read('a')), { code: 'STORAGE_FAILED' });
      await assert.rejects(store.remove(['a']), { code: 'STORAGE_FAILED' });
    });
  });

  it('keeps an object readable while it is replaced', async () => {
    await withDirectory(async (directory) => {
      const store = new FileObjectStore(directory);
      const size = 2_500_000;
      await store.write('object', Buffer.alloc(size, 1));
      const seen: Uint8Array[] = [];
      for await (const chunk of store.read('object')) {
        if (seen.length === 0) await store.write('object', Buffer.alloc(size, 2));
        seen.push(chunk);
      }
      assert.ok(Buffer.concat(seen).equals(Buffer.alloc(size, 1)));
    });
  });
});

describe('file: small files at once', () => {
  const sizes = [0, 1, 4096, 100_000];
  for (const sizeBytes of sizes) {
    it(`an object of ${sizeBytes} bytes, and none that is longer than a listing said`, async () => {
      await withDirectory(async (directory) => {
        const store = new FileObjectStore(directory, { atOnce: true });
        const content = Buffer.alloc(sizeBytes, 7);
        await store.write('a/object', content);
        for (const sizeHintBytes of [0, 1, sizeBytes, sizeBytes + 1, 200_000]) {
          const reading = store.readBytes('a/object', { sizeHintBytes });
          if (sizeHintBytes < sizeBytes) await assert.rejects(reading, { code: 'REPLICA_INVALID' });
          else assert.deepEqual(Buffer.from(await reading), content);
        }
      });
    });
  }

  const noProc = fsModule.existsSync('/proc/self/fd') ? false : 'only Linux tells what is open';
  it('leaves no directory open when a listing is cancelled while it begins', { skip: noProc }, async () => {
    const root = await fs.mkdtemp(join(tmpdir(), 'rivulet-test-'));
    const writer = new FileObjectStore(root);
    await writer.write('a/x', Buffer.from('data'));
    // Folders that were written to stay open for a moment.
    await writer.close();
    const store = new FileObjectStore(root);
    const openThere = (): number =>
      fsModule.readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return fsModule.readlinkSync(`/proc/self/fd/${fd}`).startsWith(root);
        } catch {
          return false;
        }
      }).length;
    for (let round = 0; round < 50; round++) {
      const stop = new AbortController();
      const listing = store.list('a/', { signal: stop.signal })[Symbol.asyncIterator]();
      const first = listing.next();
      stop.abort(new Error('enough'));
      await assert.rejects(first, /enough/);
    }
    for (let left = 20; openThere() > 0 && left > 0; left--) await delay(10);
    assert.equal(openThere(), 0);
    await store.close();
    await fs.rm(root, { recursive: true });
  });

  it('says which object is not there or cannot be read', async () => {
    await withDirectory(async (directory) => {
      const store = new FileObjectStore(directory, { atOnce: true });
      const hint = { sizeHintBytes: 10 };
      await assert.rejects(store.readBytes('gone', hint), { code: 'STORAGE_NOT_FOUND' });
      await fs.mkdir(join(directory, 'folder'));
      await assert.rejects(store.readBytes('folder', hint), { code: 'STORAGE_FAILED' });
      const signal = AbortSignal.abort(new Error('stop'));
      await assert.rejects(store.readBytes('gone', { ...hint, signal }), { message: 'stop' });
    });
  });
});
