/**
 * Keys rotate under a running replication, and nobody notices: real `rivulet replicate` processes ship 50 commits a second to a
 * real S3 server with keys that live 5 seconds. Then nobody gives new keys for a while, and the replication goes on as soon
 * as somebody does. `RIVULET_ROTATION_SECONDS` shortens or lengthens the first part (60 s).
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { contentsOf, digestRows } from '../compat/support/contents.ts';
import { Running, run } from '../compat/support/tools.ts';
import { CEPH_KEYS, startCephRgw, whyNoCeph } from '../support/ceph-rgw.ts';
import type { CephRgw } from '../support/ceph-rgw.ts';
import { Scratch } from '../support/scratch.ts';
import { whyNoSoftHsm } from '../support/softhsm.ts';
import { envFileWay, iotWay, processWay } from './rotation/ways.ts';
import type { Way } from './rotation/ways.ts';
import { SteadyWriter } from './rotation/writer.ts';
import { freePort } from '../support/free-port.ts';

const ROTATING_MS = Number(process.env['RIVULET_ROTATION_SECONDS'] ?? 60) * 1_000;
const OUTAGE_MS = 20_000;
const AFTERWARDS_MS = 5_000;
const CAUGHT_UP_WITHIN_MS = 5_000;
const BUCKET = 'rotation';

/** A way that can be tried here, or why it cannot. */
const WAYS: readonly [title: string, open: typeof iotWay, skip: string | undefined][] = [
  ['an IoT endpoint with mutual TLS, its key in an HSM', iotWay, whyNoSoftHsm()],
  ['an environment file that is rewritten', envFileWay, undefined],
  ['a credential process', processWay, undefined],
];

describe('keys that rotate', { skip: whyNoCeph() ?? false, concurrency: true }, () => {
  let ceph: CephRgw;
  before(async () => {
    ceph = await startCephRgw();
    await ceph.createBucket(BUCKET);
  });
  after(async () => {
    await ceph[Symbol.asyncDispose]();
  });

  for (const [title, open, skip] of WAYS) {
    it(title, { skip: skip ?? false }, async () => {
      using scratch = new Scratch();
      await using way = await open(ceph, scratch);
      await rotate(way, scratch, ceph);
    });
  }
});

async function rotate(way: Way, scratch: Scratch, ceph: CephRgw): Promise<void> {
  const path = scratch.file('app.db');
  const port = await freePort();
  const config = writeConfig(way, scratch, ceph, port);
  using writer = new SteadyWriter(path);
  await using replicator = new Running('rivulet', ['replicate', '-config', config], { env: way.environment });
  await replicator.until('the first keys', () => replicator.log.includes('credentials are at hand'));

  await sleep(ROTATING_MS);
  assertQuiet(replicator.log);
  await assertStatus(port, way);
  const rotations = linesOf(replicator.log).filter(({ msg }) => msg === 'credentials rotated').length;
  // The first keys, and those of each rotation.
  const lastedMs = ROTATING_MS / (rotations + 1);
  assert.ok(lastedMs < 5_000, `keys were used for ${lastedMs} ms each`);

  await way.goDown();
  await sleep(OUTAGE_MS);
  assert.ok((await lagMs(port)) > 5_000, 'without keys nothing can be stored');
  await way.comeBack();
  const caughtUpMs = await untilCaughtUp(port, replicator);
  const quietFrom = replicator.log.length;
  await sleep(AFTERWARDS_MS);
  assertQuiet(replicator.log.slice(quietFrom));

  writer.stop();
  await replicator.stop();
  await assertRestored(way, config, path, scratch, writer);
  assertNoSecrets(replicator.log);
  console.log(
    `${way.name}: ${writer.commits} commits, ${rotations} rotations in ${ROTATING_MS / 1_000} s, ` +
      `caught up ${caughtUpMs} ms after an outage of ${OUTAGE_MS / 1_000} s`,
  );
  assert.ok(caughtUpMs <= CAUGHT_UP_WITHIN_MS, `caught up only after ${caughtUpMs} ms`);
}

function writeConfig(way: Way, scratch: Scratch, ceph: CephRgw, port: number): string {
  const url = `s3://${BUCKET}/${way.credentials['source']}`;
  const { endpoint, region } = ceph;
  const config = scratch.file('rivulet.yml');
  const dbs = [
    {
      path: scratch.file('app.db'),
      replicas: [{ url, endpoint, region, credentials: way.credentials, 'sync-interval': '200ms' }],
    },
  ];
  const logging = { level: 'debug', type: 'json' };
  writeFileSync(config, JSON.stringify({ addr: `127.0.0.1:${port}`, logging, dbs }));
  return config;
}

interface LogLine {
  readonly level: string | number;
  readonly msg: string;
}

function linesOf(log: string): LogLine[] {
  return log
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as LogLine);
}

/** Nothing above `info`, in words or in pino's numbers. */
function assertQuiet(log: string): void {
  const loud = linesOf(log).filter(({ level }) =>
    typeof level === 'number' ? level > 30 : !['debug', 'info', 'DEBUG', 'INFO'].includes(level),
  );
  assert.deepEqual(loud, []);
}

async function lagMs(port: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
  const { databases } = (await answer.json()) as { databases: { replicas: { lagMs: number }[] }[] };
  return databases[0]?.replicas[0]?.lagMs ?? Number.POSITIVE_INFINITY;
}

/** The health page says where the keys come from, when they came and, where that is known, when they expire. */
async function assertStatus(port: number, way: Way): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
  const { databases } = (await answer.json()) as {
    databases: { replicas: { credentials?: Record<string, unknown> }[] }[];
  };
  const shown = databases[0]?.replicas[0]?.credentials;
  const { source, fetchedAtMs, expiresAtMs } = shown ?? {};
  assert.match(String(source), /^the (AWS IoT endpoint|environment file|credential process) /);
  assert.ok(Number(fetchedAtMs) > Date.now() - 10_000);
  if (way.credentials['source'] !== 'env-file') assert.ok(Number(expiresAtMs) > Date.now() - 3_000);
  assert.ok(Object.keys(shown ?? {}).every((key) => !/secret|token|accesskey/i.test(key)));
}

/** How long it took until everything from before this moment was stored. */
async function untilCaughtUp(port: number, replicator: Running): Promise<number> {
  const backAtMs = performance.now();
  for (;;) {
    const passedMs = performance.now() - backAtMs;
    if ((await lagMs(port)) < passedMs) return Math.round(passedMs);
    assert.ok(passedMs < 60_000, `never caught up\n${replicator.log.slice(-3_000)}`);
    await sleep(20);
  }
}

async function assertRestored(
  way: Way,
  config: string,
  path: string,
  scratch: Scratch,
  writer: SteadyWriter,
): Promise<void> {
  const output = scratch.file('restored.db');
  const { code, out, err } = await run('rivulet', ['restore', '-config', config, '-o', output, path], {
    env: way.environment,
  });
  assert.equal(code, 0, out + err);
  assert.equal(contentsOf(output).rows, digestRows(writer.database), 'every row');
  const row = writer.database.prepare('SELECT count(*) AS rows FROM health').get();
  assert.equal(row?.['rows'], writer.commits);
}

/** The lasting secret, and any header or field that carries one. */
function assertNoSecrets(log: string): void {
  assert.ok(!log.includes(CEPH_KEYS.secretAccessKey));
  assert.doesNotMatch(log, /739164|"(?:secretAccessKey|sessionToken|SecretAccessKey|SessionToken)"/);
}
