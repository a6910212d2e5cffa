/**
 * One SFTP session as promises. Requests of many calls are under way at once, within a bound; the server's answers
 * tell them apart. When the connection ends, or the server is silent for too long, every request fails and the
 * connection is closed: a late answer can then mislead nobody.
 */
import type { Socket } from 'node:net';
import type { Client, FileEntryWithStats, SFTPWrapper } from 'ssh2';
import type { Clock } from '../../base/clock.ts';
import { RivuletError } from '../../base/errors.ts';
import { orAbort } from '../abandon.ts';
import { storageFailed } from '../storage-error.ts';
import { Slots } from './slots.ts';
import { SftpStatus, statusOf } from './status.ts';

/**
 * Bytes of one read or write. Servers must take packets of 34,000 bytes; `ssh2` keeps 2,048 of them for the rest, and
 * would send a larger piece to an unknown server in two trips.
 */
export const PIECE_BYTES: number = 31 * 1024;

/** Requests under way at once: 4 MB of them in either direction, twice what OpenSSH takes before it answers. */
const REQUESTS_AT_ONCE = 128;

/** However much else is answered, a request that is not answered in so many times the allowed silence never will be. */
const PATIENCE_FACTOR = 10;

/** Time for the goodbye to reach the server. */
const GOODBYE_MS = 500;

/** What a server tells of a file. */
export interface FileFacts {
  readonly sizeBytes: number;
  /** By the server's clock, in whole seconds: SFTP knows no smaller ones. */
  readonly modifiedAt: Date;
  readonly kind: 'file' | 'folder' | 'link' | 'other';
}

export interface FolderEntry extends FileFacts {
  readonly name: string;
}

export interface DiskSpace {
  readonly freeBytes: number;
  readonly freeFiles: number;
}

type Handle = Buffer;
type Answer<T> = (error: Error | null | undefined, value?: T) => void;

interface Waiting {
  readonly sentAtMs: number;
  readonly patienceMs: number;
  readonly fail: (error: Error) => void;
}

interface Attributes {
  readonly mode?: number;
  readonly size?: number;
  readonly mtime?: number;
}

export interface ConnectionOptions {
  readonly location: string;
  readonly silenceMaxMs: number;
  readonly keepAliveMs: number;
  readonly clock: Clock;
}

export class SftpConnection {
  readonly #client: Client;
  readonly #socket: Socket;
  readonly #sftp: SFTPWrapper;
  readonly #options: ConnectionOptions;
  readonly #slots = new Slots(REQUESTS_AT_ONCE);
  readonly #waiting = new Set<Waiting>();
  readonly #ended = Promise.withResolvers<void>();
  #failure: RivuletError | undefined;
  #heardAtMs = 0;
  /** When `ssh2` was last told that something was heard. */
  #toldAtMs = -Infinity;
  #watch: NodeJS.Timeout | undefined;

  /** @param socket - what `client` talks over; it is destroyed with the connection */
  constructor(client: Client, socket: Socket, sftp: SFTPWrapper, options: ConnectionOptions) {
    this.#client = client;
    this.#socket = socket;
    this.#sftp = sftp;
    this.#options = options;
    const lost = (why: string) => () => this.#fail(connectionLost(options.location, why));
    client.on('error', (error: Error) => this.#fail(connectionLost(options.location, error.message, error)));
    client.on('end', lost('the server ended it'));
    client.on('close', lost('it was closed'));
    sftp.on('error', (error: Error) => this.#fail(connectionLost(options.location, error.message, error)));
    sftp.on('end', lost('the server ended the SFTP session'));
    sftp.on('close', lost('the server ended the SFTP session'));
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /** Resolves when the connection has ended, whoever ended it. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Says goodbye. Requests that are under way fail. */
  close(): void {
    this.#fail(connectionLost(this.#options.location, 'it was closed here'));
  }

  async open(path: string, mode: 'r' | 'wx'): Promise<Handle> {
    return this.#ask((sftp, answer: Answer<Handle>) => sftp.open(path, mode, answer));
  }

  async closeHandle(handle: Handle): Promise<void> {
    await this.#ask((sftp, answer) => sftp.close(handle, answer));
  }

  /** @returns how many bytes came, never more than a piece; 0 only at the end of the file */
  async read(
    handle: Handle,
    into: Buffer,
    at: number,
    length: number,
    position: number,
    signal?: AbortSignal,
  ): Promise<number> {
    const asked = this.#ask((sftp, answer: Answer<number>) =>
      sftp.read(handle, into, at, Math.min(length, PIECE_BYTES), position, (error, count) =>
        answer(error, count),
      ),
    );
    return orAbort(asked, signal);
  }

  /** Sends one piece. Its bytes are copied before this returns its promise, unless there is a queue. */
  async write(handle: Handle, piece: Buffer, position: number): Promise<void> {
    await this.#ask((sftp, answer) =>
      sftp.write(handle, piece, 0, piece.length, position, (error) => answer(error)),
    );
  }

  async factsOfHandle(handle: Handle): Promise<FileFacts> {
    return factsOf(await this.#ask((sftp, answer: Answer<Attributes>) => sftp.fstat(handle, answer)));
  }

  /** @param follow - whether a link is looked through */
  async factsOf(path: string, follow: boolean): Promise<FileFacts> {
    const asked = this.#ask((sftp, answer: Answer<Attributes>) =>
      follow ? sftp.stat(path, answer) : sftp.lstat(path, answer),
    );
    return factsOf(await asked);
  }

  async openFolder(path: string): Promise<Handle> {
    return this.#ask((sftp, answer: Answer<Handle>) => sftp.opendir(path, answer));
  }

  /** The next entries of a folder, without `.` and `..`; undefined when there are no more. */
  async readFolder(handle: Handle): Promise<FolderEntry[] | undefined> {
    try {
      const entries = await this.#ask((sftp, answer: Answer<FileEntryWithStats[]>) =>
        sftp.readdir(handle, answer),
      );
      return entries.map(({ filename, attrs }) => ({ name: filename, ...factsOf(attrs) }));
    } catch (error) {
      if (statusOf(error) === 'END_OF_FILE') return undefined;
      throw error;
    }
  }

  async removeFile(path: string): Promise<void> {
    await this.#ask((sftp, answer) => sftp.unlink(path, answer));
  }

  async makeFolder(path: string): Promise<void> {
    await this.#ask((sftp, answer) => sftp.mkdir(path, answer));
  }

  async removeFolder(path: string): Promise<void> {
    await this.#ask((sftp, answer) => sftp.rmdir(path, answer));
  }

  /** What version 3 of the protocol calls rename: must fail when `to` exists, though some servers replace it. */
  async rename(from: string, to: string): Promise<void> {
    await this.#ask((sftp, answer) => sftp.rename(from, to, answer));
  }

  /** Replaces `to` in one step. @throws SftpStatus `UNSUPPORTED` by servers that cannot, as the next ones */
  async renameOver(from: string, to: string): Promise<void> {
    await this.#ask((sftp, answer) => sftp.ext_openssh_rename(from, to, answer));
  }

  /** A second name for a file, which nothing may have yet. */
  async link(from: string, to: string): Promise<void> {
    await this.#ask((sftp, answer) => sftp.ext_openssh_hardlink(from, to, answer));
  }

  /** Waits until the file is on the disk. @param sizeBytes how much that is: it takes its time */
  async makeSafe(handle: Handle, sizeBytes: number): Promise<void> {
    // 1 MB/s is what a slow disk does when everybody wants it.
    const extraMs = sizeBytes / 1000;
    await this.#ask((sftp, answer) => sftp.ext_openssh_fsync(handle, answer), extraMs);
  }

  async diskSpace(path: string): Promise<DiskSpace> {
    const facts = await this.#ask((sftp, answer: Answer<Record<string, number>>) =>
      sftp.ext_openssh_statvfs(path, answer),
    );
    const { f_frsize = 0, f_bavail = 0, f_favail = 0, f_files = 0 } = facts;
    return { freeBytes: f_bavail * f_frsize, freeFiles: f_files === 0 ? Infinity : f_favail };
  }

  /** Sends one request when there is a place for it, and waits for its answer. */
  async #ask<T>(send: (sftp: SFTPWrapper, answer: Answer<T>) => void, extraMs = 0): Promise<T> {
    const place = this.#slots.take();
    if (place !== undefined) await place;
    try {
      if (this.#failure !== undefined) throw this.#failure;
      return await this.#answerTo(send, extraMs);
    } finally {
      this.#slots.release();
    }
  }

  async #answerTo<T>(send: (sftp: SFTPWrapper, answer: Answer<T>) => void, extraMs: number): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const nowMs = this.#options.clock.monotonicMs();
    const waiting = { sentAtMs: nowMs, patienceMs: this.#options.silenceMaxMs + extraMs, fail: reject };
    if (this.#waiting.size === 0) this.#heardAtMs = nowMs;
    this.#waiting.add(waiting);
    this.#watch ??= setInterval(() => this.#look(), Math.max(10, this.#options.silenceMaxMs / 4));
    try {
      send(this.#sftp, (error, value) => {
        this.#heard();
        if (error === null || error === undefined) resolve(value as T);
        else reject(SftpStatus.from(error) ?? connectionLost(this.#options.location, error.message, error));
      });
      return await promise;
    } catch (error) {
      // `ssh2` throws at once when the server does not know the extension.
      if (isUnknownExtension(error)) throw new SftpStatus('UNSUPPORTED', error.message);
      throw error;
    } finally {
      this.#waiting.delete(waiting);
      if (this.#waiting.size === 0) {
        clearInterval(this.#watch);
        this.#watch = undefined;
      }
    }
  }

  /**
   * An answer shows that the other end lives. `ssh2` itself counts answers to its keep-alive packets only, and on a slow
   * line those wait behind megabytes of an object: without a word from here it would take the line for dead.
   */
  #heard(): void {
    this.#heardAtMs = this.#options.clock.monotonicMs();
    if (this.#heardAtMs - this.#toldAtMs < this.#options.keepAliveMs / 4) return;
    this.#toldAtMs = this.#heardAtMs;
    (this.#client as { _resetKA?: () => void })._resetKA?.();
  }

  /** Nothing is looked at while nobody waits. */
  #look(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const all = [...this.#waiting];
    const patienceMs = Math.max(...all.map((waiting) => waiting.patienceMs));
    const isSilent = nowMs - this.#heardAtMs > patienceMs;
    const isForgotten = all.some((one) => nowMs - one.sentAtMs > PATIENCE_FACTOR * one.patienceMs);
    if (!isSilent && !isForgotten) return;
    this.#fail(
      connectionLost(
        this.#options.location,
        `the server did not answer for ${Math.round(patienceMs) / 1000} s`,
      ),
    );
  }

  #fail(failure: RivuletError): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    for (const { fail } of this.#waiting) fail(failure);
    this.#ended.resolve();
    this.#client.end();
    // A peer that is gone never answers the goodbye, and one that does not care goes on sending.
    setTimeout(() => this.#socket.destroy(), GOODBYE_MS).unref();
  }
}

function connectionLost(location: string, why: string, cause?: unknown): RivuletError {
  return storageFailed(`the connection to ${location} was lost: ${why}`, { retry: true, cause });
}

function isUnknownExtension(error: unknown): error is Error {
  return error instanceof Error && error.message === 'Server does not support this extended request';
}

const FORMAT_MASK = 0o170000;
const KINDS: Readonly<Record<number, FileFacts['kind']>> = {
  0o100000: 'file',
  0o040000: 'folder',
  0o120000: 'link',
};

function factsOf({ mode = 0, size = 0, mtime = 0 }: Attributes): FileFacts {
  return {
    sizeBytes: size,
    modifiedAt: new Date(mtime * 1000),
    kind: KINDS[mode & FORMAT_MASK] ?? 'other',
  };
}
