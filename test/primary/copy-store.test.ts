/** Where copies of a database lie, how they go away, and what happens where there is no room for one. */
import assert from 'node:assert/strict';
import {
  existsSync,
  fstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Files, systemFiles } from '../../src/base/files.ts';
import {
  CopyTooLarge,
  FileCopy,
  MemoryBudget,
  MemoryCopy,
  removeLeftCopies,
} from '../../src/primary/copy-store.ts';
import { systemMachine } from '../../src/primary/machine.ts';
import type { Snapshot } from '../../src/primary/snapshot-source.ts';
import { LiveDatabase, NO_ROOM, NOT_IN_MEMORY, openPrimary } from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Scratch } from '../support/scratch.ts';

const WORD = '0123456789abcdef';
const CANNOT = 'the database cannot be copied aside: it is read while the snapshot is stored';

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: a test`), { code });
}

async function bytesOf(snapshot: Snapshot): Promise<number> {
  let bytes = 0;
  for await (const piece of snapshot.pages()) bytes += piece.length;
  return bytes;
}

describe('a copy in a file', () => {
  it('is private, has no name while it is open, and holds what was written', async () => {
    using scratch = new Scratch();
    let descriptor = -1;
    const createScratch: Files['createScratch'] = (path, mode) =>
      (descriptor = systemFiles.createScratch(path, mode));
    const files = { ...systemFiles, createScratch };
    const copy = new FileCopy({ files, directory: scratch.path, word: WORD, bytes: 4000 });
    assert.deepEqual(readdirSync(scratch.path), []);
    assert.equal(fstatSync(descriptor).mode & 0o777, 0o600);
    await copy.write(Buffer.from('def'), 3000);
    await copy.write(Buffer.from('abc'), 0);
    const into = new Uint8Array(10).fill(7);
    copy.read(into, 2998);
    assert.deepEqual([...into], [0, 0, 100, 101, 102, 0, 0, 0, 0, 0]);
    copy.close();
    assert.throws(() => fstatSync(descriptor), { code: 'EBADF' });
  });

  it('loses its name when it is closed where that is not possible before', () => {
    using scratch = new Scratch();
    let isRefusing = true;
    const remove: Files['remove'] = (path) => {
      if (isRefusing) throw systemError('EBUSY');
      systemFiles.remove(path);
    };
    const files = { ...systemFiles, remove };
    const copy = new FileCopy({ files, directory: scratch.path, word: WORD, bytes: 4000 });
    assert.deepEqual(readdirSync(scratch.path), [`copy.tmp-${WORD}`]);
    isRefusing = false;
    copy.close();
    assert.deepEqual(readdirSync(scratch.path), []);
  });

  it('never takes a name that is there, be it a link', () => {
    using scratch = new Scratch();
    const name = join(scratch.path, `copy.tmp-${WORD}`);
    symlinkSync(join(scratch.path, 'elsewhere'), name);
    const parts = { files: systemFiles, directory: scratch.path, word: WORD, bytes: 1 };
    assert.throws(() => new FileCopy(parts), { name: 'CopyFailed', message: /EEXIST/ });
    assert.ok(!existsSync(join(scratch.path, 'elsewhere')));
  });

  it('what a killed process has left goes at the next start, and nothing else', async () => {
    using live = new LiveDatabase();
    const meta = `${live.path}-meta`;
    mkdirSync(meta, { mode: 0o700 });
    writeFileSync(join(meta, 'rivulet-state.json'), '');
    const outside = live.scratch.file('outside');
    writeFileSync(outside, 'kept');
    const others = ['copy.tmp-0123', `copy.tmp-${WORD}0`, `my-copy.tmp-${WORD}`];
    for (const name of others) writeFileSync(join(meta, name), 'kept');
    mkdirSync(join(meta, 'copy.tmp-aaaaaaaaaaaaaaaa'));
    writeFileSync(join(meta, 'copy.tmp-aaaaaaaaaaaaaaaa', 'inside'), 'kept');
    writeFileSync(join(meta, `copy.tmp-${WORD}`), 'pages');
    symlinkSync(outside, join(meta, 'copy.tmp-bbbbbbbbbbbbbbbb'));
    const primary = openPrimary(live.path);
    await primary.close();
    assert.ok(!existsSync(join(meta, `copy.tmp-${WORD}`)));
    assert.equal(readFileSync(outside, 'utf8'), 'kept');
    for (const name of others) assert.equal(readFileSync(join(meta, name), 'utf8'), 'kept');
    assert.equal(readFileSync(join(meta, 'copy.tmp-aaaaaaaaaaaaaaaa', 'inside'), 'utf8'), 'kept');
  });

  it('a disk that refuses to remove what is left does not keep anything from starting', () => {
    const remove = (): never => {
      throw systemError('EROFS');
    };
    using scratch = new Scratch();
    writeFileSync(scratch.file(`copy.tmp-${WORD}`), '');
    removeLeftCopies({ ...systemFiles, remove }, scratch.path);
  });
});

describe('copies in memory', () => {
  it('share what they may take', async () => {
    const budget = new MemoryBudget(1000);
    const one = MemoryCopy.open(budget, 600);
    assert.equal(MemoryCopy.open(budget, 600), undefined);
    assert.ok(one !== undefined);
    await one.write(new Uint8Array([1, 2]), 598);
    await assert.rejects(one.write(new Uint8Array(2), 599), CopyTooLarge);
    const into = new Uint8Array(4).fill(7);
    one.read(into, 597);
    assert.deepEqual([...into], [0, 1, 2, 0]);
    one.close();
    assert.notEqual(MemoryCopy.open(budget, 1000), undefined);
  });
});

describe('where there is no room for a copy', () => {
  it('the snapshot is read in place, and one warning says why and how much is needed', async () => {
    using live = new LiveDatabase();
    live.insert(300, 3000);
    const logger = new RecordingLogger();
    const primary = openPrimary(live.path, { logger, machine: NO_ROOM, copySizes: NOT_IN_MEMORY });
    try {
      await primary.refresh();
      for (let round = 0; round < 3; round++) {
        const snapshot = await primary.openSnapshot();
        assert.equal(await bytesOf(snapshot), snapshot.pageCount * 4096);
        snapshot.close();
      }
      const [warning, ...more] = logger.matching(CANNOT);
      assert.deepEqual(more, []);
      const { why, neededBytes, hint } = warning?.fields ?? {};
      assert.match(String(why), /-meta has 0 bytes free/);
      assert.ok(Number(neededBytes) > 64 * 2 ** 20 + 300 * 3000);
      assert.match(String(hint), new RegExp(`${String(neededBytes)} bytes`));
    } finally {
      await primary.close();
    }
  });

  for (const code of ['ENOSPC', 'EDQUOT']) {
    it(`a disk that says ${code} in the middle is no reason to fail; a later copy works and a new trouble is told`, async () => {
      using live = new LiveDatabase();
      live.insert(300, 3000);
      const logger = new RecordingLogger();
      let writes = 0;
      let writesMax = 3;
      const writeAside: Files['writeAside'] = async (descriptor, bytes, position) => {
        if (++writes > writesMax) throw systemError(code);
        await systemFiles.writeAside(descriptor, bytes, position);
      };
      const machine = { ...systemMachine, files: { ...systemFiles, writeAside } };
      const copySizes = { ...NOT_IN_MEMORY, pieceBytes: 65_536 };
      const primary = openPrimary(live.path, { logger, machine, copySizes });
      try {
        await primary.refresh();
        for (const [max, warnings] of [
          [3, 1],
          [Number.POSITIVE_INFINITY, 1],
          [0, 2],
        ] as const) {
          writes = 0;
          writesMax = max;
          const snapshot = await primary.openSnapshot();
          assert.equal(await bytesOf(snapshot), snapshot.pageCount * 4096);
          snapshot.close();
          assert.equal(logger.matching(CANNOT).length, warnings);
        }
        assert.deepEqual(
          readdirSync(`${live.path}-meta`).filter((name) => name.startsWith('copy')),
          [],
        );
      } finally {
        await primary.close();
      }
    });
  }

  it('a copy gives up when others fill the disk', async () => {
    using scratch = new Scratch();
    let free = 2 ** 30;
    let flushes = 0;
    const files: Files = {
      ...systemFiles,
      freeBytes: () => free,
      writeAside: async () => undefined,
      syncAside: async () => void flushes++,
    };
    const copy = new FileCopy({ files, directory: scratch.path, word: WORD, bytes: 2 ** 28 });
    const piece = new Uint8Array(2 ** 26);
    await copy.write(piece, 0);
    free = 2 ** 28;
    await copy.write(piece, 2 ** 26);
    free = 2 ** 27 - 1;
    assert.equal(flushes, 2, 'the disk never has much to write at once');
    await assert.rejects(copy.write(piece, 2 ** 27), { name: 'CopyFailed', neededBytes: 2 ** 28 + 2 ** 26 });
    copy.close();
  });

  it('a file system that does not tell how much is free is tried', async () => {
    using live = new LiveDatabase();
    live.insert(100, 3000);
    const logger = new RecordingLogger();
    const freeBytes = (): never => {
      throw systemError('ENOSYS');
    };
    const machine = { ...systemMachine, files: { ...systemFiles, freeBytes } };
    const primary = openPrimary(live.path, { logger, machine, copySizes: NOT_IN_MEMORY });
    try {
      await primary.refresh();
      (await primary.openSnapshot()).close();
      assert.deepEqual(logger.messages('warn'), []);
    } finally {
      await primary.close();
    }
  });
});
