import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
import { describe, it } from 'node:test';
import { RivuletError, type ErrorCode, isRivuletError } from '../../src/base/errors.ts';
import { lockOutput } from '../../src/restore/output-lock.ts';
import { openOutput, tidyOutput } from '../../src/restore/output.ts';
import { restore } from '../../src/restore/restore.ts';
import { FileObjectStore } from '../../src/storage/file/file-object-store.ts';
import { ReplicaMaker, fillSmallReplica, lastPoint } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';

const isRoot = process.getuid?.() === 0;

function smallReplica(): ReplicaMaker {
  const maker = new ReplicaMaker(new MemoryStore());
  fillSmallReplica(maker);
  return maker;
}

async function rejectsWith(work: Promise<unknown>, code: ErrorCode, pattern: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(isRivuletError(error, code), String(error));
    assert.match(error.message, pattern);
    return true;
  });
}

describe('restore output', () => {
  it('never overwrites a file, a folder, or a link', async () => {
    using maker = smallReplica();
    using scratch = new Scratch();
    const file = scratch.file('file');
    writeFileSync(file, 'precious');
    mkdirSync(scratch.file('folder'));
    symlinkSync(file, scratch.file('link'));
    for (const name of ['file', 'folder', 'link']) {
      const work = restore({ store: maker.store, target: {}, outputPath: scratch.file(name) });
      await rejectsWith(work, 'OUTPUT_EXISTS', new RegExp(`${name} exists already`));
    }
    assert.equal(readFileSync(file, 'utf8'), 'precious');
    assert.deepEqual(scratch.names(), ['file', 'folder', 'link']);
  });

  it('refuses a path with what SQLite would apply of another database, and names all of it', async () => {
    using maker = smallReplica();
    const frame = Buffer.alloc(32 + 24 + 512, 1);
    for (const [suffix, content] of [
      ['-wal', frame],
      ['-journal', Buffer.from('\xd9\xd5\x05\xf9', 'latin1')],
    ] as const) {
      using scratch = new Scratch();
      writeFileSync(scratch.file(`db${suffix}`), content);
      writeFileSync(scratch.file('db-shm'), 'an index');
      const work = restore({ store: maker.store, target: {}, outputPath: scratch.file('db') });
      await rejectsWith(work, 'OUTPUT_EXISTS', new RegExp(`db${suffix} and .*db-shm exist: `));
      assert.deepEqual(scratch.names(), ['db-shm', `db${suffix}`].sort());
    }
    using scratch = new Scratch();
    mkdirSync(scratch.file('db-shm'));
    const work = restore({ store: maker.store, target: {}, outputPath: scratch.file('db') });
    await rejectsWith(work, 'OUTPUT_EXISTS', /db-shm exists: /);
  });

  it('moves aside what holds nothing for SQLite, and only when the database gets its name', async () => {
    using maker = smallReplica();
    for (const [suffix, content] of [
      ['-wal', ''],
      ['-wal', 'w'.repeat(32 + 24 + 511)],
      ['-shm', 'an index'],
      ['-journal', ''],
      ['-journal', '\0'.repeat(28)],
    ] as const) {
      using scratch = new Scratch();
      writeFileSync(scratch.file(`db${suffix}`), content);
      const outputPath = scratch.file('db');
      const broken = new ReplicaMaker(new MemoryStore());
      await assert.rejects(restore({ store: broken.store, target: {}, outputPath }), {
        code: 'REPLICA_EMPTY',
      });
      broken[Symbol.dispose]();
      assert.deepEqual(scratch.names(), [`db${suffix}`]);
      const { movedAside } = await restore({ store: maker.store, target: {}, outputPath });
      const [aside = ''] = movedAside;
      assert.match(aside, new RegExp(`/db${suffix}\\.aside-[0-9a-f]{16}$`));
      assert.equal(readFileSync(aside, 'utf8'), content);
      assert.deepEqual(scratch.names(), ['db', basename(aside)]);
      assert.ok(readFileSync(outputPath).equals(lastPoint(maker).database));
    }
  });

  it('puts back what it moved aside when another database has taken the name', async () => {
    using scratch = new Scratch();
    const output = await openOutput(scratch.file('db'));
    writeFileSync(scratch.file('db-shm'), 'an index');
    // Between the last look and the name.
    const published = output.publish();
    writeFileSync(scratch.file('db'), 'mine');
    await rejectsWith(published, 'OUTPUT_EXISTS', /db exists already/);
    output.close();
    assert.deepEqual(scratch.names(), ['db', 'db-shm']);
    assert.equal(readFileSync(scratch.file('db'), 'utf8'), 'mine');
  });

  it('goes to where a link leads at whose end nothing is', async () => {
    using maker = smallReplica();
    using scratch = new Scratch();
    mkdirSync(scratch.file('app'));
    symlinkSync('../second', scratch.file('app/db'));
    symlinkSync('volume/db', scratch.file('second'));
    await restore({ store: maker.store, target: {}, outputPath: scratch.file('app/db') });
    assert.ok(readFileSync(scratch.file('volume/db')).equals(lastPoint(maker).database));
    assert.ok(lstatSync(scratch.file('app/db')).isSymbolicLink());
    assert.deepEqual(readdirSync(scratch.file('app')), ['db']);
    symlinkSync('round', scratch.file('round'));
    const round = restore({ store: maker.store, target: {}, outputPath: scratch.file('round') });
    await rejectsWith(round, 'OUTPUT_UNWRITABLE', /too many links/);
  });

  it(
    'as root, follows no link of another user to a database that is not there',
    { skip: !isRoot },
    async () => {
      using maker = smallReplica();
      using scratch = new Scratch();
      symlinkSync(scratch.file('elsewhere'), scratch.file('db'));
      lchownSync(scratch.file('db'), 1234, 1234);
      const work = restore({ store: maker.store, target: {}, outputPath: scratch.file('db') });
      await rejectsWith(work, 'OUTPUT_UNWRITABLE', /is a symbolic link of another user/);
      assert.deepEqual(scratch.names(), ['db']);
    },
  );

  it('removes what a killed restore has left also when the output is there', async () => {
    using maker = smallReplica();
    using scratch = new Scratch();
    const left = `db.tmp-${'0'.repeat(16)}`;
    for (const name of ['db', left, 'db.tmp', 'other.tmp-0000000000000000'])
      writeFileSync(scratch.file(name), 'x');
    const work = restore({ store: maker.store, target: {}, outputPath: scratch.file('db') });
    await rejectsWith(work, 'OUTPUT_EXISTS', /exists already/);
    assert.deepEqual(scratch.names(), ['db', 'db.tmp', 'other.tmp-0000000000000000']);
    for (const name of [left, 'db.tmp-lock']) writeFileSync(scratch.file(name), '');
    const held = lockOutput(scratch.file('db.tmp-lock'), scratch.file('db'));
    tidyOutput(scratch.file('db'));
    assert.ok(scratch.names().includes(left), 'of a restore that is under way');
    held[Symbol.dispose]();
    tidyOutput(scratch.file('db'));
    assert.deepEqual(scratch.names(), ['db', 'db.tmp', 'other.tmp-0000000000000000']);
  });

  it('does not replace what appears while it works', async () => {
    using maker = smallReplica();
    using scratch = new Scratch();
    const outputPath = scratch.file('db');
    const work = restore({
      store: maker.store,
      target: {},
      outputPath,
      onProgress: ({ phase }) => {
        if (phase === 'finish') writeFileSync(outputPath, 'mine');
      },
    });
    await rejectsWith(work, 'OUTPUT_EXISTS', /exists already/);
    assert.equal(readFileSync(outputPath, 'utf8'), 'mine');
    assert.deepEqual(scratch.names(), ['db']);
  });

  it('makes missing folders, takes any name, and gives the file its mode', async () => {
    using maker = smallReplica();
    using scratch = new Scratch();
    const outputPath = scratch.file('a/b b/50% #1?ü.db');
    await restore({ store: maker.store, target: {}, outputPath, integrityCheck: 'full' });
    assert.ok(readFileSync(outputPath).equals(lastPoint(maker).database));
    assert.equal(statSync(outputPath).mode & 0o777, 0o600);
    const other = scratch.file('other');
    await restore({ store: maker.store, target: {}, outputPath: other, mode: 0o640 });
    assert.equal(statSync(other).mode & 0o777, 0o640);
  });

  it('says so when the output cannot be written', async () => {
    using maker = smallReplica();
    using scratch = new Scratch();
    writeFileSync(scratch.file('file'), '');
    const work = restore({ store: maker.store, target: {}, outputPath: scratch.file('file/db') });
    await rejectsWith(work, 'OUTPUT_UNWRITABLE', /file\/db cannot be written/);
    assert.deepEqual(scratch.names(), ['file']);
  });

  it('says so when the disk is full, and leaves nothing', async () => {
    using maker = smallReplica();
    using scratch = new Scratch();
    const root = scratch.file('replica');
    const files = new FileObjectStore(root);
    for (const key of maker.store.keys()) await files.write(key, maker.store.bytesOf(key));
    const script = `
      process.on('SIGXFSZ', () => undefined);
      const { restore } = await import(${JSON.stringify(import.meta.resolve('../../src/restore/restore.ts'))});
      const { FileObjectStore } = await import(${JSON.stringify(import.meta.resolve('../../src/storage/file/file-object-store.ts'))});
      const store = new FileObjectStore(${JSON.stringify(root)});
      await restore({ store, target: {}, outputPath: ${JSON.stringify(scratch.file('db'))} })
        .then(() => console.log('restored'), (error) => console.log(error.code, error.message, error.hint));`;
    // A limit on the size of files fails writes as a full disk does.
    const limited = [
      '-c',
      'ulimit -f 8; exec "$0" "$@"',
      process.execPath,
      '--input-type=module',
      '-e',
      script,
    ];
    const { stdout, stderr } = spawnSync('bash', limited, { encoding: 'utf8' });
    assert.match(stdout, /^OUTPUT_UNWRITABLE .*db cannot be written.*raise the limit/, stderr);
    assert.deepEqual(scratch.names(), ['replica']);
  });

  it('cleans what a killed restore left, and keeps two restores apart', async () => {
    using maker = smallReplica();
    using scratch = new Scratch();
    const outputPath = scratch.file('db');
    const half = `${outputPath}.tmp-0123456789abcdef`;
    for (const path of [`${half}-overflow`, `${outputPath}.tmp-lock`]) writeFileSync(path, '');
    writeFileSync(half, 'half a database');
    {
      using _lock = lockOutput(`${outputPath}.tmp-lock`, outputPath);
      const work = restore({ store: maker.store, target: {}, outputPath });
      await rejectsWith(work, 'OUTPUT_EXISTS', /another restore to .*db is under way/);
      assert.equal(readFileSync(half, 'utf8'), 'half a database');
    }
    const outcomes = await Promise.allSettled(
      [1, 2, 3].map(() => restore({ store: maker.store, target: {}, outputPath })),
    );
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected', 'rejected']);
    assert.ok(readFileSync(outputPath).equals(lastPoint(maker).database));
    assert.deepEqual(scratch.names(), ['db']);
  });

  it('neither overwrites nor removes what only looks like its own', async () => {
    using maker = smallReplica();
    using scratch = new Scratch();
    const strange = ['db.tmp', 'db.tmp-spool', 'db.tmp-wal', 'db.tmp-0123', 'other.tmp-0123456789abcdef'];
    for (const name of strange) writeFileSync(scratch.file(name), 'precious');
    writeFileSync(scratch.file('precious'), 'precious');
    symlinkSync('precious', scratch.file('db.tmp-0123456789abcdef'));
    const before = scratch.names();
    await restore({ store: maker.store, target: {}, outputPath: scratch.file('db') });
    assert.deepEqual(scratch.names(), ['db', ...before]);
    for (const name of before) assert.equal(readFileSync(scratch.file(name), 'utf8'), 'precious', name);
  });

  it('takes no file for its lock that is not one', async () => {
    using maker = smallReplica();
    using scratch = new Scratch();
    const lock = scratch.file('db.tmp-lock');
    const work = async () => restore({ store: maker.store, target: {}, outputPath: scratch.file('db') });
    writeFileSync(lock, 'precious');
    await rejectsWith(work(), 'OUTPUT_EXISTS', /db\.tmp-lock is not the lock of a restore/);
    rmSync(lock);
    for (const target of ['precious', 'nothing']) {
      if (target === 'precious') writeFileSync(scratch.file(target), '');
      symlinkSync(target, lock);
      await rejectsWith(work(), 'OUTPUT_EXISTS', /is not the lock of a restore/);
      rmSync(lock);
    }
    assert.deepEqual(scratch.names(), ['precious']);
  });

  it(
    'as root, is not led elsewhere by a link of another user',
    { skip: !isRoot && 'only root' },
    async () => {
      using maker = smallReplica();
      using scratch = new Scratch();
      mkdirSync(scratch.file('etc'));
      for (const [name, uid] of [
        ['theirs', 65_534],
        ['ours', 0],
      ] as const) {
        symlinkSync('etc', scratch.file(name));
        lchownSync(scratch.file(name), uid, uid);
      }
      const to = async (name: string) =>
        restore({ store: maker.store, target: {}, outputPath: scratch.file(name) });
      await rejectsWith(to('theirs/db'), 'OUTPUT_UNWRITABLE', /theirs is a symbolic link of another user/);
      await rejectsWith(
        to('theirs/deep/db'),
        'OUTPUT_UNWRITABLE',
        /theirs is a symbolic link of another user/,
      );
      assert.deepEqual(readdirSync(scratch.file('etc')), []);
      await to('ours/db');
      assert.deepEqual(readdirSync(scratch.file('etc')), ['db']);
    },
  );

  it('leaves nothing when it is cancelled, at whichever object', async () => {
    using maker = smallReplica();
    const objects = maker.store.keys().length;
    for (let after = 0; after <= objects; after += 1) {
      using scratch = new Scratch();
      const controller = new AbortController();
      const store = maker.store.clone();
      let reads = 0;
      const count = (): void => {
        if (reads === after) controller.abort(new Error('enough'));
        reads += 1;
      };
      store.read = (...parameters) => {
        count();
        return maker.store.read(...parameters);
      };
      store.readBytes = (...parameters) => {
        count();
        return maker.store.readBytes(...parameters);
      };
      const work = restore({
        store,
        target: {},
        outputPath: scratch.file('db'),
        signal: controller.signal,
        parallelism: 2,
      });
      const result = await work.then(
        () => 'restored',
        (error: unknown) => (error instanceof RivuletError ? error.code : error),
      );
      assert.equal(result, reads > after ? 'CANCELLED' : 'restored');
      assert.deepEqual(scratch.names(), controller.signal.aborted ? [] : ['db']);
    }
  });

  it('passes on a failure of the destination, and leaves nothing', async () => {
    using maker = smallReplica();
    using scratch = new Scratch();
    const failure = new RivuletError('STORAGE_FAILED', 'the network is gone');
    const store = maker.store.clone();
    let reads = 0;
    store.readBytes = async (...parameters) => {
      reads += 1;
      if (reads > 3) throw failure;
      return maker.store.readBytes(...parameters);
    };
    await assert.rejects(
      restore({ store, target: {}, outputPath: scratch.file('db') }),
      (error) => error === failure,
    );
    assert.deepEqual(scratch.names(), []);
  });
});
