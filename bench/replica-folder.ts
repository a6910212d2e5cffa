/** Looks into a replica directory while a tool writes to it. */
import { type Dirent, createReadStream, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { decodeFrameStream } from '../src/codec/decode-frame-stream.ts';
import { parseSegmentName, parseSnapshotName } from '../src/generations/names.ts';

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

function filesOf(root: string, kind: 'snapshots' | 'wal'): string[] {
  const generations = join(root, 'generations');
  return entriesOf(generations).flatMap(({ name }) => {
    const folder = join(generations, name, kind);
    return entriesOf(folder).map((entry) => join(folder, entry.name));
  });
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Snapshots under their final names. */
export function snapshotsIn(root: string): string[] {
  return filesOf(root, 'snapshots').filter((path) => parseSnapshotName(nameOf(path)) !== undefined);
}

/** Segments under their final names. */
export function segmentsIn(root: string): string[] {
  return filesOf(root, 'wal').filter((path) => parseSegmentName(nameOf(path)) !== undefined);
}

/** When the newest segment appeared, in milliseconds since 1970. */
export function newestSegmentMs(root: string): number {
  return Math.max(0, ...segmentsIn(root).map((path) => statSync(path).mtimeMs));
}

/** Bytes of write-ahead log that the replica holds: the ends of all its logs. */
export async function logBytesIn(root: string): Promise<number> {
  const ends = new Map<string, { path: string; offsetBytes: number }>();
  for (const path of segmentsIn(root)) {
    const { index, offsetBytes } = parseSegmentName(nameOf(path))!;
    const log = `${path.slice(0, path.lastIndexOf('/'))} ${index}`;
    if (offsetBytes >= (ends.get(log)?.offsetBytes ?? 0)) ends.set(log, { path, offsetBytes });
  }
  let bytes = 0;
  for (const { path, offsetBytes } of ends.values()) bytes += offsetBytes + (await contentBytes(path));
  return bytes;
}

/** A segment may hold more than a gigabyte: a log that grew while its tool was busy. */
async function contentBytes(path: string): Promise<number> {
  let bytes = 0;
  for await (const chunk of decodeFrameStream(createReadStream(path), { passingChunks: true }))
    bytes += chunk.length;
  return bytes;
}

/** Waits until `found` answers something, looking each `everyMs`. */
export async function until<T>(found: () => T | undefined, everyMs: number, limitMs: number): Promise<T> {
  const endMs = performance.now() + limitMs;
  for (;;) {
    const value = found();
    if (value !== undefined) return value;
    if (performance.now() > endMs) throw new Error(`nothing happened in ${limitMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
