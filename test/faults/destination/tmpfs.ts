/** A small file system of its own, to fill up and to make read-only. Needs Linux and root. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Scratch } from '../../support/scratch.ts';

const REMOUNT_ATTEMPTS = 200;

function mount(...args: string[]): void {
  execFileSync('mount', args, { stdio: 'pipe' });
}

export class Tmpfs implements Disposable {
  readonly path: string;

  constructor(path: string, sizeBytes: number) {
    this.path = path;
    mkdirSync(path, { recursive: true });
    mount('-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'rivulet-faults', path);
  }

  resize(sizeBytes: number): void {
    mount('-o', `remount,size=${sizeBytes}`, this.path);
  }

  /** Waits for a moment in which no file is open for writing. */
  async setReadOnly(readOnly: boolean): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        mount('-o', `remount,${readOnly ? 'ro' : 'rw'}`, this.path);
        return;
      } catch (error) {
        if (attempt >= REMOUNT_ATTEMPTS) throw error;
        await sleep(5);
      }
    }
  }

  [Symbol.dispose](): void {
    execFileSync('umount', ['-l', this.path], { stdio: 'pipe' });
  }
}

/** Why these tests cannot run here; false when they can. */
export function whyNoMounts(): string | false {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root, to mount a small file system';
  using scratch = new Scratch();
  try {
    using _ = new Tmpfs(scratch.file('try'), 65_536);
    return false;
  } catch (error) {
    return `cannot mount: ${error instanceof Error ? error.message.trim() : String(error)}`;
  }
}
