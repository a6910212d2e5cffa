/**
 * `npm run demo`: a live database is replicated, destroyed and rebuilt, and every row compared. Ends by itself in about
 * fifteen seconds; exit code 1 when anything differs. What it makes lies in one temporary directory.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';

import { endAll } from './demo/children.ts';
import { fingerprint, integrity, type TableContent } from './demo/fingerprint.ts';
import { Replication, rivulet } from './demo/rivulet.ts';
import {
  bold,
  count,
  endProgress,
  good,
  heading,
  say,
  shell,
  showProgress,
  showTables,
} from './demo/screen.ts';
import { Shop } from './demo/shop.ts';

const ACT_MS = 4_000;
const FRAME_MS = 100;
/** So much time lies between the moment in the middle and what is stored next. */
const BREATH_MS = 250;

const directory = mkdtempSync(join(tmpdir(), 'rivulet-demo-'));
const place = {
  database: join(directory, 'shop.db'),
  replica: join(directory, 'replica'),
  config: join(directory, 'rivulet.yml'),
  log: join(directory, 'rivulet.log'),
  restored: join(directory, 'restored.db'),
  middle: join(directory, 'middle.db'),
};
const executable = relative(process.cwd(), fileURLToPath(new URL('../bin/rivulet', import.meta.url)));
const interrupted = new AbortController();

async function main(): Promise<void> {
  heading('An application writes to a SQLite database; Rivulet replicates it to a directory');
  const { shop, replication } = await begin();
  await watch(shop, replication);

  heading('A moment in the middle, to come back to');
  const moment = await markMoment(shop, replication);

  heading('The application goes on, and then it is killed');
  shop.resume();
  await watch(shop, replication);
  const original = await crash(shop, replication);

  heading('The database is deleted');
  deleteDatabase();

  heading('Rivulet restores it');
  await restoreAndCompare(place.restored, original);

  heading('Rivulet restores the moment in the middle');
  await restoreAndCompare(place.middle, moment.content, moment.time);

  explainWhatIsLeft(moment.time);
}

async function begin(): Promise<{ shop: Shop; replication: Replication }> {
  writeFileSync(place.config, configuration());
  const shop = new Shop(place.database);
  await shop.ready();
  say(`database   ${place.database}`);
  say(`replica    ${place.replica}`);
  shell(executable, 'replicate', '-config', place.config);
  const replication = new Replication(place.config, place.log);
  await replication.ready();
  return { shop, replication };
}

/** JSON is YAML, and quotes every path as it must be. */
function configuration(): string {
  return `# Made by the demo of Rivulet.
addr: "127.0.0.1:0"   # metrics and health, at any free port
dbs:
  - path: ${JSON.stringify(place.database)}
    monitor-interval: 250ms
    replicas:
      - path: ${JSON.stringify(place.replica)}
`;
}

/** Shows for a while what happens. */
async function watch(shop: Shop, replication: Replication): Promise<void> {
  const endMs = performance.now() + ACT_MS;
  while (performance.now() < endMs) {
    interrupted.signal.throwIfAborted();
    showProgress(shop.latest, await replication.progress());
    await sleep(FRAME_MS, undefined, { signal: interrupted.signal });
  }
  endProgress();
}

interface Moment {
  readonly time: string;
  readonly content: readonly TableContent[];
}

/** With the application at rest for a moment, what the database holds "then" is known exactly. */
async function markMoment(shop: Shop, replication: Replication): Promise<Moment> {
  await shop.pause();
  await replication.level();
  const content = fingerprint(place.database);
  await sleep(BREATH_MS);
  const time = new Date().toISOString();
  await sleep(BREATH_MS);
  good(`${time}: ${count(rowsOf(content))} rows, noted with their digests`);
  return { time, content };
}

async function crash(shop: Shop, replication: Replication): Promise<readonly TableContent[]> {
  await shop.kill();
  good('killed without a chance to close the database');
  await replication.level();
  good('Rivulet has stored every committed transaction');
  const code = await replication.stop();
  if (code !== 0) throw new Error(`rivulet ended with ${code}; see ${place.log}`);
  good('Rivulet was stopped and ended with exit code 0: nothing is missing at the destination');
  return fingerprint(place.database);
}

/** The database, its log, and Rivulet's own notes: everything but the replica. */
function deleteDatabase(): void {
  const names = readdirSync(directory).filter(
    (name) => name.startsWith('shop.db') || name.startsWith('.shop.db'),
  );
  for (const name of names) rmSync(join(directory, name), { recursive: true });
  good(`deleted ${names.join(', ')}`);
}

async function restoreAndCompare(
  output: string,
  expected: readonly TableContent[],
  timestamp?: string,
): Promise<void> {
  const when = timestamp === undefined ? [] : ['-timestamp', timestamp];
  const words = ['restore', '-config', place.config, ...when, '-o', output, place.database];
  shell(executable, ...words);
  say((await rivulet(words)).trim());
  const restored = fingerprint(output);
  showTables(restored, expected);
  const verdict = integrity(output);
  if (!isDeepStrictEqual(restored, expected))
    throw new Error(`${output} differs from what the database held`);
  if (verdict !== 'ok') throw new Error(`${output} does not pass integrity_check: ${verdict}`);
  good(`all ${count(rowsOf(restored))} rows of ${restored.length} tables are equal; integrity_check: ok`);
}

function rowsOf(content: readonly TableContent[]): number {
  return content.reduce((sum, { rows }) => sum + rows, 0);
}

function explainWhatIsLeft(time: string): void {
  const source = ['-config', place.config, place.database];
  console.log(`\n${bold('Everything lies in')} ${directory}`);
  say('replica/      what Rivulet stored: a snapshot, and the changes since as small segments');
  say('restored.db   the newest state;  middle.db: the moment in the middle');
  say('rivulet.yml   the configuration;  rivulet.log: what Rivulet said');
  console.log(`\n${bold('Try next')}`);
  shell(executable, 'wal', ...source);
  shell(executable, 'snapshots', ...source);
  shell(executable, 'restore', '-dry-run', '-timestamp', time, '-o', 'then.db', ...source);
  shell(executable, 'help', 'restore');
  console.log(`\n${bold('Remove it all')}`);
  shell('rm', '-r', directory);
}

function interrupt(signal: NodeJS.Signals): void {
  process.exitCode = 128 + constants.signals[signal];
  interrupted.abort(new Error(`stopped by ${signal}`));
  // Whatever is being waited for: its process ends, and so the wait does.
  void endAll();
}

process.on('SIGINT', interrupt);
process.on('SIGTERM', interrupt);
process.on('SIGHUP', interrupt);
process.stdout.on('error', () => interrupt('SIGPIPE'));
try {
  await main();
} catch (error) {
  await endAll();
  if (interrupted.signal.aborted) {
    rmSync(directory, { recursive: true, force: true });
    console.error('\nThe demo was stopped; nothing is left behind.');
  } else {
    console.error(`\nThe demo FAILED: ${error instanceof Error ? error.message : String(error)}`);
    console.error(`What it made is left in ${directory}`);
    process.exitCode = 1;
  }
} finally {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, interrupt);
}
