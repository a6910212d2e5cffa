/** Runs a program for its output, within bounds. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

export interface ProgramRun {
  readonly file: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly input?: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** For Windows, where scripts are programs only for its shell. */
  readonly shell?: boolean;
}

export interface ProgramOutcome {
  /** `exited with status 1`, `was ended by SIGTERM`, `did not end within 60 s`; undefined when it ended well. */
  readonly problem: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

const OUTPUT_BYTES_MAX = 64 * 1024;

/**
 * Ends the program, and what it started, when its time is over or `signal` aborts.
 *
 * @throws Error when it cannot be started (with `code`), or the signal's reason
 */
export async function runProgram(run: ProgramRun): Promise<ProgramOutcome> {
  run.signal.throwIfAborted();
  const child = spawn(run.file, run.args, {
    env: run.environment,
    stdio: ['pipe', 'pipe', 'pipe'],
    // A session of its own: it cannot ask questions on a terminal, and all of it can be ended at once.
    detached: process.platform !== 'win32',
    shell: run.shell ?? false,
    windowsHide: true,
  });
  let problem: string | undefined;
  const end = (why?: string): void => {
    problem ??= why;
    endGroup(child);
  };
  const timer = setTimeout(() => end(`did not end within ${run.timeoutMs / 1_000} s`), run.timeoutMs);
  const onAbort = (): void => end('was ended because nobody waits for it');
  run.signal.addEventListener('abort', onAbort, { once: true });
  try {
    const ended = untilEnd(child);
    const stdout = collect(child.stdout, () => end('printed more than 64 KiB'));
    const stderr = collect(child.stderr);
    child.stdin.on('error', () => undefined);
    child.stdin.end(run.input ?? '');
    const status = await ended;
    run.signal.throwIfAborted();
    return { problem: problem ?? status, stdout: stdout(), stderr: stderr() };
  } finally {
    clearTimeout(timer);
    run.signal.removeEventListener('abort', onAbort);
  }
}

async function untilEnd(child: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => {
      // What it left running in the background must not hold the pipes open for ever.
      const pipes = setTimeout(() => endGroup(child), 200);
      child.once('close', () => clearTimeout(pipes));
    });
    child.once('close', (code, signal) => {
      if (signal !== null) resolve(`was ended by ${signal}`);
      else resolve(code === 0 ? undefined : `exited with status ${code}`);
    });
  });
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === 'win32') child.kill('SIGKILL');
    else process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
  child.stdout?.destroy();
  child.stderr?.destroy();
}

function collect(stream: NodeJS.ReadableStream, tooMuch: () => void = () => undefined): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('error', () => undefined);
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= OUTPUT_BYTES_MAX) chunks.push(chunk);
    else tooMuch();
  });
  return () => Buffer.concat(chunks).toString('utf8');
}
