/** A writer as a process that is started, frozen, woken and killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Told, WriterSettings } from './writer.ts';

const SCRIPT = fileURLToPath(new URL('writer.ts', import.meta.url));

export class WriterProcess {
  readonly told: Told[] = [];
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #onTold: () => void = () => undefined;
  #stderr = '';
  isAlive = true;
  isFrozen = false;

  constructor(settings: WriterSettings, onTold: (told: Told) => void) {
    const child = spawn(process.execPath, [SCRIPT, JSON.stringify(settings)], { stdio: 'pipe' });
    this.#child = child;
    this.#exited = this.#untilClosed(child);
    child.stdin.on('error', () => undefined);
    child.stderr.on('data', (text: Buffer) => (this.#stderr += text.toString()));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const told = JSON.parse(line) as Told;
      this.told.push(told);
      onTold(told);
      this.#onTold();
    });
  }

  async #untilClosed(child: ChildProcess): Promise<void> {
    await once(child, 'close');
    this.isAlive = false;
    this.#onTold();
  }

  /** What the process has said that nobody expected. */
  get complaint(): string {
    return this.#stderr;
  }

  /** Waits until something was told. False when the process ends before, or `limitMs` have passed. */
  async until(matches: (told: Told) => boolean, limitMs: number): Promise<boolean> {
    const endMs = performance.now() + limitMs;
    while (!this.told.some(matches)) {
      const leftMs = endMs - performance.now();
      if (!this.isAlive || leftMs <= 0) return false;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onTold = resolve;
      const timer = setTimeout(resolve, leftMs);
      await promise;
      clearTimeout(timer);
    }
    return true;
  }

  /** How it stands now, by its last word. */
  get state(): Extract<Told, { kind: 'state' }> | undefined {
    return this.told.findLast((one) => one.kind === 'state');
  }

  say(command: string): void {
    this.#child.stdin?.write(`${command}\n`);
  }

  freeze(): void {
    this.isFrozen = this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
    this.isFrozen = false;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** Ends it as an operator does, and by force when that takes too long. */
  async finish(limitMs: number): Promise<void> {
    this.say('finish');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), limitMs);
    await this.#exited;
    clearTimeout(timer);
  }
}
