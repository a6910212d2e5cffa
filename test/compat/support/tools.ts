/** The two commands under comparison, as real processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export type Tool = 'rivulet' | 'litestream';

export const TOOLS: readonly Tool[] = ['rivulet', 'litestream'];

export interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
}

const ROOT = new URL('../../../', import.meta.url);
const PACKAGE = `@flydotio/litestream-${process.platform}-${process.arch}`;
/** The binary itself: npm's wrapper around it would not pass signals on. */
const LITESTREAM = fileURLToPath(new URL(`node_modules/${PACKAGE}/litestream`, ROOT));
const RIVULET = process.env['RIVULET_EXECUTABLE'] ?? fileURLToPath(new URL('bin/rivulet', ROOT));
const POLL_MS = 5;
const PATIENCE_MS = 30_000;
const LITESTREAM_SETTLES_MS = 500;
/** Characters of a log that an error shows. */
const LOG_SHOWN = 3_000;

function whyNot(): string | false {
  if (existsSync(LITESTREAM)) return false;
  const reason = `${PACKAGE} is not installed, so there is no Litestream v0.3.13 to compare with`;
  // Where the package is known to exist a missing one is a broken installation, not a reason to test nothing.
  if (process.platform === 'linux' && process.arch === 'x64') throw new Error(`${reason}; run npm install`);
  return reason;
}

/** For `describe`: false, or the reason why nothing can be compared on this platform. */
export const skip: string | false = whyNot();

function launch(tool: Tool, words: readonly string[], options: RunOptions): ChildProcess {
  const { LITESTREAM_CONFIG: _, RIVULET_CONFIG: __, ...env } = process.env;
  return spawn(tool === 'rivulet' ? RIVULET : LITESTREAM, words, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...env, ...options.env },
  });
}

function collect(child: ChildProcess): { out: string; err: string } {
  const text = { out: '', err: '' };
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => void (text.out += chunk));
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => void (text.err += chunk));
  return text;
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
}

/** Runs one command to its end. */
export async function run(tool: Tool, words: readonly string[], options: RunOptions = {}): Promise<Result> {
  const child = launch(tool, words, options);
  const text = collect(child);
  const code = await ended(child);
  return { code, ...text };
}

/** The same command line with both tools, side by side. */
export async function runBoth(
  words: readonly string[],
  options: RunOptions = {},
): Promise<Readonly<Record<Tool, Result>>> {
  const [rivulet, litestream] = await Promise.all(TOOLS.map((tool) => run(tool, words, options)));
  if (rivulet === undefined || litestream === undefined) throw new Error('unreachable');
  return { rivulet, litestream };
}

/** A command that goes on until it is stopped, such as `replicate`. */
export class Running implements AsyncDisposable {
  readonly tool: Tool;
  readonly #child: ChildProcess;
  readonly #text: { out: string; err: string };
  readonly #ended: Promise<number | null>;

  constructor(tool: Tool, words: readonly string[], options: RunOptions = {}) {
    this.tool = tool;
    this.#child = launch(tool, words, options);
    this.#text = collect(this.#child);
    this.#ended = ended(this.#child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get log(): string {
    return this.#text.out + this.#text.err;
  }

  /** Its exit code, when it ends by itself. */
  get ended(): Promise<number | null> {
    return this.#ended;
  }

  /** Waits until `isTrue`, or throws with what the command has said so far. */
  async until(what: string, isTrue: () => boolean): Promise<void> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    while (!isTrue()) {
      const isOver = this.#child.exitCode !== null || performance.now() > deadlineMs;
      if (isOver) throw new Error(`${this.tool} did not get to: ${what}\n${this.log.slice(-LOG_SHOWN)}`);
      await delay(POLL_MS);
    }
  }

  /**
   * Waits until `isTrue`, but not for long: v0.3.13 at times leaves a change alone until the next one comes. Rivulet
   * never may.
   */
  async settle(isTrue: () => boolean): Promise<void> {
    if (this.tool === 'rivulet') return this.until('shipping the last change', isTrue);
    const deadlineMs = performance.now() + LITESTREAM_SETTLES_MS;
    while (!isTrue() && performance.now() < deadlineMs) await delay(POLL_MS);
  }

  /**
   * Ends it as a supervisor would; the last changes are sent. v0.3.13 fails with `context canceled` when its last sync
   * wants a checkpoint, so only Rivulet's exit code means something.
   */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const code = await this.#ended;
    if (code !== 0 && this.tool === 'rivulet') throw new Error(`exit code ${code}\n${this.log}`);
  }

  /** For tests that fail half-way; after `stop` there is nothing left to do. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
