/**
 * A real application under load beside Rivulet, with its own backups: PocketBase, which checkpoints both of its databases with
 * `wal_checkpoint(TRUNCATE)` before each. Its users must not notice Rivulet, and both databases must restore.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { PocketBase, type Reply, whyNoPocketBase } from '../support/pocketbase.ts';
import { Scratch } from '../support/scratch.ts';
import { contentsOf, digestRows } from './support/contents.ts';
import { countObjects } from './support/replica-files.ts';
import { run, Running } from './support/tools.ts';

const USERS = 4;
/** Between two requests of a user, so that the load is bounded. */
const PAUSE_MS = 20;
const BACKUPS = 3;
const BACKUP_EVERY_MS = 20_000;
const FIRST_BACKUP_MS = 3_000;
/** A backup alone, before Rivulet comes: PocketBase lets nobody write while it archives its data. */
const ALONE_BACKUPS = 2;
const ALONE_EVERY_MS = 2_000;
/** Beside what the longest one takes alone, since test machines are busy. */
const LONGER_MS_MAX = 1_000;
const REQUESTS_MIN = 1_000;

interface Felt {
  requests: number;
  longestMs: number;
  longest: string;
  readonly failed: string[];
  readonly backupsMs: number[];
}

function note(felt: Felt, what: string, { status, tookMs, body }: Reply): void {
  felt.requests += 1;
  if (status >= 300)
    felt.failed.push(`${what}: ${status} ${JSON.stringify(body)} after ${tookMs.toFixed(0)} ms`);
  if (tookMs > felt.longestMs) [felt.longestMs, felt.longest] = [tookMs, what];
}

/** Creates, changes, lists and deletes, one request after another, until it is told to end. */
async function oneUser(application: PocketBase, felt: Felt, signal: AbortSignal): Promise<void> {
  const records = '/api/collections/posts/records';
  const ask = async (method: string, path: string, body?: unknown): Promise<Reply> => {
    const reply = await application.request(method, path, body);
    note(felt, `${method} ${path}`, reply);
    await delay(PAUSE_MS);
    return reply;
  };
  for (let n = 0; !signal.aborted; n++) {
    const { body } = await ask('POST', records, { title: `post ${n} `.repeat(40), number: n });
    const own = `${records}/${String(body['id'])}`;
    await ask('PATCH', own, { number: n + 1 });
    await ask('GET', `${records}?perPage=20&sort=-number`);
    if (n % 3 === 0) await ask('DELETE', own);
  }
}

/** Lets all users work, and PocketBase back itself up so many times meanwhile. */
async function underLoad(application: PocketBase, backups: number, everyMs: number): Promise<Felt> {
  const felt: Felt = { requests: 0, longestMs: 0, longest: '', failed: [], backupsMs: [] };
  const ending = new AbortController();
  const users = Array.from({ length: USERS }, async () => oneUser(application, felt, ending.signal));
  await delay(FIRST_BACKUP_MS);
  for (let left = backups; left > 0; left--) {
    const reply = await application.backUp();
    felt.backupsMs.push(Math.round(reply.tookMs));
    if (reply.status !== 204) felt.failed.push(`a backup: ${reply.status} ${JSON.stringify(reply.body)}`);
    await delay(left > 1 ? everyMs : FIRST_BACKUP_MS);
  }
  ending.abort();
  await Promise.all(users);
  return felt;
}

function rowsOf(path: string): string {
  using database = new DatabaseSync(path, { readOnly: true, timeout: 10_000 });
  return digestRows(database);
}

test(
  'PocketBase under load with its own backups: nobody notices Rivulet',
  { skip: whyNoPocketBase() },
  async (t) => {
    using scratch = new Scratch();
    await using application = await PocketBase.start(scratch.path);
    const alone = await underLoad(application, ALONE_BACKUPS, ALONE_EVERY_MS);
    const config = scratch.file('rivulet.yml');
    const dbs = application.databases.map((path, i) => ({
      path,
      // PocketBase's backup archives its whole data directory, and refuses what is no file.
      'meta-path': scratch.file(`state-${i}`),
      replicas: [{ path: scratch.file(`replica-${i}`) }],
    }));
    writeFileSync(config, JSON.stringify({ socket: { path: scratch.file('control.sock') }, dbs }));
    await using rivulet = new Running('rivulet', ['replicate', '-config', config]);
    for (const i of dbs.keys())
      await rivulet.until('a first snapshot', () => countObjects(scratch.file(`replica-${i}`)) > 0);

    const felt = await underLoad(application, BACKUPS, BACKUP_EVERY_MS);
    t.diagnostic(JSON.stringify({ felt, alone }));
    assert.deepEqual(felt.failed, []);
    assert.ok(felt.requests > REQUESTS_MIN, `only ${felt.requests} requests`);
    const longest = `${felt.longest} took ${felt.longestMs.toFixed(0)} ms, alone ${alone.longestMs.toFixed(0)}`;
    assert.ok(felt.longestMs <= alone.longestMs + LONGER_MS_MAX, longest);

    await application.stop();
    await rivulet.stop();
    for (const path of application.databases) {
      using restored = new Scratch();
      const output = restored.file('restored.db');
      const { code, out, err } = await run('rivulet', ['restore', '-config', config, '-o', output, path]);
      assert.equal(code, 0, out + err);
      assert.equal(contentsOf(output).rows, rowsOf(path), path);
    }
  },
);
