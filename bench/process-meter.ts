/**
 * What a process used, as Linux tells it in `/proc`: processor time in ticks of 10 ms, and `VmHWM`, the peak of
 * its resident memory, which the kernel keeps, so that sampling loses at most what grew in the last few milliseconds.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

/** `sysconf(_SC_CLK_TCK)` is 100 on every Linux that Node.js runs on. */
const TICKS_PER_SECOND = 100;
const SAMPLE_MS = 10;
const OUTPUT_KEPT_CHARS = 4000;

export interface Usage {
  readonly cpuSeconds: number;
  readonly peakRssMb: number;
}

export interface RunUsage extends Usage {
  readonly wallSeconds: number;
}

function statFields(pid: number | 'self'): number[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name in parentheses may hold anything; the third field follows its last parenthesis.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields.map(Number);
}

/** User and system time of a living process with all its threads. */
export function cpuSecondsOf(pid: number): number {
  const fields = statFields(pid);
  return ((fields[11] ?? 0) + (fields[12] ?? 0)) / TICKS_PER_SECOND;
}

/** User and system time of all children that have ended and were waited for, with theirs. */
function endedChildrenCpuSeconds(): number {
  const fields = statFields('self');
  return ((fields[13] ?? 0) + (fields[14] ?? 0)) / TICKS_PER_SECOND;
}

function peakRssMbOf(pid: number): number {
  try {
    const kib = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return Number(kib ?? 0) / 1024;
  } catch {
    return 0;
  }
}

export interface Launch {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A process under measurement. Ends with its scope. */
export class MeteredProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #timer: NodeJS.Timeout;
  readonly pid: number;
  #peakRssMb = 0;
  #output = '';

  constructor(launch: Launch) {
    this.#child = spawn(launch.command, launch.arguments, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...launch.env },
    });
    this.#exited = once(this.#child, 'exit');
    this.#exited.catch(() => undefined);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_KEPT_CHARS);
      });
    }
    this.pid = this.#child.pid ?? 0;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  #sample(): void {
    this.#peakRssMb = Math.max(this.#peakRssMb, peakRssMbOf(this.pid));
  }

  /** The end of what it wrote to both its outputs. */
  get output(): string {
    return this.#output;
  }

  /** Up to now, while it runs. */
  usage(): Usage {
    if (this.#child.exitCode !== null) throw new Error(`it ended too early:\n${this.#output}`);
    this.#sample();
    return { cpuSeconds: cpuSecondsOf(this.pid), peakRssMb: this.#peakRssMb };
  }

  get peakRssMb(): number {
    return this.#peakRssMb;
  }

  /** Waits for its end. Throws with its output when it failed. */
  async ended(): Promise<void> {
    await this.#exited;
    clearInterval(this.#timer);
    if (this.#child.exitCode === 0) return;
    const how = this.#child.signalCode ?? `exit code ${this.#child.exitCode}`;
    throw new Error(`${this.#child.spawnargs.join(' ')} ended with ${how}:\n${this.#output}`);
  }

  /** Asks it to end, as a supervisor does, and waits. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGINT');
    await this.#exited;
    clearInterval(this.#timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Runs a command to its end. No other child may end meanwhile: its processor time would be counted too. */
export async function runMetered(launch: Launch): Promise<RunUsage> {
  const cpuBefore = endedChildrenCpuSeconds();
  const startedMs = performance.now();
  const child = new MeteredProcess(launch);
  await child.ended();
  return {
    wallSeconds: (performance.now() - startedMs) / 1000,
    cpuSeconds: endedChildrenCpuSeconds() - cpuBefore,
    peakRssMb: child.peakRssMb,
  };
}
