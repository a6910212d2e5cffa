/** Sizes in bytes as people write them: "1GiB" (powers of 1024), "64MB" (powers of 1000), "4096". */

const BYTES_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['B', 1],
  ['KB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
  ['TB', 1e12],
  ['KIB', 2 ** 10],
  ['MIB', 2 ** 20],
  ['GIB', 2 ** 30],
  ['TIB', 2 ** 40],
]);

/** Largest first, and binary before decimal where both divide. */
const UNITS_FOR_TEXT: readonly (readonly [string, number])[] = [
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['TB', 1e12],
  ['GB', 1e9],
  ['MB', 1e6],
  ['KiB', 2 ** 10],
  ['KB', 1e3],
];

/**
 * Bytes of a size text; units in any case, a space before the unit allowed.
 *
 * @returns the bytes, or undefined when `text` is not a size, is negative, or is not a whole number of bytes. "64M" is not
 *   one: it does not say which of the two meanings of mega is meant.
 */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text);
  const perUnit = match === null ? undefined : BYTES_PER_UNIT.get((match[2] ?? '').toUpperCase());
  if (perUnit === undefined) return undefined;
  const bytes = Number(match?.[1]) * perUnit;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest exact text of `bytes`, which `parseSize` reads back to the same number. */
export function formatSize(bytes: number): string {
  const unit = UNITS_FOR_TEXT.find(([, perUnit]) => bytes > 0 && bytes % perUnit === 0);
  return unit === undefined ? String(bytes) : `${bytes / unit[1]}${unit[0]}`;
}
