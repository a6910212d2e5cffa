/** Runs a script of this folder as a process of its own, which tests may kill. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export class ChildScript implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  #wake: () => void = () => undefined;
  #ended = false;
  readonly #exited: Promise<unknown>;

  /** @param name - the script's file name; it reads lines from stdin and writes lines to stdout */
  constructor(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const file = fileURLToPath(new URL(name, import.meta.url));
    this.#child = spawn(process.execPath, [file, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    // A line to one that has been killed is lost.
    this.#child.stdin?.on('error', () => undefined);
    this.#exited = once(this.#child, 'exit');
    if (this.#child.stdout === null) throw new Error('the script has no output');
    const lines = createInterface({ input: this.#child.stdout });
    lines.on('line', (line) => {
      this.#lines.push(line);
      this.#wake();
    });
    // Not when the process ends: its last lines may still be on their way.
    lines.once('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** The next line that the script writes. Throws when it ends before. */
  async line(): Promise<string> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      if (this.#ended) throw new Error('the script ended without another line');
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Sends a line and waits for the answer. */
  async ask(text: string): Promise<string> {
    this.#child.stdin?.write(`${text}\n`);
    return this.line();
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child.kill(signal);
    await this.#exited;
  }

  /** Ends its standard input and waits for its end. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
