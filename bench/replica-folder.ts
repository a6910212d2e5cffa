/** Looks into a replica directory while a tool writes to it. */
import { type Dirent, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { decodeFrame } from '../src/codec/decode-frame.ts';
import { parseSegmentName, parseSnapshotName } from '../src/generations/names.ts';

const SEGMENT_BYTES_MAX = 1024 * 1024 * 1024;

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
export function logBytesIn(root: string): number {
  const ends = new Map<string, { path: string; offsetBytes: number }>();
  for (const path of segmentsIn(root)) {
    const { index, offsetBytes } = parseSegmentName(nameOf(path))!;
    const log = `${path.slice(0, path.lastIndexOf('/'))} ${index}`;
    if (offsetBytes >= (ends.get(log)?.offsetBytes ?? 0)) ends.set(log, { path, offsetBytes });
  }
  let bytes = 0;
  for (const { path, offsetBytes } of ends.values()) {
    const { content } = decodeFrame(readFileSync(path), { maxBytes: SEGMENT_BYTES_MAX });
    bytes += offsetBytes + content.length;
  }
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
