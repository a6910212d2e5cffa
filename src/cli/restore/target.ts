import { RivuletError } from '../../base/errors.ts';
import { isGeneration, parseIndex } from '../../generations/names.ts';
import type { RestoreTarget } from '../../generations/restore-target.ts';
import type { FlagValues } from '../flags.ts';

/** What -generation, -index and -timestamp ask for. Throws `USAGE`. */
export function targetOf(flags: FlagValues): RestoreTarget {
  const [generation, index, timestamp] = [
    flags.text('generation'),
    flags.text('index'),
    flags.text('timestamp'),
  ];
  if (index !== undefined && timestamp !== undefined) {
    throw new RivuletError('USAGE', '-index and -timestamp cannot both be given');
  }
  if (generation !== undefined && !isGeneration(generation)) {
    throw new RivuletError(
      'USAGE',
      `-generation is "${generation}"; expected 16 lower-case hexadecimal digits`,
    );
  }
  return {
    generation,
    index: index === undefined ? undefined : parseIndex(index),
    timestampMs: timestamp === undefined ? undefined : parseTimestamp(timestamp),
  };
}

const RFC_3339 = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d(?:\.\d+)?)([Zz]|[+-]\d\d:\d\d)$/;

/** Milliseconds since 1970; finer digits are cut off. Throws `USAGE`. */
export function parseTimestamp(text: string): number {
  const [, date = '', time = '', zone = ''] = RFC_3339.exec(text) ?? [];
  const parsedMs = Date.parse(`${date}T${time}${zone.toUpperCase()}`);
  // 31 February becomes a day in March: the day must come back as it was written.
  const day = new Date(`${date}T00:00:00Z`);
  const dayExists = !Number.isNaN(day.getTime()) && day.toISOString().startsWith(date);
  if (date !== '' && dayExists && !Number.isNaN(parsedMs)) return parsedMs;
  throw new RivuletError('USAGE', `-timestamp is "${text}"; expected RFC 3339 such as 2026-01-31T12:00:00Z`, {
    hint: 'a time of day needs its zone: Z for UTC, or +02:00',
  });
}
