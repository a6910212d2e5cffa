/** `bin/rivulet`, run as anybody would run it, and watched through the metrics it serves. */
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { end, ended, track } from './children.ts';

const EXECUTABLE = fileURLToPath(new URL('../../bin/rivulet', import.meta.url));
const START_PATIENCE_MS = 20_000;
const LEVEL_PATIENCE_MS = 20_000;
const POLL_MS = 100;

/** What the live line shows, from `/metrics`. */
export interface Progress {
  readonly index: number;
  readonly offsetBytes: number;
  readonly lagBytes: number;
  readonly lagSeconds: number;
  readonly objects: number;
  readonly storedBytes: number;
  /** Times that Rivulet has looked at the database. */
  readonly looks: number;
}

export class Replication {
  readonly #child: ChildProcess;
  readonly #logPath: string;
  #metricsUrl: string | undefined;

  /** Starts `rivulet replicate`; its log goes to a file. */
  constructor(configPath: string, logPath: string) {
    const log = openSync(logPath, 'a');
    const options = { stdio: ['ignore', log, log] as ('ignore' | number)[] };
    this.#child = track(spawn(EXECUTABLE, ['replicate', '-config', configPath], options));
    this.#logPath = logPath;
  }

  /** Resolves when Rivulet has said in its log where its metrics are. */
  async ready(): Promise<void> {
    await within(START_PATIENCE_MS, 'rivulet did not start', async () => {
      if (this.#child.exitCode !== null)
        throw new Error(`rivulet ended early:\n${readFileSync(this.#logPath, 'utf8')}`);
      this.#metricsUrl = /url=(http\S+\/metrics)/.exec(readFileSync(this.#logPath, 'utf8'))?.[1];
      return this.#metricsUrl !== undefined;
    });
  }

  async progress(): Promise<Progress> {
    const text = await (await fetch(this.#metricsUrl ?? '')).text();
    const put = 'operation="PUT"';
    return {
      index: metric(text, 'rivulet_replica_confirmed_index'),
      offsetBytes: metric(text, 'rivulet_replica_confirmed_offset'),
      lagBytes: metric(text, 'rivulet_replica_lag_bytes'),
      lagSeconds: metric(text, 'rivulet_replica_lag_seconds'),
      objects: metric(text, 'litestream_replica_operation_total', put),
      storedBytes: metric(text, 'litestream_replica_operation_bytes', put),
      looks: metric(text, 'litestream_sync_count'),
    };
  }

  /** Resolves when everything that is committed now is stored: it has looked twice since, and lacks nothing. */
  async level(): Promise<void> {
    const { looks } = await this.progress();
    await within(LEVEL_PATIENCE_MS, 'rivulet did not catch up', async () => {
      const now = await this.progress();
      return now.looks >= looks + 2 && now.lagBytes === 0;
    });
  }

  async stop(): Promise<number | NodeJS.Signals> {
    return end(this.#child, 'SIGTERM');
  }
}

/** Runs `rivulet WORDS` to its end and answers what it printed. Throws when it fails. */
export async function rivulet(words: readonly string[]): Promise<string> {
  const child = track(spawn(EXECUTABLE, words, { stdio: ['ignore', 'pipe', 'pipe'] }));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const closed = new Promise((resolve) => child.once('close', resolve));
  const code = await ended(child);
  await closed;
  if (code !== 0) throw new Error(`rivulet ${words[0]} ended with ${code}:\n${output}`);
  return output;
}

/** The sum of a metric's series whose labels contain `label`. */
function metric(text: string, name: string, label = ''): number {
  const series = text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(label));
  return series.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

async function within(patienceMs: number, failure: string, condition: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`${failure} within ${patienceMs / 1000} s`);
    await sleep(POLL_MS);
  }
}
