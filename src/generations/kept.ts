/**
 * A *keep mark*, `generations/<G>/ends/kept-<time>`: a tiny object that says until when retention leaves a generation alone that another one has
 * superseded. It is stored where the live database lacks something that the generation holds. The time is in the name, so a listing tells.
 * It shares the folder of the end promises, which Litestream passes over.
 */
import { endsPrefix } from './ends.ts';
import type { Generation } from './names.ts';

const KEPT = /^kept-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

function formatKeptName(untilMs: number): string {
  const time = new Date(untilMs).toISOString().replace(/\.\d+/, '');
  return `kept-${time.replaceAll(/[-:]/g, '')}`;
}

export function keptKey(generation: Generation, untilMs: number): string {
  return endsPrefix(generation) + formatKeptName(untilMs);
}

/** Until when, in milliseconds since 1970; undefined when the file name is not a mark's. */
export function parseKeptName(name: string): number | undefined {
  const [, year, month, day, hour, minute, second] = KEPT.exec(name) ?? [];
  if (second === undefined) return undefined;
  const untilMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(untilMs) || formatKeptName(untilMs) !== name ? undefined : untilMs;
}

/** The content, for whoever comes upon it. */
export function encodeKept(): Uint8Array {
  return Buffer.from(
    'The database lacked something that this generation holds, so it is kept until the time in the name of this file.\n' +
      'Remove this file when nobody needs it any more: see docs/retention.md of Rivulet.\n',
    'utf8',
  );
}
