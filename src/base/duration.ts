/**
 * Durations as Go writes them ("1h30m", "500ms", "-1.5s"), because that is what existing configuration files hold.
 * Values are milliseconds; a nanosecond is the finest step, as in Go.
 */

const NANOSECONDS_PER_UNIT: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['µs', 1_000n], // U+00B5, micro sign
  ['μs', 1_000n], // U+03BC, Greek letter mu
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
]);

/** Go keeps a duration in 64 bits; what it cannot hold is refused here too (about 292 years). */
const NANOSECONDS_MAX = 2n ** 63n - 1n;

const NANOSECONDS_PER_MS = 1_000_000n;

/** Any text of parts; whether a unit exists is looked up afterwards. */
const DURATION = /^[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)[a-zµμ]+)+$/;
const PART = /(\d*)(?:\.(\d*))?([a-zµμ]+)/g;

/**
 * Milliseconds of a Go duration.
 *
 * @returns the milliseconds (a fraction when there are microseconds), or undefined when `text` is not a duration. A number
 *   without a unit is not one, except 0: v0.3.13 read it as nanoseconds, which nobody meant.
 */
export function parseDuration(text: string): number | undefined {
  if (/^[+-]?0$/.test(text)) return 0;
  if (!DURATION.test(text)) return undefined;
  let nanoseconds = 0n;
  for (const [, whole = '', fraction = '', unit = ''] of text.matchAll(PART)) {
    const perUnit = NANOSECONDS_PER_UNIT.get(unit);
    if (perUnit === undefined) return undefined;
    nanoseconds += partNanoseconds(whole, fraction, perUnit);
  }
  if (nanoseconds > NANOSECONDS_MAX) return undefined;
  return toMilliseconds(text.startsWith('-') ? -nanoseconds : nanoseconds);
}

function partNanoseconds(whole: string, fraction: string, perUnit: bigint): bigint {
  const scale = 10n ** BigInt(fraction.length);
  return (BigInt(`0${whole}${fraction}`) * perUnit) / scale;
}

function toMilliseconds(nanoseconds: bigint): number {
  // One division of exact numbers where a double can hold them, so that "1.5µs" is 0.0015 and not a neighbour.
  if (nanoseconds % NANOSECONDS_PER_MS === 0n) return Number(nanoseconds / NANOSECONDS_PER_MS);
  return Number(nanoseconds) / Number(NANOSECONDS_PER_MS);
}

/**
 * The shortest usual text of a duration: "1h30m", "1.5s", "500ms", "0s". `parseDuration` reads it back to the same value
 * (to the nanosecond).
 *
 * @throws RangeError when `ms` is not finite.
 */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) throw new RangeError(`not a duration in milliseconds: ${ms}`);
  const nanoseconds = toNanoseconds(Math.abs(ms));
  if (nanoseconds === 0n) return '0s';
  const sign = ms < 0 ? '-' : '';
  return sign + (nanoseconds < 1_000_000_000n ? formatSmall(nanoseconds) : formatLarge(nanoseconds));
}

function toNanoseconds(ms: number): bigint {
  const whole = Math.trunc(ms);
  return BigInt(whole) * NANOSECONDS_PER_MS + BigInt(Math.round((ms - whole) * 1e6));
}

function formatSmall(nanoseconds: bigint): string {
  if (nanoseconds < 1_000n) return `${nanoseconds}ns`;
  return nanoseconds < NANOSECONDS_PER_MS
    ? `${decimal(nanoseconds, 1_000n)}µs`
    : `${decimal(nanoseconds, NANOSECONDS_PER_MS)}ms`;
}

function formatLarge(nanoseconds: bigint): string {
  const perHour = 3_600_000_000_000n;
  const perMinute = 60_000_000_000n;
  const hours = nanoseconds / perHour;
  const minutes = (nanoseconds % perHour) / perMinute;
  const rest = nanoseconds % perMinute;
  const parts = [
    hours === 0n ? '' : `${hours}h`,
    minutes === 0n ? '' : `${minutes}m`,
    rest === 0n ? '' : `${decimal(rest, 1_000_000_000n)}s`,
  ];
  return parts.join('');
}

/** `value / unit` with as many decimals as it needs; `unit` is a power of ten. */
function decimal(value: bigint, unit: bigint): string {
  const digits = String(unit).length - 1;
  const fraction = String(value % unit)
    .padStart(digits, '0')
    .replace(/0+$/, '');
  return fraction === '' ? String(value / unit) : `${value / unit}.${fraction}`;
}
