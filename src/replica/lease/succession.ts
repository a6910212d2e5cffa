/** What the record says when the lease changes hands, and whether its new holder goes on with what it wrote. Pure. */
import type { LeaseRecord, Superseded } from '../../generations/lease-record.ts';
import type { Generation } from '../../generations/names.ts';
import { settleTimes } from '../../generations/superseded.ts';
import { continuesHistory, type Identity } from './decide.ts';

/** The record that is replaced. */
export interface Former {
  readonly record: LeaseRecord;
  /** When it was stored, by the store's clock. */
  readonly storedAtMs: number;
}

/** What a process says of itself when it takes the lease. */
export interface Claim {
  readonly me: Identity;
  /** Whether it waited for others before. */
  readonly hasWaited: boolean;
  /** What it would like to write. */
  readonly generation: Generation;
  /** What it named to the lease last, as its own note remembers. */
  readonly lastNamed: Generation | undefined;
}

/** The fields that a new holder decides about: whose history it is, and what ends with the former holder. */
export function succeed(
  former: Former | undefined,
  claim: Claim,
): Pick<LeaseRecord, 'epoch' | 'generations' | 'superseded'> {
  const { generation, me, hasWaited } = claim;
  if (former === undefined) return { epoch: 1, generations: [generation], superseded: [] };
  const { record } = former;
  const generations = goesOn(record, claim) ? [generation] : [];
  // What is not gone on with is named as ended, whoever knew of it: a restart must come to the same answer.
  const written = [...record.generations, generation];
  return {
    epoch: record.epoch + (continuesHistory(record, me, hasWaited) ? 0 : 1),
    generations,
    superseded: supersede(former, generations, written),
  };
}

/** What was superseded once stays so, also by a swap of our own whose answer was lost. */
function goesOn(former: LeaseRecord, { me, hasWaited, generation, lastNamed }: Claim): boolean {
  if (former.superseded.some((one) => one.generation === generation)) return false;
  return continuesHistory(former, me, hasWaited) || !isKnown(former, generation, lastNamed);
}

/** Whether `generation` may hold objects that its present owner, or anybody before, took for superseded. */
function isKnown(former: LeaseRecord, generation: Generation, lastNamed: Generation | undefined): boolean {
  const named = [...former.generations, ...former.superseded.map((one) => one.generation)];
  return named.includes(generation) || lastNamed === generation;
}

/**
 * What has ended, when `generations` are written from now on: what had before, and what else was `written`.
 *
 * @param written - what the former record names, unless more is known
 */
export function supersede(
  { record, storedAtMs }: Former,
  generations: readonly Generation[],
  written: readonly Generation[] = record.generations,
): readonly Superseded[] {
  const before = settleTimes(record, storedAtMs);
  const known = new Set([...generations, ...before.map(({ generation }) => generation)]);
  const ended = [...new Set(written)].filter((generation) => !known.has(generation));
  return [
    ...before.filter(({ generation }) => !generations.includes(generation)),
    ...ended.map((generation) => ({ generation, atMs: undefined })),
  ];
}
