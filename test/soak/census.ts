/**
 * Reads Rivulet's log and says of each snapshot and each generation why it was made, and of each error whether it was
 * planned. Pure: lines in, counts and complaints out.
 */
import type { LogLine } from '../faults/rivulet.ts';

/** Put into the log by the soak where a process starts. */
export const LIFE_BEGINS = 'soak: rivulet starts';

const SPOOL_IS_FULL = 'the spool is full';
/** After one of these a destination gets a fresh snapshot; each says what happened. */
const BROKEN: readonly string[] = [
  'the chain to this destination is broken; it gets a fresh snapshot',
  'the destination has a gap after its newest snapshot',
  "what follows the destination's last segment is not at hand",
  "the destination's last segment is damaged",
  "the destination's last segment cannot be read here, nor is it known where it ends",
  `${SPOOL_IS_FULL}; the destination will need a fresh snapshot when it is back`,
];
/** A line is written when a snapshot has been stored, which may be a little after its time; the next one follows that time. */
const EARLY = 0.6;

export interface CensusOptions {
  readonly snapshotIntervalMs: number;
  /** Whether the soak itself has made this error happen. */
  readonly isPlanned: (line: LogLine, atMs: number) => boolean;
}

export interface Census {
  readonly snapshots: ReadonlyMap<string, number>;
  readonly generations: ReadonlyMap<string, number>;
  readonly warnings: ReadonlyMap<string, number>;
  readonly errors: ReadonlyMap<string, number>;
  readonly validations: ReadonlyMap<string, number>;
  /** What should not have been. */
  readonly complaints: readonly string[];
}

interface Known {
  readonly generation: string;
  readonly atMs: number;
}

class Counter extends Map<string, number> {
  add(name: string): void {
    this.set(name, (this.get(name) ?? 0) + 1);
  }
}

export function takeCensus(lines: readonly LogLine[], options: CensusOptions): Census {
  const [snapshots, generations, warnings, errors, validations] = Array.from(
    { length: 5 },
    () => new Counter(),
  );
  const complaints: string[] = [];
  const newest = new Map<string, Known>();
  const brokenBy = new Map<string, string>();
  let begunInLife = new Set<string>();
  /** A destination of these was cut off: the log behind it is gone, and what it holds may lie across the present one. */
  const cutOff = new Set<string>();
  for (const line of lines) {
    const atMs = Date.parse(String(line['time']));
    const db = String(line['db']);
    const replica = `${db} ${String(line['replica'])}`;
    if (line.msg === LIFE_BEGINS) begunInLife = new Set();
    if (line.msg === 'continuing the generation') {
      generations?.add('(continued)');
      begunInLife.add(db);
    }
    if (line.msg === 'starting a new generation') {
      generations?.add(String(line['reason']));
      if (begunInLife.has(db) && !cutOff.has(db))
        complaints.push(`a new generation in the middle of a life: ${JSON.stringify(line)}`);
      begunInLife.add(db);
    }
    if (line.msg.startsWith(SPOOL_IS_FULL)) cutOff.add(db);
    if (BROKEN.includes(line.msg)) brokenBy.set(replica, line.msg);
    if (line.msg === 'snapshot written') {
      const generation = String(line['generation']);
      const why = reasonOf(newest.get(replica), { generation, atMs }, brokenBy.get(replica), options);
      if (why === undefined) complaints.push(`an unneeded snapshot: ${JSON.stringify(line)}`);
      snapshots?.add(why ?? 'UNNEEDED');
      newest.set(replica, { generation, atMs });
      brokenBy.delete(replica);
    }
    if (line.msg.startsWith('validation ') && line.level !== 'warn') validations?.add(line.msg);
    if (line.level === 'warn') warnings?.add(line.msg);
    if (line.level !== 'error' && line.level !== 'text' && line.level !== 'fatal') continue;
    const isPlanned = options.isPlanned(line, atMs);
    errors?.add(`${line.msg}${isPlanned ? ' (planned)' : ''}`);
    if (!isPlanned) complaints.push(`an error that nobody planned: ${JSON.stringify(line)}`);
  }
  const none = new Counter();
  return {
    snapshots: snapshots ?? none,
    generations: generations ?? none,
    warnings: warnings ?? none,
    errors: errors ?? none,
    validations: validations ?? none,
    complaints,
  };
}

function reasonOf(
  before: Known | undefined,
  now: Known,
  broken: string | undefined,
  { snapshotIntervalMs }: CensusOptions,
): string | undefined {
  if (before === undefined || before.generation !== now.generation) return 'first of a generation';
  if (broken !== undefined) return `after: ${broken}`;
  if (now.atMs - before.atMs >= snapshotIntervalMs * EARLY) return 'scheduled';
  return undefined;
}
