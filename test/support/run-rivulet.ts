/** The real executable in a process of its own, for tests of what people and scripts see. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { PATIENCE_MS } from './until.ts';

/** The checkout's; that of an installed package when `RIVULET_EXECUTABLE` names it. */
export const EXECUTABLE: string =
  process.env['RIVULET_EXECUTABLE'] ?? fileURLToPath(new URL('../../bin/rivulet', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly uid?: number;
  /** Of which group beside its own; needs `uid`. */
  readonly group?: number;
  /** How large a file that the process writes may become, in KiB. */
  readonly fileKibMax?: number;
  /** How many files the process may have open; as many as this one when absent. */
  readonly descriptorsMax?: number;
  /** Beside the variables of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Started {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when standard output holds `text`. Rejects when the process ends before. */
  said(text: string): Promise<void>;
  /** What standard output holds so far. */
  text(): string;
}

/** How to run a program as a user with one more group. */
export function asMember(uid: number, group: number): string[] {
  return ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, `--groups=${group}`];
}

function limited(what: string, most: number | undefined): string[] {
  return most === undefined ? [] : ['/bin/bash', '-c', `ulimit -${what} "$0" && exec "$@"`, String(most)];
}

/** Starts `rivulet WORDS`; with `uid` as that user. */
export function startRivulet(
  words: readonly string[],
  options: RunOptions & { readonly patienceMs?: number } = {},
): Started {
  const { uid, group, descriptorsMax, fileKibMax } = options;
  const identity = uid === undefined || group !== undefined ? {} : { uid, gid: uid };
  const env = { ...process.env, ...options.env };
  const [file = EXECUTABLE, ...args] = [
    ...(uid === undefined || group === undefined ? [] : asMember(uid, group)),
    ...limited('n', descriptorsMax),
    ...limited('f', fileKibMax),
    EXECUTABLE,
    ...words,
  ];
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env, ...identity });
  // One that has not ended by then hangs.
  const late = setTimeout(() => child.kill('SIGKILL'), options.patienceMs ?? PATIENCE_MS);
  const text = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text.out += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text.err += chunk));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(late);
      resolve({ code, ...text });
    });
  });
  const said = async (wanted: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (text.out.includes(wanted)) resolve();
      };
      child.stdout.on('data', look);
      child.once('close', () => reject(new Error(`it ended without "${wanted}":\n${text.out}${text.err}`)));
      look();
    });
  return { process: child, ended, said, text: () => text.out };
}

/** Runs `rivulet WORDS` to its end. */
export async function runRivulet(words: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return startRivulet(words, options).ended;
}
