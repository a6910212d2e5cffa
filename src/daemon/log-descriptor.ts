/** How the log is written to a descriptor without ever waiting for its reader for long. */
import { fstatSync, readFileSync, writeSync } from 'node:fs';
import { BlockingWriter } from './blocking-writer.ts';
import type { WriteSync } from './sync-output.ts';

/** Linux, in `/proc/self/fdinfo`. */
const O_NONBLOCK = 0o4000;

const writers = new Map<number, WriteSync>();

/** The same one for all who write to the descriptor: what is on its way in a thread must come before anything else. */
export function writerFor(descriptor: number): WriteSync {
  const write = writers.get(descriptor) ?? makeWriter(descriptor);
  writers.set(descriptor, write);
  return write;
}

/**
 * A file is written to at once: there is no reader to wait for. So is a pipe or socket that does not block. Any other one may block at
 * any time: whoever starts a process that inherits it makes it so for all.
 */
function makeWriter(descriptor: number): WriteSync {
  if (isFile(descriptor)) return writeSync;
  let blocking: BlockingWriter | undefined;
  return (_descriptor, bytes) => {
    if (blocking === undefined && doesNotBlock(descriptor)) return writeSync(descriptor, bytes);
    blocking ??= new BlockingWriter(descriptor);
    return blocking.write(bytes);
  };
}

function isFile(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isFile();
  } catch {
    // Closed: writing says so.
    return true;
  }
}

function doesNotBlock(descriptor: number): boolean {
  if (process.platform !== 'linux') return false;
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1];
    return (Number.parseInt(flags ?? '0', 8) & O_NONBLOCK) !== 0;
  } catch {
    return false;
  }
}
