import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { systemFiles } from '../../src/base/files.ts';
import { closeWhenUnused, connectionsOpened } from '../../src/primary/kept-descriptors.ts';
import { type Machine, systemMachine } from '../../src/primary/machine.ts';
import { openDatabase } from '../../src/primary/open-database.ts';
import { LiveDatabase } from '../support/live-database.ts';

const KEY = { device: '1', inode: '2' };

describe('a descriptor of a database file', () => {
  it('is closed at once when nobody has the database open, else after the last one', () => {
    const files = { ...systemFiles };
    const closed: string[] = [];
    closeWhenUnused(files, KEY, () => closed.push('unused'));
    assert.deepEqual(closed, ['unused']);
    const [first, second] = [connectionsOpened(files, KEY), connectionsOpened(files, KEY)];
    closeWhenUnused(files, KEY, () => closed.push('waiting'));
    closeWhenUnused(files, { ...KEY, inode: '3' }, () => closed.push('another database'));
    first();
    assert.deepEqual(closed, ['unused', 'another database']);
    second();
    assert.deepEqual(closed, ['unused', 'another database', 'waiting']);
  });

  it('stays open while a snapshot of an earlier following reads, also when the database was opened again', () => {
    using live = new LiveDatabase();
    const open = new Set<number>();
    const machine: Machine = {
      ...systemMachine,
      files: {
        ...systemFiles,
        open: (path) => {
          const descriptor = systemFiles.open(path);
          if (path === live.path || path.endsWith('-shm')) open.add(descriptor);
          return descriptor;
        },
        close: (descriptor) => {
          open.delete(descriptor);
          systemFiles.close(descriptor);
        },
      },
    };
    const first = openDatabase(live.path, 100, machine);
    const reader = first.openReader();
    first.close();
    assert.throws(() => first.file.read(new Uint8Array(10), 0), { code: 'DB_UNREADABLE' });
    const second = openDatabase(live.path, 100, machine);
    reader.end();
    assert.equal(open.size, 4, 'the locks of the second would go with a descriptor');
    second.close();
    assert.equal(open.size, 0);
  });

  it('a file that is no database is closed, and so are the files of one that cannot be opened', () => {
    using live = new LiveDatabase();
    const files = { ...systemFiles, opened: 0 };
    files.open = (path) => {
      files.opened++;
      return systemFiles.open(path);
    };
    files.close = (descriptor) => {
      files.opened--;
      systemFiles.close(descriptor);
    };
    const openConnections = (): never => {
      throw new Error('no');
    };
    assert.throws(() => openDatabase(live.path, 100, { ...systemMachine, files, openConnections }), /no/);
    assert.throws(() => openDatabase(`${live.path}-wal`, 100, { ...systemMachine, files }), {
      code: 'DB_INVALID',
    });
    assert.equal(files.opened, 0);
    new DatabaseSync(live.path).close();
  });
});
