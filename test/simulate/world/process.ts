/**
 * One process of the simulated machine. When it is killed, nothing that it still tries has any effect: every call that it
 * makes on the world throws, and what it waits for never comes.
 */
import type { FileFacts, Files } from '../../../src/base/files.ts';
import { type Disk, type Inode, systemError } from './disk.ts';

export class Killed extends Error {
  override readonly name = 'Killed';
}

/** What a dead process waits for: loops that try again for ever come to rest here. */
export async function never(): Promise<never> {
  return new Promise<never>(() => undefined);
}

/** Free on a disk that is not full. */
const PLENTY_BYTES = 2 ** 40;

export interface ProcessHooks {
  /** Called before each call that a process makes on the world: others may do something first, or the process may die. */
  readonly beforeCall: (process: SimProcess, what: string) => void;
  readonly nowMs: () => number;
  /** Told of what no process may do, whatever comes of it. */
  readonly onMistake?: (what: string) => void;
}

export class SimProcess {
  readonly name: string;
  readonly #disk: Disk;
  readonly #hooks: ProcessHooks;
  readonly #open = new Map<number, { inode: Inode; at: number; path: string }>();
  readonly #onDeath: (() => void)[] = [];
  readonly #undelivered: (() => void)[] = [];
  /** Files on which SQLite has locks for this process, and how many connections they belong to. */
  readonly #locked = new Map<Inode, number>();
  #lastDescriptor = 2;
  #isDead = false;
  #isFrozen = false;

  constructor(name: string, disk: Disk, hooks: ProcessHooks) {
    this.name = name;
    this.#disk = disk;
    this.#hooks = hooks;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** What the system does when the process is gone: locks are let go, connections are cut. */
  onDeath(action: () => void): void {
    this.#onDeath.push(action);
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  /** Stops it as SIGSTOP does, or a machine that is paused: the world goes on without it. */
  freeze(): void {
    this.#isFrozen = !this.#isDead;
  }

  thaw(): void {
    this.#isFrozen = false;
    for (const deliver of this.#undelivered.splice(0)) deliver();
  }

  /** Something that the process waits for has come: a time, an answer. Never reaches a dead one; a frozen one later. */
  deliver(action: () => void): void {
    if (this.#isDead) return;
    if (this.#isFrozen) this.#undelivered.push(action);
    else action();
  }

  kill(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#isFrozen = false;
    this.#undelivered.splice(0);
    for (const { inode } of this.#open.values()) inode.openCount--;
    this.#open.clear();
    for (const action of this.#onDeath.splice(0)) action();
  }

  /** Before a call on the world. @throws Killed */
  call(what: string): void {
    if (this.#isDead) throw new Killed(this.name);
    this.#hooks.beforeCall(this, what);
    if (this.#isDead) throw new Killed(this.name);
  }

  /** The same before something that is waited for. */
  async callOrNever(what: string): Promise<void> {
    try {
      this.call(what);
    } catch {
      await never();
    }
  }

  readonly files: Files = {
    open: (path) => {
      this.call(`open ${path}`);
      const inode = this.#disk.lookUp(path);
      if (inode === undefined) throw systemError('ENOENT', `open '${path}'`);
      return this.#openInode(inode, path);
    },
    openOwn: (path) => this.files.open(path),
    createNew: (path) => {
      this.call(`create ${path}`);
      this.#disk.assertWorks();
      this.#assertSpace();
      if (this.#disk.lookUp(path) !== undefined) throw systemError('EEXIST', `open '${path}'`);
      return this.#openInode(this.#disk.make(path), path);
    },
    createScratch: (path) => {
      this.call(`create ${path}`);
      this.#disk.assertWorks();
      this.#assertSpace();
      if (this.#disk.lookUp(path) !== undefined) throw systemError('EEXIST', `open '${path}'`);
      return this.#openInode(this.#disk.make(path), path);
    },
    // Never one that a process before this one has left.
    temporaryName: (path) => `${path}.tmp-${this.#disk.nextNumber().toString(16).padStart(16, '0')}`,
    read: (descriptor, into, at, length, position) => {
      this.call('read');
      this.#disk.assertWorks();
      const { inode, path } = this.#inodeOf(descriptor);
      return inode.read(into, at, this.#disk.readable(path, length), position);
    },
    write: (descriptor, bytes) => {
      this.call('write');
      this.#disk.assertWorks();
      this.#assertSpace();
      const open = this.#inodeOf(descriptor);
      open.inode.write(open.at, bytes, this.#hooks.nowMs());
      open.at += bytes.length;
    },
    syncAside: async (descriptor) => {
      await this.callOrNever('sync');
      this.#disk.assertWorks();
      this.#inodeOf(descriptor).inode.sync();
    },
    writeAside: async (descriptor, bytes, position) => {
      await this.callOrNever('write');
      this.#disk.assertWorks();
      this.#assertSpace();
      this.#inodeOf(descriptor).inode.write(position, bytes, this.#hooks.nowMs());
    },
    sync: (descriptor) => {
      this.call('sync');
      this.#disk.assertWorks();
      this.#inodeOf(descriptor).inode.sync();
    },
    close: (descriptor) => this.#close(descriptor),
    rename: (from, to) => {
      this.call(`rename ${to}`);
      this.#disk.assertWorks();
      this.#disk.rename(from, to);
    },
    remove: (path) => {
      this.call(`remove ${path}`);
      this.#disk.remove(path);
    },
    list: (path) => {
      this.call(`list ${path}`);
      return this.#disk.list(path);
    },
    makeDirectory: (path) => {
      this.call(`makeDirectory ${path}`);
      this.#disk.makeDirectory(path);
    },
    syncDirectory: (path) => {
      this.call(`syncDirectory ${path}`);
      this.#disk.syncDirectory(path);
    },
    stat: (path) => {
      this.call(`stat ${path}`);
      const inode = this.#disk.lookUp(path);
      return inode && factsOf(inode);
    },
    lstat: (path) => this.files.stat(path),
    statOpen: (descriptor) => {
      this.call('statOpen');
      return factsOf(this.#inodeOf(descriptor).inode);
    },
    realPath: (path) => {
      if (this.#disk.lookUp(path) === undefined) throw systemError('ENOENT', `realpath '${path}'`);
      return path;
    },
    freeBytes: () => {
      this.call('ask for free space');
      return this.#disk.isFull ? 0 : PLENTY_BYTES;
    },
  };

  #assertSpace(): void {
    if (this.#disk.isFull) throw systemError('ENOSPC', 'no space left on device');
  }

  /** A connection of this process has locks on a file from now on. */
  locks(inode: Inode): void {
    this.#locked.set(inode, (this.#locked.get(inode) ?? 0) + 1);
  }

  unlocks(inode: Inode): void {
    this.#locked.set(inode, (this.#locked.get(inode) ?? 1) - 1);
  }

  /** Closing any descriptor of a file drops all locks that the process has on it (POSIX). */
  #close(descriptor: number): void {
    const open = this.#open.get(descriptor);
    if (open === undefined) return;
    this.#open.delete(descriptor);
    open.inode.openCount--;
    // One that nobody can open any more has nobody to be kept out.
    if ((this.#locked.get(open.inode) ?? 0) > 0 && this.#disk.hasName(open.inode))
      this.#hooks.onMistake?.(`a descriptor of inode ${open.inode.id} was closed under SQLite's locks on it`);
  }

  #openInode(inode: Inode, path: string): number {
    const descriptor = ++this.#lastDescriptor;
    inode.openCount++;
    this.#open.set(descriptor, { inode, at: 0, path });
    return descriptor;
  }

  #inodeOf(descriptor: number): { inode: Inode; at: number; path: string } {
    const open = this.#open.get(descriptor);
    if (open === undefined) throw systemError('EBADF', `descriptor ${descriptor}`);
    return open;
  }

  get openFiles(): number {
    return this.#open.size;
  }
}

function factsOf(inode: Inode): FileFacts {
  return {
    device: '1',
    inode: String(inode.id),
    kind: inode.kind,
    sizeBytes: inode.sizeBytes,
    modifiedAtMs: inode.modifiedAtMs,
    modifiedAtNs: String(BigInt(Math.floor(inode.modifiedAtMs)) * 1_000_000n),
    mode: 0o600,
    uid: 0,
    gid: 0,
  };
}
