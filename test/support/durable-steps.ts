/**
 * Run by itself (`node durable-steps.ts object|restore FOLDER`): writes an object into a directory, or restores a database,
 * and prints the steps that decide what is left after a power cut, as JSON. A process of its own, because the calls are
 * replaced before the program's modules take hold of them.
 */
import fs from 'node:fs';
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join } from 'node:path';

const steps: string[] = [];
const folder = process.argv[3] ?? '';

/** By number, as descriptors are given again when they were closed. */
function nameOf(descriptor: number): string {
  return basename(fs.readlinkSync(`/proc/self/fd/${descriptor}`));
}

const { fsync, fsyncSync, link, rename } = fs;
const { link: linkPromise, rename: renamePromise } = fsPromises;
Object.assign(fs, {
  fsync: (descriptor: number, done: (error: Error | null) => void) => {
    steps.push(`sync ${nameOf(descriptor)}`);
    fsync(descriptor, done);
  },
  fsyncSync: (descriptor: number) => {
    steps.push(`sync ${nameOf(descriptor)}`);
    fsyncSync(descriptor);
  },
  link: (from: string, to: string, done: (error: Error | null) => void) => {
    steps.push(`name ${basename(to)}`);
    link(from, to, done);
  },
  rename: (from: string, to: string, done: (error: Error | null) => void) => {
    steps.push(`name ${basename(to)}`);
    rename(from, to, done);
  },
});
Object.assign(fsPromises, {
  link: async (from: string, to: string) => {
    steps.push(`name ${basename(to)}`);
    await linkPromise(from, to);
  },
  rename: async (from: string, to: string) => {
    steps.push(`name ${basename(to)}`);
    await renamePromise(from, to);
  },
});
const handle = await fsPromises.open(process.execPath, 'r');
const prototype = Object.getPrototypeOf(handle) as { sync: (this: { fd: number }) => Promise<void> };
await handle.close();
const { sync } = prototype;
prototype.sync = async function (this: { fd: number }) {
  steps.push(`sync ${nameOf(this.fd)}`);
  await sync.call(this);
};
syncBuiltinESMExports();

async function writeObject(onlyIf: 'absent' | undefined): Promise<void> {
  const { FileObjectStore } = await import('../../src/storage/file/file-object-store.ts');
  const store = new FileObjectStore(folder);
  await store.write('a/object', Buffer.from('content'), onlyIf === undefined ? {} : { onlyIf });
}

async function restoreDatabase(): Promise<void> {
  const { restore } = await import('../../src/restore/restore.ts');
  const { MemoryStore } = await import('./memory-store.ts');
  const { fillSmallReplica, ReplicaMaker } = await import('./make-replica.ts');
  const store = new MemoryStore();
  using maker = new ReplicaMaker(store);
  fillSmallReplica(maker);
  steps.length = 0;
  await restore({ store, target: {}, outputPath: join(folder, 'restored') });
}

if (process.argv[2] === 'restore') await restoreDatabase();
else await writeObject(process.argv[2] === 'new-object' ? 'absent' : undefined);
console.log(JSON.stringify(steps));
