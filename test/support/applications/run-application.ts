/** Runs an application of this folder as a process of its own: SQLite's locks belong to processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export type ApplicationName = 'truncating' | 'reading-then-writing' | 'probing' | 'hostile' | 'silent';

export interface LaunchOptions {
  readonly env?: Readonly<Record<string, string>>;
}

export class RunningApplication implements AsyncDisposable {
  readonly name: ApplicationName;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #out = '';
  #err = '';

  constructor(name: ApplicationName, path: string, settings: unknown, options: LaunchOptions = {}) {
    this.name = name;
    const script = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
    this.#child = spawn(process.execPath, [script, path, JSON.stringify(settings)], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#out += text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#err += text));
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject).once('close', () => resolve());
    });
  }

  get out(): string {
    return this.#out;
  }

  /** Resolves when it has reported something, or has ended. */
  async reported(): Promise<void> {
    if (this.#out !== '') return;
    const first = new Promise((resolve) => this.#child.stdout?.once('data', resolve));
    await Promise.race([first, this.#ended]);
  }

  /** What it reports at its end. Throws when it failed. */
  async report<T>(): Promise<T> {
    await this.#ended;
    if (this.#child.exitCode === 0) return JSON.parse(this.#out) as T;
    const how = this.#child.signalCode ?? `exit status ${this.#child.exitCode}`;
    throw new Error(`the application "${this.name}" ended with ${how}: ${this.#err}`);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** Ends its input, which ends one that only waits. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
  }
}

/** Runs it to its end. */
export async function runApplication<T>(
  name: ApplicationName,
  path: string,
  settings: unknown,
  options: LaunchOptions = {},
): Promise<T> {
  await using application = new RunningApplication(name, path, settings, options);
  return await application.report<T>();
}
