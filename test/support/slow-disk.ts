/**
 * A disk whose `fsync` takes long, for one process: a preloaded library that sleeps where the C library would sync. Programs
 * that are linked statically, such as Litestream, do not load it.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SOURCE = `#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>
static int wait_as_long_as_it_takes(void) {
  const char *text = getenv("RIVULET_TEST_FSYNC_MS");
  long ms = text ? atol(text) : 0;
  struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&time, 0);
  return 0;
}
int fsync(int fd) { (void)fd; return wait_as_long_as_it_takes(); }
int fdatasync(int fd) { (void)fd; return wait_as_long_as_it_takes(); }
`;

/** Why there can be no such disk here, and how to get it; false when there can. */
export function whyNoSlowDisk(): string | false {
  if (process.platform !== 'linux') return 'needs Linux: a preloaded library makes fsync slow';
  const found = spawnSync('gcc', ['--version'], { stdio: 'ignore' }).status === 0;
  return found ? false : 'needs a C compiler: apt-get install gcc libc6-dev';
}

export class SlowDisk {
  readonly #library: string;

  /** @param folder - for the library; it stays there */
  constructor(folder: string) {
    const source = join(folder, 'slow-disk.c');
    this.#library = join(folder, 'slow-disk.so');
    writeFileSync(source, SOURCE);
    const { status, stderr } = spawnSync('gcc', ['-shared', '-fPIC', '-O1', '-o', this.#library, source]);
    if (status !== 0) throw new Error(`gcc: ${String(stderr)}`);
  }

  /** What a process gets into its environment for it. */
  environment(fsyncMs: number): Record<string, string> {
    return { LD_PRELOAD: this.#library, RIVULET_TEST_FSYNC_MS: String(fsyncMs) };
  }
}
