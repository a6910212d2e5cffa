/** What somebody is told whose database lacks something that a destination holds. Pure. */
import type { LogFields } from '../../base/log.ts';
import { formatTime } from '../../generations/restore-target.ts';
import type { GoneBack } from './gone-back.ts';

export interface GoneBackPlace {
  readonly location: string;
  /** What a command is told to find the replica. */
  readonly source: string;
  /** Milliseconds since 1970. */
  readonly keptUntilMs: number;
}

function lacked({ transactions, isLeast, sinceMs, untilMs }: GoneBack): string {
  if (transactions === undefined || sinceMs === undefined)
    return `it is not a later state of the one that was stored at ${formatTime(untilMs)}`;
  const what = transactions === 1 ? '1 transaction' : `${transactions} transactions`;
  const from = sinceMs < untilMs ? `from ${formatTime(sinceMs)} to` : 'at';
  return `it lacks ${isLeast ? 'at least ' : ''}${what}, stored ${from} ${formatTime(untilMs)}`;
}

export function describeGoneBack(
  found: GoneBack,
  { location, source, keptUntilMs }: GoneBackPlace,
): { readonly message: string; readonly fields: LogFields } {
  const has = found.isCertain ? 'has gone back' : 'may have gone back';
  const { generation, transactions } = found;
  return {
    message: `the database ${has} behind what ${location} holds: ${lacked(found)}`,
    fields: {
      former: generation,
      ...(transactions === undefined ? {} : { transactions }),
      restoreWith: `rivulet restore -generation ${generation} -o OUTPUT ${source}`,
      keptUntil: formatTime(keptUntilMs),
      hint:
        'A WAL that was removed, an older file copied over the database, or an older disk does this. Restore the former state to another ' +
        'file and compare. If the database was changed back or rebuilt on purpose, nothing needs to be done.',
    },
  };
}
