import { isVisible, visibleText } from '../base/visible-text.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** One message on its way to a line. */
export interface LogRecord {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly time: Date;
}

/** Terminal colours of the level. */
const COLORS: Readonly<Record<LogLevel, number>> = { debug: 90, info: 32, warn: 33, error: 31 };

/**
 * One readable line: `TIME LEVEL message key=value`. On a terminal the time is `HH:MM:SS` and the level has a colour;
 * elsewhere, where lines are kept, the time has its date and its distance from UTC.
 */
export function formatTextLine(record: LogRecord, isTerminal: boolean): string {
  const level = record.level.toUpperCase().padEnd(5);
  const shownLevel = isTerminal ? `\u001B[${COLORS[record.level]}m${level}\u001B[0m` : level;
  const time = isTerminal ? localTime(record.time) : localDateTime(record.time);
  const fields = Object.entries(record.fields).map(([key, value]) => fieldOf(key, value, record.message));
  return `${time} ${shownLevel} ${visibleText(record.message)}${fields.join('')}\n`;
}

/** An error whose message the line says already adds no more than its code. */
function fieldOf(key: string, value: unknown, message: string): string {
  if (!isErrorShape(value) || !isSaid(value.message, message))
    return ` ${visibleText(key)}=${fieldText(value)}`;
  return value.code === undefined ? '' : ` ${visibleText(key)}=${fieldText(value.code)}`;
}

/** As the whole line, or as its end behind what it is about. */
function isSaid(error: string, message: string): boolean {
  return message === error || (error !== '' && message.endsWith(`: ${error}`));
}

function fieldText(value: unknown): string {
  const shown = isErrorShape(value) ? errorText(value) : value;
  if (typeof shown === 'string' && /^[^\s"=]+$/.test(shown) && isVisible(shown)) return visibleText(shown);
  return visibleText(JSON.stringify(shown));
}

/** What `plainValue` made of an error. */
function isErrorShape(value: unknown): value is { message: string; code?: string } {
  return (
    typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string'
  );
}

function errorText(error: { message: string; code?: string }): string {
  return error.code === undefined || error.message.includes(error.code)
    ? error.message
    : `${error.message} (${error.code})`;
}

function localTime(time: Date): string {
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => twoDigits(part)).join(':');
}

/** RFC 3339 in local time with milliseconds, `2026-01-31T09:05:00.250+01:00`. */
function localDateTime(time: Date): string {
  const date = [time.getFullYear(), twoDigits(time.getMonth() + 1), twoDigits(time.getDate())].join('-');
  const milliseconds = String(time.getMilliseconds()).padStart(3, '0');
  return `${date}T${localTime(time)}.${milliseconds}${utcOffset(-time.getTimezoneOffset())}`;
}

function utcOffset(minutes: number): string {
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${twoDigits(Math.floor(size / 60))}:${twoDigits(size % 60)}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
