/** A replica as files in a directory: what lies there, and what both tools make of it. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { decodeFrame } from '../../../src/codec/decode-frame.ts';
import { Scratch } from '../../support/scratch.ts';
import { type Contents, contentsOf } from './contents.ts';
import { run, TOOLS, type Tool } from './tools.ts';

export interface ObjectFile {
  /** Relative to the replica's root. */
  readonly key: string;
  readonly generation: string;
  readonly kind: 'snapshots' | 'wal';
  readonly index: number;
  readonly modifiedMs: number;
  readonly sizeBytes: number;
}

export function urlOf(root: string): string {
  return `file://${root}`;
}

/** Snapshots and segments in order of their age. */
export function objectsOf(root: string): ObjectFile[] {
  const keys = globSync('generations/*/{snapshots,wal}/*.lz4', { cwd: root });
  const objects = keys.flatMap((key) => {
    const stats = statSync(join(root, key), { throwIfNoEntry: false });
    if (stats === undefined) return [];
    const kind = basename(dirname(key)) === 'wal' ? ('wal' as const) : ('snapshots' as const);
    const generation = basename(dirname(dirname(key)));
    const index = Number.parseInt(basename(key).slice(0, 8), 16);
    return [{ key, generation, kind, index, modifiedMs: stats.mtimeMs, sizeBytes: stats.size }];
  });
  return objects.sort((a, b) => a.modifiedMs - b.modifiedMs || (a.key < b.key ? -1 : 1));
}

/** Whether a segment holds bytes that the name of the next one claims, too. */
export function storesFramesTwice(root: string): boolean {
  const segments = objectsOf(root)
    .filter(({ kind }) => kind === 'wal')
    .map(({ key, generation, index }) => {
      const offsetBytes = Number.parseInt(basename(key).slice(9), 16);
      const { content } = decodeFrame(readFileSync(join(root, key)), { maxBytes: 2 ** 30 });
      return { log: `${generation} ${index}`, offsetBytes, endBytes: offsetBytes + content.length };
    })
    .sort((a, b) => (a.log < b.log ? -1 : a.log > b.log ? 1 : a.offsetBytes - b.offsetBytes));
  return segments.some((segment, at) => {
    const next = segments[at + 1];
    return next?.log === segment.log && next.offsetBytes < segment.endBytes;
  });
}

/** Cheaper than `objectsOf`, for waiting. */
export function countObjects(root: string): number {
  return globSync('generations/*/{snapshots,wal}/*.lz4', { cwd: root }).length;
}

export function generationsOf(root: string): string[] {
  const folder = join(root, 'generations');
  return existsSync(folder) ? readdirSync(folder) : [];
}

export interface Restored {
  readonly contents: Contents;
  readonly log: string;
}

/**
 * Restores with one tool and asserts that it succeeded, that the result passes SQLite's full check, and that, of
 * Rivulet, nothing but the database is left.
 */
export async function restoreWith(
  tool: Tool,
  root: string,
  target: readonly string[] = [],
): Promise<Restored> {
  using scratch = new Scratch();
  const output = scratch.file('out.db');
  const { code, out, err } = await run(tool, ['restore', '-o', output, ...target, urlOf(root)]);
  assert.equal(code, 0, `${tool} restore ${target.join(' ')}: ${out}${err}`);
  for (const suffix of ['-wal', '-shm']) assert.equal(existsSync(output + suffix), false);
  if (tool === 'rivulet') assert.deepEqual(scratch.names(), ['out.db']);
  return { contents: contentsOf(output), log: out + err };
}

/** Restores with both tools, asserts that every byte is the same, and answers what it is. */
export async function restoreAlike(root: string, target: readonly string[] = []): Promise<Contents> {
  const [rivulet, litestream] = await Promise.all(TOOLS.map((tool) => restoreWith(tool, root, target)));
  assert.deepEqual(rivulet?.contents, litestream?.contents, `${target.join(' ')} of ${root}`);
  assert.ok(rivulet !== undefined);
  return rivulet.contents;
}

/** Removes what either tool remembers of a database, so that its next start begins a new generation. */
export function forgetLocalState(databasePath: string): void {
  const name = basename(databasePath);
  for (const tool of TOOLS)
    rmSync(join(dirname(databasePath), `.${name}-${tool}`), { recursive: true, force: true });
}
