/**
 * The system calls that the file backend makes, each one trip to the thread pool: a directory that is slow or hangs
 * (a network mount) must never stop the event loop. Callbacks under promises, because they cost half of what
 * `fs/promises` does for small files.
 */
import * as fs from 'node:fs';
import { promisify } from 'node:util';

export const open: (path: string, flags: number, mode?: number) => Promise<number> = promisify(fs.open);
export const close: (fd: number) => Promise<void> = promisify(fs.close);
/** For directories, on whose closing no system waits for a device. */
export const closeNow: (fd: number) => void = fs.closeSync;
export const fsync: (fd: number) => Promise<void> = promisify(fs.fsync);
export const fstat: (fd: number) => Promise<fs.Stats> = promisify(fs.fstat);
export const stat: (path: string) => Promise<fs.Stats> = promisify(fs.stat);
export const lstat: (path: string) => Promise<fs.Stats> = promisify(fs.lstat);
export const fchmod: (fd: number, mode: number) => Promise<void> = promisify(fs.fchmod);
export const fchown: (fd: number, uid: number, gid: number) => Promise<void> = promisify(fs.fchown);
export const readlink: (path: string) => Promise<string> = promisify(fs.readlink);
export const rename: (from: string, to: string) => Promise<void> = promisify(fs.rename);
export const link: (from: string, to: string) => Promise<void> = promisify(fs.link);
export const unlink: (path: string) => Promise<void> = promisify(fs.unlink);
export const rmdir: (path: string) => Promise<void> = promisify(fs.rmdir);
export const mkdir: (path: string, mode: number) => Promise<void> = promisify(fs.mkdir);

/** A directory whose entries are read so many at a time. */
export async function opendir(path: string, bufferSize: number): Promise<fs.Dir> {
  return new Promise((resolve, reject) => {
    fs.opendir(path, { bufferSize }, (error, directory) => {
      if (error === null) resolve(directory);
      else reject(error);
    });
  });
}

export async function isEmpty(path: string): Promise<boolean> {
  const directory = await opendir(path, 1);
  try {
    return (await directory.read()) === null;
  } finally {
    await directory.close();
  }
}

/** Reads up to `length` bytes; fewer than asked for may come before the end, none at it. */
export async function read(
  fd: number,
  into: Uint8Array,
  at: number,
  length: number,
  position: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, into, at, length, position, (error, bytesRead) => {
      if (error === null) resolve(bytesRead);
      else reject(error);
    });
  });
}

/** Writes all of `bytes` at the descriptor's place. */
export async function writeAll(fd: number, bytes: Uint8Array): Promise<void> {
  let at = 0;
  while (at < bytes.length) at += await writeSome(fd, bytes, at);
}

async function writeSome(fd: number, bytes: Uint8Array, at: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(fd, bytes, at, bytes.length - at, null, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
  });
}

/** Runs `cleanup` steps whose own failure changes nothing. */
export async function ignoringErrors(cleanup: Promise<void>): Promise<void> {
  try {
    await cleanup;
  } catch {
    // The error that led here matters, not this one.
  }
}
