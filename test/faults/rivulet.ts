/** Rivulet as people run it: the executable, a configuration file, JSON lines. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ManagedProcess } from './process.ts';
import type { ReplicationSettings } from './plan.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const RIVULET: string = join(ROOT, 'bin/rivulet');
export const LITESTREAM: string = join(ROOT, 'node_modules/.bin/litestream');
const COMMAND_TIMEOUT_MS = 60_000;

/** Where the parts of one trial lie. */
export interface Place {
  readonly folder: string;
  readonly databasePath: string;
  readonly configPath: string;
  readonly logPath: string;
  replicaPath(name: string): string;
}

/** @param replicaPaths - where replicas lie that have a place of their own; the others lie in `folder` */
export function placeIn(folder: string, replicaPaths: Readonly<Record<string, string>> = {}): Place {
  return {
    folder,
    databasePath: join(folder, 'app.db'),
    configPath: join(folder, 'rivulet.yml'),
    logPath: join(folder, 'rivulet.log'),
    replicaPath: (name) => replicaPaths[name] ?? join(folder, `replica-${name}`),
  };
}

function milliseconds(ms: number): string {
  return `${ms}ms`;
}

export function writeConfig(place: Place, settings: ReplicationSettings): void {
  const config = {
    addr: '127.0.0.1:0',
    'shutdown-timeout': milliseconds(settings.shutdownTimeoutMs ?? 30_000),
    logging: { type: 'json', level: 'debug' },
    dbs: [
      {
        path: place.databasePath,
        'monitor-interval': '100ms',
        'min-checkpoint-page-count': settings.minCheckpointPages,
        'max-checkpoint-page-count': settings.maxCheckpointPages,
        'checkpoint-interval': milliseconds(settings.checkpointIntervalMs),
        replicas: settings.replicas.map((name) => ({
          name,
          type: 'file',
          path: place.replicaPath(name),
          'sync-interval': milliseconds(settings.syncIntervalMs),
          'snapshot-interval': milliseconds(settings.snapshotIntervalMs),
          retention: milliseconds(settings.retentionMs),
          'retention-check-interval': milliseconds(Math.min(settings.retentionMs, 500)),
          'validation-interval': milliseconds(settings.validationIntervalMs),
        })),
      },
    ],
  };
  // JSON is YAML, too.
  writeFileSync(place.configPath, JSON.stringify(config, undefined, 2));
}

export function replicateProcess(place: Place): ManagedProcess {
  return new ManagedProcess({
    title: 'rivulet',
    file: RIVULET,
    args: () => ['replicate', '-config', place.configPath],
    outputPath: place.logPath,
  });
}

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** What has been logged so far; a line that is not JSON counts as an error. */
export function readLog(place: Place): LogLine[] {
  if (!existsSync(place.logPath)) return [];
  const lines = readFileSync(place.logPath, 'utf8').split('\n');
  // A killed process may leave half a line.
  return lines.filter((line) => line !== '').map(parseLine);
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return { level: 'text', msg: line };
  }
}

export interface Health {
  readonly databases: readonly {
    readonly state: string;
    readonly replicas: readonly {
      readonly name: string;
      readonly state: string;
      readonly lagBytes: number;
    }[];
  }[];
}

/** What `/healthz` of the present process says; undefined when nobody answers. */
export async function readHealth(place: Place): Promise<Health | undefined> {
  const url = readLog(place).findLast(({ msg }) => msg === 'serving metrics and health')?.['url'];
  if (typeof url !== 'string') return undefined;
  try {
    const response = await fetch(url.replace(/metrics$/, 'healthz'), { signal: AbortSignal.timeout(2_000) });
    return (await response.json()) as Health;
  } catch {
    return undefined;
  }
}

export interface CommandResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

/** Runs a command to its end. */
export async function runCommand(
  file: string,
  args: readonly string[],
  options: { killAfterMs?: number } = {},
): Promise<CommandResult> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const timer = setTimeout(() => child.kill('SIGKILL'), options.killAfterMs ?? COMMAND_TIMEOUT_MS);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, output, errors });
    });
  });
}

export interface RestoreOptions {
  readonly replica: string;
  readonly outputPath: string;
  /** In milliseconds since 1970. */
  readonly timeMs?: number;
}

export async function restore(place: Place, options: RestoreOptions): Promise<CommandResult> {
  const when = options.timeMs === undefined ? [] : ['-timestamp', new Date(options.timeMs).toISOString()];
  return runCommand(RIVULET, [
    'restore',
    '-config',
    place.configPath,
    '-replica',
    options.replica,
    '-o',
    options.outputPath,
    '-json',
    '-integrity-check',
    'none',
    ...when,
    place.databasePath,
  ]);
}

export async function restoreWithLitestream(place: Place, options: RestoreOptions): Promise<CommandResult> {
  const url = `file://${place.replicaPath(options.replica)}`;
  return runCommand(LITESTREAM, ['restore', '-o', options.outputPath, url]);
}
