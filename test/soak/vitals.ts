/** What the running process takes: memory, descriptors, threads, logs, spools. Linux tells. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Point } from './trend.ts';

export const QUANTITIES = ['rss', 'heap', 'external', 'descriptors', 'threads'] as const;
export type Quantity = (typeof QUANTITIES)[number];

export interface Life {
  readonly startedMs: number;
  endedMs: number;
  readonly points: Record<Quantity, Point[]>;
  /** The last known counters of its requests, by type and operation. */
  readonly requests: Map<string, number>;
  /** The last known counters of its proofs, by their labels. */
  readonly proofs: Map<string, { readonly kind: string; readonly count: number }>;
}

export function newLife(startedMs: number): Life {
  const points = { rss: [], heap: [], external: [], descriptors: [], threads: [] };
  return { startedMs, endedMs: startedMs, points, requests: new Map(), proofs: new Map() };
}

/** Adds what the system tells of a process; nothing when it has gone meanwhile. */
export function sampleProcess(life: Life, pid: number, atMs: number): void {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const number = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
    const descriptors = readdirSync(`/proc/${pid}/fd`).length;
    const rssKiB = number('VmRSS');
    // A process that is just ending has no memory any more; one that has just begun is still the shell.
    if (Number.isNaN(rssKiB) || descriptors === 0 || /^Name:\s+(sh|dash|bash)$/m.test(status)) return;
    life.points.rss.push({ atMs, value: rssKiB * 1024 });
    life.points.threads.push({ atMs, value: number('Threads') });
    life.points.descriptors.push({ atMs, value: descriptors });
    life.endedMs = atMs;
  } catch {
    // It has ended.
  }
}

/** Adds what the process tells of itself. */
export function sampleMetrics(life: Life, text: string, atMs: number): void {
  const number = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
  life.points.heap.push({ atMs, value: number('nodejs_heap_size_used_bytes') });
  life.points.external.push({ atMs, value: number('nodejs_external_memory_bytes') });
  const requests = /^litestream_replica_operation_total\{replica_type="(\w+)",operation="(\w+)"\} (\S+)$/gm;
  for (const [, type, operation, count] of text.matchAll(requests))
    life.requests.set(`${type} ${operation}`, Number(count));
  for (const [, labels, count] of text.matchAll(/^rivulet_replica_proof_total\{(.*)\} (\S+)$/gm)) {
    const label = (name: string): string => new RegExp(`${name}="(\\w+)"`).exec(labels ?? '')?.[1] ?? '';
    life.proofs.set(labels ?? '', { kind: `${label('depth')} ${label('outcome')}`, count: Number(count) });
  }
}

export function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Of all files in a folder; those that vanish meanwhile do not count. */
export function folderBytes(path: string): number {
  try {
    return readdirSync(path).reduce((sum, name) => sum + fileBytes(join(path, name)), 0);
  } catch {
    return 0;
  }
}
