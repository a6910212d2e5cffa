/**
 * What a replica costs in requests: `npm run cost`. The real `rivulet replicate` with default settings against an S3 server
 * of our own that counts what arrives; so retries and everything else that goes over the wire is in it.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { LoopbackS3 } from '../../test/support/loopback-s3.ts';
import { dollarsPerMonth, perHour, type RequestCounts } from './prices.ts';

const EXECUTABLE = fileURLToPath(new URL('../../bin/rivulet', import.meta.url));
const READY_MS = 30_000;
/** After the last commit it sends one more word, and then nothing. */
const SETTLE_MS = 70_000;

interface Row {
  readonly load: string;
  readonly seconds: number;
  readonly counts: RequestCounts;
  /** Whether the counts go on like this, or stand for the one event. */
  readonly isRate: boolean;
}

function countsOf(server: LoopbackS3): RequestCounts {
  return {
    put: server.requests.filter(({ operation }) => WRITING.has(operation)).length,
    get: server.requests.filter(({ operation }) => READING.has(operation)).length,
    list: server.count('ListObjectsV2'),
    delete: server.requests.filter(({ operation }) => DELETING.has(operation)).length,
  };
}

const WRITING: ReadonlySet<string> = new Set([
  'PutObject',
  'CreateMultipartUpload',
  'UploadPart',
  'CompleteMultipartUpload',
]);
const READING: ReadonlySet<string> = new Set(['GetObject', 'HeadObject', 'HeadBucket', 'GetBucketLocation']);
const DELETING: ReadonlySet<string> = new Set(['DeleteObjects', 'DeleteObject', 'AbortMultipartUpload']);

function difference(after: RequestCounts, before: RequestCounts): RequestCounts {
  return {
    put: after.put - before.put,
    get: after.get - before.get,
    list: after.list - before.list,
    delete: after.delete - before.delete,
  };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + READY_MS;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`waited in vain: ${what}`);
    await sleep(50);
  }
}

async function measure(seconds: number): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-cost-'));
  const path = join(folder, 'app.db');
  const database = new DatabaseSync(path, { timeout: 5_000 });
  database.exec('PRAGMA journal_mode=wal; CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT)');
  const insert = database.prepare('INSERT INTO t(body) VALUES (?)');
  const commit = (): void => void insert.run('x'.repeat(200));
  for (let n = 0; n < 100; n++) commit();
  await using server = await LoopbackS3.start('bucket');
  const url = `s3://bucket/app?endpoint=${encodeURIComponent(server.endpoint)}&region=us-east-1`;
  const child = spawn(EXECUTABLE, ['replicate', path, url], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' },
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const rows: Row[] = [];
  const during = async (load: string, isRate: boolean, work: () => Promise<void>): Promise<void> => {
    const before = countsOf(server);
    const startedMs = performance.now();
    await work();
    const elapsed = (performance.now() - startedMs) / 1000;
    rows.push({ load, isRate, seconds: elapsed, counts: difference(countsOf(server), before) });
    console.error(`${load}: ${Math.round(elapsed)} s`);
  };
  try {
    await during('start of a replica, first snapshot included', false, async () => {
      await until(() => server.objects().size >= 3, 'the first snapshot and segment');
      await sleep(SETTLE_MS);
    });
    await during('idle', true, async () => sleep(seconds * 1000));
    await during('one commit per second', true, async () => {
      for (let second = 0; second < seconds; second++) {
        commit();
        await sleep(1000);
      }
    });
    await sleep(SETTLE_MS);
    await during('burst: 2,000 commits in 10 s', false, async () => {
      for (let n = 0; n < 2_000; n++) {
        commit();
        if (n % 2 === 1) await sleep(10);
      }
      await sleep(SETTLE_MS);
    });
    await during('one commit per minute', true, async () => {
      for (let minute = 0; minute < Math.max(2, Math.round(seconds / 60)); minute++) {
        commit();
        await sleep(60_000);
      }
    });
  } finally {
    child.kill('SIGTERM');
    await ended;
    database.close();
    rmSync(folder, { recursive: true, force: true });
  }
  return rows;
}

function formatRow({ load, seconds, counts, isRate }: Row): string {
  const shown = isRate ? perHour(counts, seconds * 1000) : counts;
  const cost = isRate ? `${dollarsPerMonth(shown).toFixed(2)} $` : '';
  const cells = [load + (isRate ? '' : ' (in all)'), shown.put, shown.get, shown.list, shown.delete, cost];
  return `| ${cells.join(' | ')} |`;
}

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '120' } } });
const seconds = Number(values.seconds);
if (!Number.isSafeInteger(seconds) || seconds < 10) {
  console.error('usage: npm run cost -- [--seconds N], N of 10 or more');
  process.exitCode = 1;
} else {
  const rows = await measure(seconds);
  console.log(
    '| Load | PUT per hour | GET per hour | LIST per hour | DELETE per hour | Requests per month |',
  );
  console.log('|---|---:|---:|---:|---:|---:|');
  for (const row of rows) console.log(formatRow(row));
}
