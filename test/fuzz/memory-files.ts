/** Files in memory: what a local file holds is the fuzzer's, and no disk makes it slow. */
import { dirname } from 'node:path';
import type { FileFacts, Files } from '../../src/base/files.ts';

function missing(path: string): Error {
  return Object.assign(new Error(`ENOENT: no such file or directory, open '${path}'`), { code: 'ENOENT' });
}

export class MemoryFiles implements Files {
  readonly contents: Map<string, Uint8Array> = new Map();
  readonly #open = new Map<number, string>();
  #next = 3;

  open(path: string): number {
    if (!this.contents.has(path)) throw missing(path);
    this.#open.set(this.#next, path);
    return this.#next++;
  }

  openOwn(path: string): number {
    return this.open(path);
  }

  createNew(path: string): number {
    if (this.contents.has(path)) throw Object.assign(new Error(`EEXIST: '${path}'`), { code: 'EEXIST' });
    this.contents.set(path, new Uint8Array(0));
    return this.open(path);
  }

  createScratch(path: string): number {
    return this.createNew(path);
  }

  temporaryName(path: string): string {
    return `${path}.tmp-${(this.#next++).toString(16).padStart(16, '0')}`;
  }

  read(descriptor: number, into: Uint8Array, at: number, length: number, position: number): number {
    const part = this.#contentOf(descriptor).subarray(position, position + length);
    into.set(part, at);
    return part.length;
  }

  write(descriptor: number, bytes: Uint8Array): void {
    this.contents.set(this.#pathOf(descriptor), Buffer.concat([this.#contentOf(descriptor), bytes]));
  }

  async writeAside(descriptor: number, bytes: Uint8Array, position: number): Promise<void> {
    const before = this.#contentOf(descriptor);
    const after = new Uint8Array(Math.max(before.length, position + bytes.length));
    after.set(before);
    after.set(bytes, position);
    this.contents.set(this.#pathOf(descriptor), after);
  }

  async syncAside(): Promise<void> {}

  sync(): void {}

  close(descriptor: number): void {
    this.#open.delete(descriptor);
  }

  rename(from: string, to: string): void {
    const content = this.contents.get(from);
    if (content === undefined) throw missing(from);
    this.contents.delete(from);
    this.contents.set(to, content);
  }

  remove(path: string): void {
    this.contents.delete(path);
  }

  list(path: string): string[] {
    return [...this.contents.keys()]
      .filter((name) => dirname(name) === path)
      .map((name) => name.slice(path.length + 1));
  }

  makeDirectory(): void {}

  syncDirectory(): void {}

  stat(path: string): FileFacts | undefined {
    const content = this.contents.get(path);
    return (
      content && {
        device: '1',
        inode: path,
        kind: 'file',
        sizeBytes: content.length,
        modifiedAtMs: 0,
        modifiedAtNs: '0',
        mode: 0o600,
        uid: 0,
        gid: 0,
      }
    );
  }

  lstat(path: string): FileFacts | undefined {
    return this.stat(path);
  }

  statOpen(descriptor: number): FileFacts {
    return this.stat(this.#pathOf(descriptor)) as FileFacts;
  }

  realPath(path: string): string {
    return path;
  }

  freeBytes(): number {
    return Number.MAX_SAFE_INTEGER;
  }

  #pathOf(descriptor: number): string {
    return this.#open.get(descriptor) ?? '';
  }

  #contentOf(descriptor: number): Uint8Array {
    return this.contents.get(this.#pathOf(descriptor)) ?? new Uint8Array(0);
  }
}
