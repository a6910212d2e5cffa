/** Whether what a destination holds in the end is what its writers were told. */
import { existsSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { messageOf } from '../../../src/base/errors.ts';
import { type Inventory, readInventory } from '../../../src/generations/inventory.ts';
import { readEndings } from '../../../src/generations/superseded.ts';
import { restore } from '../../../src/restore/restore.ts';
import type { RestoreTarget } from '../../../src/generations/restore-target.ts';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import type { WriterName } from './schedule.ts';

/** "Everything up to row `n` is stored". */
export interface StoredPromise {
  readonly writer: WriterName;
  readonly n: number;
  readonly generation: string;
  readonly epoch: number;
}

/** Rows of one writer, from the first on; undefined for rows that cannot have been written so. */
interface Content {
  readonly writer: string | undefined;
  readonly rows: number;
}

export interface VerdictParts {
  readonly store: ObjectStore;
  /** In the order in which they were told. */
  readonly promises: readonly StoredPromise[];
  /** For restored databases. */
  readonly outputPath: string;
  /** The grain of the times that the store tells. */
  readonly grainMs: number;
}

/** @returns what is wrong, one sentence each */
export async function judgeDestination(parts: VerdictParts): Promise<string[]> {
  const { store, promises, grainMs } = parts;
  const problems: string[] = [];
  const inventory = await readInventory(store);
  const endings = await readEndings(store);
  for (const { generation, snapshots, segments } of inventory.generations) {
    if (snapshots.length === 0) {
      if (segments.length > 0) problems.push(`${generation} has segments and no snapshot`);
      continue;
    }
    const whole = await contentOf(parts, { generation }, problems);
    if (whole === undefined) continue;
    const told = promises.filter((promise) => promise.generation === generation);
    const most = Math.max(0, ...told.map(({ n }) => n));
    const others = told.filter(({ writer }) => whole.writer !== undefined && writer !== whole.writer);
    if (others.length > 0)
      problems.push(`${generation} holds rows of ${whole.writer}, and ${others[0]?.writer} was told`);
    if (whole.rows < most)
      problems.push(`${generation} holds ${whole.rows} rows, and ${most} were told to be stored`);
    const endMs = endings.get(generation);
    if (endMs === undefined || most === 0) continue;
    const inTime = await contentOf(parts, { generation, timestampMs: endMs + grainMs }, problems);
    if (inTime !== undefined && inTime.rows < most) {
      problems.push(
        `${generation} held ${inTime.rows} rows when it was superseded, and ${most} were told to be stored`,
      );
    }
  }
  for (const { generation, writer, n } of promises) {
    if (!inventory.generations.some((one) => one.generation === generation)) {
      problems.push(`${generation} is gone, and ${writer} was told that ${n} rows are stored in it`);
    }
  }
  await judgeLatest(parts, inventory, problems);
  return problems;
}

/** What `restore` gives is the data of whoever held the lease last. */
async function judgeLatest(parts: VerdictParts, inventory: Inventory, problems: string[]): Promise<void> {
  const epoch = Math.max(0, ...parts.promises.map((promise) => promise.epoch));
  const last = parts.promises.findLast((promise) => promise.epoch === epoch);
  if (last === undefined || inventory.generations.length === 0) return;
  const later = await contentOf(parts, {}, problems);
  if (later === undefined) return;
  if (later.writer === last.writer && later.rows >= last.n) return;
  // A holder that came after it, and was never told of anything, may have left a snapshot.
  if (later.writer !== last.writer && (await wroteAfter(parts, last))) return;
  problems.push(
    `restore gives ${later.rows} rows of ${later.writer}; ${last.writer} was told last, under epoch ${epoch}, that ${last.n} are stored in ${last.generation}`,
  );
}

/** Whether the generation of the last promise has been superseded since. */
async function wroteAfter({ store }: VerdictParts, last: StoredPromise): Promise<boolean> {
  return (await readEndings(store)).has(last.generation);
}

async function contentOf(
  { store, outputPath }: VerdictParts,
  target: RestoreTarget,
  problems: string[],
): Promise<Content | undefined> {
  try {
    await restore({ store, target, outputPath, integrityCheck: 'full' });
    return readContent(outputPath, problems);
  } catch (error) {
    problems.push(`${JSON.stringify(target)} does not restore: ${messageOf(error)}`);
    return undefined;
  } finally {
    for (const suffix of ['', '-wal', '-shm']) rmSync(outputPath + suffix, { force: true });
  }
}

function readContent(path: string, problems: string[]): Content | undefined {
  if (!existsSync(path)) return undefined;
  const database = new DatabaseSync(path);
  try {
    const exists = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 't'").get();
    if (exists === undefined) return { writer: undefined, rows: 0 };
    const found = database
      .prepare('SELECT writer, count(*) AS n, min(n) AS least, max(n) AS most FROM t GROUP BY writer')
      .all();
    const [first, ...more] = found;
    if (first === undefined) return { writer: undefined, rows: 0 };
    if (more.length > 0) problems.push('rows of both writers are mixed');
    if (Number(first['least']) !== 1 || first['n'] !== first['most'])
      problems.push('rows are missing in the middle');
    return { writer: String(first['writer']), rows: Number(first['most']) };
  } finally {
    database.close();
  }
}
