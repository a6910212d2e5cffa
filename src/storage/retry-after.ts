/**
 * How long an HTTP `Retry-After` asks to wait, in milliseconds: whole seconds, or a date by the server's clock
 * (RFC 9110, 10.2.3). Undefined when there is none, or nobody can read it.
 *
 * @param nowMs - wall-clock time
 */
export function parseRetryAfter(value: string | null | undefined, nowMs: number): number | undefined {
  if (value === null || value === undefined) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value) * 1000;
  const untilMs = Date.parse(value);
  return Number.isNaN(untilMs) ? undefined : Math.max(0, untilMs - nowMs);
}
