import { exponentialBackoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import { isRivuletError } from '../../base/errors.ts';
import { orAbort } from '../abandon.ts';
import type { SftpConnection } from './connection.ts';

/** A connection lent to a call; give it back by leaving the scope. */
export interface Borrowed extends Disposable {
  readonly connection: SftpConnection;
}

/** Waits between attempts to connect. Calls themselves are tried again by others; all their attempts share one connection. */
const FIRST_WAIT_MS = 100;
const WAIT_MAX_MS = 2_000;
/** Servers lock out who knocks with the wrong key again and again. */
const REFUSED_FIRST_WAIT_MS = 1_000;
const REFUSED_WAIT_MAX_MS = 60_000;

/** Opens one connection when it is needed, lends it to all calls, and closes it after a while of silence. */
export class ConnectionKeeper {
  readonly #connect: (signal: AbortSignal) => Promise<SftpConnection>;
  readonly #idleMs: number;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #waits = exponentialBackoff(FIRST_WAIT_MS, WAIT_MAX_MS);
  readonly #refusedWaits = exponentialBackoff(REFUSED_FIRST_WAIT_MS, REFUSED_WAIT_MAX_MS);
  #opening: Promise<SftpConnection> | undefined;
  #connection: SftpConnection | undefined;
  #refused: { readonly error: unknown; readonly untilMs: number } | undefined;
  #notBeforeMs = 0;
  #users = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(connect: (signal: AbortSignal) => Promise<SftpConnection>, idleMs: number, clock: Clock) {
    this.#connect = connect;
    this.#idleMs = idleMs;
    this.#clock = clock;
  }

  /** @throws what connecting throws; the signal's reason */
  async borrow(signal: AbortSignal | undefined): Promise<Borrowed> {
    signal?.throwIfAborted();
    this.#users++;
    clearTimeout(this.#idle);
    try {
      const connection = await orAbort(this.#live(), signal);
      let isLent = true;
      return {
        connection,
        [Symbol.dispose]: () => {
          if (isLent) this.#giveBack();
          isLent = false;
        },
      };
    } catch (error) {
      this.#giveBack();
      throw error;
    }
  }

  /** Closes the connection; no call may follow. */
  close(): void {
    clearTimeout(this.#idle);
    this.#closing.abort(new Error('the store was closed'));
    this.#connection?.close();
    this.#connection = undefined;
  }

  #giveBack(): void {
    this.#users--;
    if (this.#users > 0 || this.#connection === undefined) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#closeIdle(), this.#idleMs);
    this.#idle.unref();
  }

  #closeIdle(): void {
    if (this.#users > 0) return;
    this.#connection?.close();
    this.#connection = undefined;
  }

  async #live(): Promise<SftpConnection> {
    if (this.#connection?.isOpen === true) return this.#connection;
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  async #open(): Promise<SftpConnection> {
    this.#connection = undefined;
    if (this.#refused !== undefined && this.#clock.monotonicMs() < this.#refused.untilMs)
      throw this.#refused.error;
    const waitMs = this.#notBeforeMs - this.#clock.monotonicMs();
    if (waitMs > 0) await this.#clock.sleep(waitMs, this.#closing.signal);
    try {
      const connection = await this.#connect(this.#closing.signal);
      if (this.#closing.signal.aborted) {
        connection.close();
        this.#closing.signal.throwIfAborted();
      }
      this.#waits.reset();
      this.#refusedWaits.reset();
      this.#refused = undefined;
      this.#notBeforeMs = 0;
      this.#connection = connection;
      // Everybody who waited may have gone meanwhile.
      if (this.#users === 0) {
        this.#users++;
        this.#giveBack();
      }
      return connection;
    } catch (error) {
      const nowMs = this.#clock.monotonicMs();
      if (isRivuletError(error, 'CREDENTIALS_FAILED', 'HOST_KEY_UNVERIFIED')) {
        this.#refused = { error, untilMs: nowMs + this.#refusedWaits.next() };
      } else this.#notBeforeMs = nowMs + this.#waits.next();
      throw error;
    }
  }
}
