/**
 * Ends a process at a chosen system call, as a kill at that moment would: a preloaded library that counts calls of one kind. So an
 * application can be killed half way through a commit, a checkpoint, or the taking of locks.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const CALLS = ['pwrite', 'ftruncate', 'fdatasync', 'fcntl'] as const;
export type Call = (typeof CALLS)[number];

/** Counting begins when the file that RIVULET_TEST_KILL_FROM names exists: starting takes many calls of its own. */
const SOURCE = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void count(const char *call) {
  static long left = -1;
  static int counts = 0;
  const char *wanted = getenv("RIVULET_TEST_KILL_CALL");
  if (!wanted || strcmp(wanted, call)) return;
  if (!counts && access(getenv("RIVULET_TEST_KILL_FROM"), F_OK)) return;
  if (!counts) { counts = 1; left = atol(getenv("RIVULET_TEST_KILL_AT")); }
  if (--left <= 0) kill(getpid(), SIGKILL);
}
#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) { REAL(pwrite64); count("pwrite"); return real(fd, bytes, size, at); }
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) { REAL(pwrite); count("pwrite"); return real(fd, bytes, size, at); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); count("ftruncate"); return real(fd, size); }
int ftruncate(int fd, off_t size) { REAL(ftruncate); count("ftruncate"); return real(fd, size); }
int fdatasync(int fd) { REAL(fdatasync); count("fdatasync"); return real(fd); }
int fsync(int fd) { REAL(fsync); count("fdatasync"); return real(fd); }
int fcntl64(int fd, int command, ...) {
  REAL(fcntl64); va_list rest; va_start(rest, command); void *argument = va_arg(rest, void *); va_end(rest);
  if (command == F_SETLK) count("fcntl");
  return real(fd, command, argument);
}
`;

/** Why processes cannot be ended that way here, and how to get there; false when they can. */
export function whyNoKillingCalls(): string | false {
  if (process.platform !== 'linux') return 'needs Linux: a preloaded library counts system calls';
  const found = spawnSync('gcc', ['--version'], { stdio: 'ignore' }).status === 0;
  return found ? false : 'needs a C compiler: apt-get install gcc libc6-dev';
}

export class KillingCalls {
  readonly #library: string;

  /** @param folder - for the library; it stays there */
  constructor(folder: string) {
    const source = join(folder, 'killing-calls.c');
    this.#library = join(folder, 'killing-calls.so');
    writeFileSync(source, SOURCE);
    const words = ['-shared', '-fPIC', '-O1', '-o', this.#library, source, '-ldl'];
    const { status, stderr } = spawnSync('gcc', words);
    if (status !== 0) throw new Error(`gcc: ${String(stderr)}`);
  }

  /**
   * What a process gets into its environment to be killed instead of making a call.
   *
   * @param nth - the first call is 1
   * @param fromFile - calls before this file exists do not count
   */
  environment(call: Call, nth: number, fromFile: string): Record<string, string> {
    return {
      LD_PRELOAD: this.#library,
      RIVULET_TEST_KILL_CALL: call,
      RIVULET_TEST_KILL_AT: String(nth),
      RIVULET_TEST_KILL_FROM: fromFile,
    };
  }
}
