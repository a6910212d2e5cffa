/** Runs one batch in a process of its own, keeps what it says until it ends, and ends it when nothing happens any more. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { type Batch, type Limits, ROOT } from './batches.ts';
import { endAll, leftovers, MARK } from './leftovers.ts';
import { type Place, TemporaryFolder } from './temporary-folder.ts';

/** The pipe through which a batch tells which test begins. */
export const PROGRESS_FD = 3;
/** Many tests start commands: these load four tenths faster once compiled. */
const COMPILE_CACHE = join(ROOT, 'node_modules/.cache/rivulet-tests');
const WARNING = /\(node:\d+\) .*Warning: .*/;
/** What the reporter counts, in its order. */
export const COUNT_NAMES = ['tests', 'suites', 'pass', 'fail', 'cancelled', 'skipped', 'todo'] as const;
const COUNT = new RegExp(`^ℹ (${[...COUNT_NAMES, 'duration_ms'].join('|')}) ([\\d.]+)$`);
const FAILURES = '✖ failing tests:';
/** Shown of a batch that ended badly without a failing test. */
const LAST_LINES = 30;
const LOOK_MS = 250;
/** For the reporter, to tell what it knows before the end. */
const LAST_WORDS_MS = 1_000;

/** How a suite is run. */
export interface Manner {
  readonly limits: Limits;
  readonly place: Place;
  /** For the test runner. */
  readonly flags: readonly string[];
  /** Shows what a batch says when it says it, for those that run alone and for long. */
  readonly isLive?: boolean;
}

export interface Outcome {
  readonly title: string;
  readonly elapsedMs: number;
  readonly counts: ReadonlyMap<string, number>;
  /** All that was said but the counts. */
  readonly text: string;
  /** What is wrong with the batch; empty when it passed. */
  readonly problems: readonly string[];
}

const running = new Set<string>();

/** Ends all batches that run, with what they started. */
export function endBatches(): void {
  for (const mark of running) endAll(mark);
}

export async function runBatch(
  batch: Batch,
  { limits, place, flags, isLive = false }: Manner,
): Promise<Outcome> {
  using folder = new TemporaryFolder(place);
  const startedMs = performance.now();
  const mark = randomUUID();
  running.add(mark);
  const child = start(batch, [`--test-timeout=${limits.testMs}`, ...flags], {
    [MARK]: mark,
    TMPDIR: folder.path,
  });
  const report = new Report(isLive ? (line) => console.log(line) : () => undefined);
  for (const stream of [child.stdout, child.stderr]) report.read(stream, (line) => report.take(line));
  report.read(child.stdio[PROGRESS_FD], (line) => report.progress.push(line));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const stuck = await watch(child, ended, limits, report);
  const code = await ended;
  const left = (await leftovers(mark)).map(
    ({ pid, command }) => `it left a process behind: ${pid} ${command}`,
  );
  running.delete(mark);
  const failed = code === 0 ? [] : report.failures(stuck.length > 0 ? 0 : LAST_LINES);
  return {
    title: batch.title,
    elapsedMs: performance.now() - startedMs,
    counts: report.counts,
    text: isLive ? '' : report.text(),
    problems: [...stuck, ...failed, ...left, ...report.warnings],
  };
}

function start(batch: Batch, flags: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  const options = [
    '--test',
    '--test-isolation=none',
    '--test-reporter=spec',
    `--import=${new URL('tell-progress.ts', import.meta.url).href}`,
    ...flags,
  ];
  const color = process.stdout.isTTY ? { FORCE_COLOR: '1' } : {};
  return spawn(process.execPath, [...options, ...batch.files], {
    cwd: ROOT,
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE, ...color, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
}

/** Waits for the end, or makes it. @returns why it was made, and which test was on */
async function watch(
  child: ChildProcess,
  ended: Promise<unknown>,
  { silenceMs, batchMs }: Limits,
  report: Report,
): Promise<string[]> {
  let lives = true;
  void ended.then(() => (lives = false));
  const startedMs = performance.now();
  for (;;) {
    await Promise.race([ended, sleep(LOOK_MS)]);
    if (!lives) return [];
    const nowMs = performance.now();
    const silent = nowMs - report.heardAtMs > silenceMs;
    if (!silent && nowMs - startedMs < batchMs) continue;
    const limit = silent ? `nothing happened for ${silenceMs / 1000} s` : `it took over ${batchMs / 1000} s`;
    const last = report.progress.at(-1) ?? 'none';
    child.kill('SIGUSR2');
    await Promise.race([ended, sleep(LAST_WORDS_MS)]);
    const open = report.progress.at(-1) === last ? [] : report.progress.slice(-1);
    child.kill('SIGTERM');
    await Promise.race([ended, sleep(LAST_WORDS_MS)]);
    child.kill('SIGKILL');
    return [`${limit}; the last test that began: ${last}`, ...open];
  }
}

/** What a batch said. */
class Report {
  readonly counts = new Map<string, number>();
  readonly warnings: string[] = [];
  readonly progress: string[] = [];
  heardAtMs: number = performance.now();
  readonly #lines: string[] = [];
  readonly #show: (line: string) => void;

  constructor(show: (line: string) => void) {
    this.#show = show;
  }

  read(from: unknown, take: (line: string) => void): void {
    const stream = from as NodeJS.ReadableStream;
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      this.heardAtMs = performance.now();
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) take(line);
    });
    stream.on('end', () => rest !== '' && take(rest));
  }

  take(line: string): void {
    const plain = stripVTControlCharacters(line);
    const [, name, count] = COUNT.exec(plain) ?? [];
    if (name !== undefined) this.counts.set(name, Number(count));
    else {
      this.#lines.push(line);
      this.#show(line);
    }
    const warning = WARNING.exec(plain);
    if (warning !== null) this.warnings.push(`Node.js warned, which fails the run: ${warning[0]}`);
  }

  text(): string {
    return this.#lines.join('\n').trimEnd();
  }

  /** The reporter's list of them; when it came to none, the last so many lines. */
  failures(lastLines: number): string[] {
    const at = this.#lines.findIndex((line) => stripVTControlCharacters(line) === FAILURES);
    const from = at < 0 ? this.#lines.length - lastLines : at + 1;
    const text = this.#lines.slice(Math.max(from, 0)).join('\n').trim();
    return text === '' && lastLines === 0 ? [] : [text];
  }
}
