/** The simulated disk: what is synced survives a power cut, what is not may be lost in every combination, and only that. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../faults/random.ts';
import { Disk } from './world/disk.ts';

const OLD = Buffer.alloc(2048, 1);
const NEW = Buffer.alloc(2048, 2);

function diskWith(seed: number): Disk {
  const disk = new Disk(new Random(seed), () => 0);
  disk.makeDirectory('/d');
  disk.syncDirectory('/');
  const inode = disk.make('/d/file');
  inode.write(0, OLD, 0);
  inode.sync();
  disk.syncDirectory('/d');
  return disk;
}

function contentOf(disk: Disk, path: string): Buffer | undefined {
  const inode = disk.lookUp(path);
  return inode && Buffer.from(inode.content.slice(0, inode.sizeBytes));
}

describe('the simulated disk', () => {
  it('keeps what was synced through any number of power cuts', () => {
    for (let seed = 0; seed < 50; seed++) {
      const disk = diskWith(seed);
      disk.losePower();
      disk.losePower();
      assert.deepEqual(contentOf(disk, '/d/file'), OLD);
    }
  });

  it('may keep any sectors of what was not synced, and nothing that was never written', () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const disk = diskWith(seed);
      disk.lookUp('/d/file')?.write(0, NEW, 0);
      disk.losePower();
      const content = contentOf(disk, '/d/file') as Buffer;
      assert.equal(content.length, OLD.length);
      const sectors = Array.from({ length: 4 }, (_, i) => content.subarray(i * 512, (i + 1) * 512));
      for (const sector of sectors)
        assert.ok(new Set(sector).size === 1 && (sector[0] === 1 || sector[0] === 2));
      seen.add(sectors.map((sector) => sector[0]).join(''));
    }
    assert.ok(seen.has('1111') && seen.has('2222') && seen.size > 4, [...seen].join(' '));
  });

  it('may lose a new name, a rename and a removal until the directory is synced', () => {
    const outcomes = { made: new Set<boolean>(), renamed: new Set<boolean>(), removed: new Set<boolean>() };
    for (let seed = 0; seed < 100; seed++) {
      const made = diskWith(seed);
      made.make('/d/new');
      made.losePower();
      outcomes.made.add(made.lookUp('/d/new') !== undefined);
      const renamed = diskWith(seed);
      renamed.rename('/d/file', '/d/other');
      renamed.losePower();
      outcomes.renamed.add(renamed.lookUp('/d/other') !== undefined);
      const removed = diskWith(seed);
      removed.remove('/d/file');
      removed.losePower();
      outcomes.removed.add(removed.lookUp('/d/file') === undefined);
    }
    for (const [what, seen] of Object.entries(outcomes)) assert.equal(seen.size, 2, what);
  });

  it('a rename whose content was not synced may leave the name with half of it', () => {
    const lengths = new Set<number>();
    for (let seed = 0; seed < 100; seed++) {
      const disk = diskWith(seed);
      const inode = disk.make('/d/file.tmp');
      inode.write(0, NEW.subarray(0, 1024), 0);
      inode.write(1024, NEW.subarray(1024), 0);
      disk.rename('/d/file.tmp', '/d/file');
      disk.syncDirectory('/d');
      disk.losePower();
      lengths.add(contentOf(disk, '/d/file')?.length ?? -1);
    }
    assert.ok(lengths.has(0) && lengths.has(2048) && lengths.size >= 3, [...lengths].join(' '));
  });

  it('a copy of it goes its own way', () => {
    const disk = diskWith(1);
    disk.lookUp('/d/file')?.write(0, NEW, 0);
    const copy = disk.clone(new Random(2), () => 0);
    disk.lookUp('/d/file')?.write(0, Buffer.alloc(2048, 3), 0);
    copy.losePower();
    assert.deepEqual(contentOf(copy, '/d/file'), NEW);
  });

  it('damages what it is told to, and lists what there is', () => {
    const disk = diskWith(1);
    assert.deepEqual(disk.files(), ['/d/file']);
    disk.damage('/d/file');
    assert.notDeepEqual(contentOf(disk, '/d/file'), OLD);
    disk.failing = 1;
    assert.throws(() => disk.assertWorks(), { code: 'EIO' });
  });
});
