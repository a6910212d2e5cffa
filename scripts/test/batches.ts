/** Which test files run together, in what order, and how long they may take. Pure but for the listing of files. */
import { globSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url));
export const SUITES = ['unit', 'compat', 'package', 'servers', 'faults'] as const;
export type Suite = (typeof SUITES)[number];

/** Files that share one process. */
export interface Batch {
  readonly title: string;
  readonly files: readonly string[];
}

export interface Limits {
  /** A test that says nothing of its own has failed after that. */
  readonly testMs: number;
  /** Nothing began or ended for so long: a loop, or something that was left open and keeps the process alive. */
  readonly silenceMs: number;
  readonly batchMs: number;
}

/** For a machine ten times slower than it should be; the longest test takes some seconds. */
const UNIT_LIMITS: Limits = { testMs: 150_000, silenceMs: 180_000, batchMs: 900_000 };
/** Some tests there say themselves that they take longer, none more than the silence. */
const LONG_LIMITS: Limits = { testMs: 400_000, silenceMs: 480_000, batchMs: 1_800_000 };

/** Rooms whose files must not share a process: they start commands, hold databases open, measure memory. */
const ISOLATED = ['primary', 'replica', 'verify', 'daemon', 'cli'];
/** What takes longest begins first, so that it does not come last alone. */
const FIRST = [
  'test/storage',
  'test/cli/bad-input.test.ts',
  'test/restore',
  'test/cli/status.test.ts',
  'test/replica/recipients-only.test.ts',
  'test/compat/beside/hostile.test.ts',
  'test/compat/beside/unseen.test.ts',
  'test/compat/pocketbase.test.ts',
  'test/compat/big.test.ts',
  'test/compat/large.test.ts',
  'test/servers/verify.test.ts',
  'test/servers/sftp.test.ts',
  'test/servers/abs.test.ts',
  'test/servers/interop-s3.test.ts',
  'test/servers/two-writers.test.ts',
  'test/servers/rotation.test.ts',
  'test/servers/faults-s3.test.ts',
  'test/servers/faults-servers.test.ts',
];

export function limitsOf(suite: Suite): Limits {
  return suite === 'unit' ? UNIT_LIMITS : LONG_LIMITS;
}

function suiteOf(file: string): Suite {
  const folder = file.split('/')[1] ?? '';
  return SUITES.find((suite) => suite === folder) ?? 'unit';
}

function titleOf(file: string): string {
  const folder = file.split('/')[1] ?? '';
  return suiteOf(file) === 'unit' && !ISOLATED.includes(folder) ? dirname(file) : file;
}

function rank({ title }: Batch): number {
  const place = FIRST.indexOf(title);
  return place < 0 ? FIRST.length : place;
}

/** The batches of a suite, those that take longest first. */
export function batchesOf(suite: Suite): Batch[] {
  const files = globSync('test/**/*.test.ts', { cwd: ROOT })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => suiteOf(file) === suite)
    .sort();
  return Object.entries(Object.groupBy(files, titleOf))
    .map(([title, together = []]) => ({ title, files: together }))
    .sort((one, other) => rank(one) - rank(other));
}

/** A pattern narrows to the files whose path holds it, or else to the tests whose name matches it. */
export function narrow(
  batches: readonly Batch[],
  pattern: string | undefined,
): { batches: readonly Batch[]; flags: string[] } {
  if (pattern === undefined) return { batches, flags: [] };
  const narrowed = batches
    .map(({ title, files }) => ({ title, files: files.filter((file) => file.includes(pattern)) }))
    .filter(({ files }) => files.length > 0);
  if (narrowed.length > 0) return { batches: narrowed, flags: [] };
  return { batches, flags: [`--test-name-pattern=${pattern}`] };
}
