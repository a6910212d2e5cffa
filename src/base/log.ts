/** Facts beside a message; values are printed as they are, so never a secret. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Where the engine speaks. `error` means that somebody must act; what heals itself is `warn`, and says when;
 * `info` is one line when something changes; `debug` may be one line per object.
 */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to each of its lines. */
  child(fields: LogFields): Logger;
}

/** A logger that says nothing. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};
