/** A child process that is started, frozen and killed again and again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProcessOptions {
  readonly title: string;
  readonly file: string;
  readonly args: () => readonly string[];
  /** Everything that the process prints is appended here. */
  readonly outputPath: string;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class ManagedProcess {
  readonly #options: ProcessOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<Exit> | undefined;
  /** Set before each signal that ends the process, so that an end without it is noticed. */
  #expectsEnd = false;
  readonly surprises: string[] = [];

  constructor(options: ProcessOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** For signals that do not end it. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  start(): void {
    if (this.#child !== undefined) return;
    const { file, args, outputPath, title } = this.#options;
    const output = openSync(outputPath, 'a');
    const child = spawn(file, args(), { stdio: ['ignore', output, output] });
    closeSync(output);
    this.#child = child;
    this.#expectsEnd = false;
    running.add(child);
    this.#exited = new Promise<Exit>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        running.delete(child);
        this.#child = undefined;
        if (!this.#expectsEnd)
          this.surprises.push(`${title} ended by itself (code ${code}, signal ${signal})`);
        resolve({ code, signal });
      });
    });
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Asks it to end, and answers how it did. */
  async terminate(deadlineMs: number): Promise<Exit | undefined> {
    const timer = setTimeout(() => this.#child?.kill('SIGKILL'), deadlineMs);
    try {
      return await this.#end('SIGTERM');
    } finally {
      clearTimeout(timer);
    }
  }

  async #end(signal: NodeJS.Signals): Promise<Exit | undefined> {
    if (this.#child === undefined) return undefined;
    this.#expectsEnd = true;
    this.#child.kill(signal);
    return this.#exited;
  }

  async freeze(ms: number): Promise<void> {
    const child = this.#child;
    child?.kill('SIGSTOP');
    await sleep(ms);
    child?.kill('SIGCONT');
  }
}
