import { isatty } from 'node:tty';

import { isRivuletError } from '../base/errors.ts';
import type { LogFields, Logger } from '../base/log.ts';
import { visibleLines } from '../base/visible-text.ts';
import type { LoggingSettings } from '../config/settings.ts';
import { formatTextLine } from './log-text.ts';
import type { LogLevel, LogRecord } from './log-text.ts';
import { plainFields } from './log-value.ts';
import { writerFor } from './log-descriptor.ts';
import { SyncOutput } from './sync-output.ts';

export interface LoggerOptions extends LoggingSettings {
  /** Colours and short times for `text`; default: whether the descriptor is a terminal. */
  readonly isTerminal?: boolean;
  /** Takes each line, newline included; default: standard output, or standard error with `stderr`. */
  readonly write?: (line: string) => void;
  /** Default: the system's time. */
  readonly now?: () => Date;
}

type Sink = (record: LogRecord) => void;

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/**
 * The logger that the settings describe. A line is out when the call returns, so nothing is lost when the process ends.
 *
 * Asynchronous because pino, which writes the JSON lines, is loaded only for them: it costs 12-20 ms, half as much as
 * starting Node.js, and a `restore` at a terminal does not need it.
 */
export async function createLogger(options: LoggerOptions): Promise<Logger> {
  return levelLogger(await openOutput(options), {});
}

/** A logger whose settings can be changed, for it and for all that were made from it. */
export interface AdjustableLogger {
  readonly logger: Logger;
  set(settings: LoggingSettings): Promise<void>;
}

/** As `createLogger`. */
export async function createAdjustableLogger(options: LoggerOptions): Promise<AdjustableLogger> {
  const output = await openOutput(options);
  return {
    logger: levelLogger(output, {}),
    set: async (settings) => {
      Object.assign(output, await openOutput({ ...options, ...settings }));
    },
  };
}

async function openOutput(options: LoggerOptions): Promise<Output> {
  const now = options.now ?? ((): Date => new Date());
  const open = async (write: (line: string) => void): Promise<Sink> =>
    options.type === 'json' ? jsonSink(write) : textSink(write, isTerminal(options));
  const write = options.write ?? (await descriptorWriter(options.stderr ? 2 : 1, open, now));
  return { sink: await open(write), now, lowest: LEVELS.indexOf(options.level) };
}

async function descriptorWriter(
  descriptor: number,
  open: (write: (line: string) => void) => Promise<Sink>,
  now: () => Date,
): Promise<(line: string) => void> {
  let told = '';
  const lostSink = await open((line) => void (told = line));
  const lostLine = (lines: number): string => {
    const message = 'lines of the log were lost: nobody read them, or there was no room for them';
    lostSink({ level: 'warn', message, fields: { lines }, time: now() });
    return told;
  };
  const output = new SyncOutput(descriptor, { write: writerFor(descriptor), lostLine });
  return (line) => output.write(line);
}

function isTerminal(options: LoggerOptions): boolean {
  if (options.isTerminal !== undefined) return options.isTerminal;
  // Not `process.stdout.isTTY`: making that stream can switch a pipe, which the child shares, to non-blocking.
  return isatty(options.stderr ? 2 : 1);
}

function textSink(write: (line: string) => void, terminal: boolean): Sink {
  return (record) => write(formatTextLine(record, terminal));
}

/** One JSON object a line, with `level`, `time` (RFC 3339, UTC), the fields and `msg`. */
async function jsonSink(write: (line: string) => void): Promise<Sink> {
  const { default: pino } = await import('pino');
  const logger = pino(
    { level: 'debug', base: null, timestamp: false, formatters: { level: (level) => ({ level }) } },
    // Line by line the same JSON, without what a terminal or an editor acts upon.
    { write: (line: string) => write(visibleLines(line)) },
  );
  return ({ level, time, message, fields }) => {
    logger[level]({ time: time.toISOString(), ...withoutReserved(fields) }, message);
  };
}

/** The names that pino gives a meaning; a field of such a name would appear twice in the object. */
const RESERVED: ReadonlySet<string> = new Set(['time', 'level', 'msg']);

function withoutReserved(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [RESERVED.has(key) ? `field_${key}` : key, value]),
  );
}

/** Whoever must act reads what to do: an error that knows says it in its line, unless the line says it itself. */
function hintFor(level: LogLevel, { error, hint }: LogFields): LogFields {
  if (level !== 'error' || hint !== undefined || !isRivuletError(error)) return {};
  return error.hint === undefined ? {} : { hint: error.hint };
}

/** Where lines go; all loggers of one family share it. */
interface Output {
  sink: Sink;
  now: () => Date;
  /** Index into `LEVELS` of the least important level that is shown. */
  lowest: number;
}

function levelLogger(output: Output, inherited: LogFields): Logger {
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (LEVELS.indexOf(level) < output.lowest) return;
      const all = plainFields({ ...inherited, ...fields, ...hintFor(level, fields) });
      output.sink({ level, message, fields: all, time: output.now() });
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => levelLogger(output, { ...inherited, ...fields }),
  };
}
