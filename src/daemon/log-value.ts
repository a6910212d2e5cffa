import { inspect } from 'node:util';

import { messageOf, RivuletError, systemCode } from '../base/errors.ts';
import type { LogFields } from '../base/log.ts';

/** Fields as plain JSON values. Never throws; undefined fields are left out. */
export function plainFields(fields: LogFields): Record<string, unknown> {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries.map(([key, value]) => [key, plainValue(value)]));
}

/** One value as plain JSON: big integers and dates as people write them, an error as its message and code. */
export function plainValue(value: unknown): unknown {
  if (typeof value === 'string') return bounded(value);
  if (typeof value === 'bigint') return plainInteger(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'function' || typeof value === 'symbol') return inspect(value);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
  if (value instanceof Error) return plainError(value);
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  return plainObject(value);
}

/** A server or a program that says more than this wants to fill the log. */
const TEXT_LENGTH_MAX = 16 * 1024;

function bounded(text: string): string {
  return text.length <= TEXT_LENGTH_MAX ? text : `${text.slice(0, TEXT_LENGTH_MAX)}...`;
}

/** Beyond 2^53 a JSON number would be read back as another one. */
function plainInteger(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

/** The stack only of what is not for people: a `RivuletError` says everything in its message. */
function plainError(error: Error): Record<string, unknown> {
  const code = error instanceof RivuletError ? error.code : systemCode(error);
  const cause = error.cause instanceof Error ? messageOf(error.cause) : undefined;
  const stack = error instanceof RivuletError || code !== undefined ? undefined : error.stack;
  return plainFields({ message: messageOf(error), code, cause, stack });
}

function plainObject(value: object): unknown {
  try {
    return JSON.parse(JSON.stringify(value, replaceUnknown)) as unknown;
  } catch {
    // Circular, or a getter that throws.
    return inspectSafely(value);
  }
}

function replaceUnknown(this: unknown, key: string, value: unknown): unknown {
  // `this[key]` is the value before its `toJSON` was called, which dates have.
  const original = (this as Record<string, unknown>)[key];
  if (original instanceof Error) return plainError(original);
  if (original instanceof Map || original instanceof Set) return [...original];
  return typeof value === 'bigint' ? plainInteger(value) : value;
}

function inspectSafely(value: object): string {
  try {
    return inspect(value, { depth: 2, breakLength: Infinity });
  } catch {
    return 'unprintable';
  }
}
