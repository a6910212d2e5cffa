/** The commands, with destinations on real servers: by URL and by configuration, with keys that change meanwhile. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { EXIT_CREDENTIALS_REFUSED } from '../../src/cli/exit-codes.ts';
import { startCephRgw, type CephRgw, whyNoCeph } from '../support/ceph-rgw.ts';
import { OpenSshServer, whyNoOpenSsh } from '../support/openssh.ts';
import { runRivulet, startRivulet, type Started } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';

function makeDatabase(path: string, rows: number): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec('PRAGMA journal_mode=WAL; CREATE TABLE t(n INTEGER)');
  for (let n = 0; n < rows; n++) database.prepare('INSERT INTO t VALUES (?)').run(n);
  return database;
}

function countOf(path: string): number {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return Number(database.prepare('SELECT count(*) AS n FROM t').get()?.['n']);
  } finally {
    database.close();
  }
}

/** Keys that are refused are asked for again for a while before anything is said. */
const PATIENCE_MS = 90_000;

async function until(running: Started, text: string, times = 1): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  while (running.text().split(text).length - 1 < times) {
    assert.ok(performance.now() < endMs, `waited in vain for "${text}":\n${running.text()}`);
    await delay(20);
  }
}

/** What every command does with a destination that is told by its URL alone. */
async function byUrl(scratch: Scratch, url: string): Promise<void> {
  const path = scratch.file('app.db');
  const database = makeDatabase(path, 5);
  const running = startRivulet(['replicate', path, url]);
  await until(running, 'snapshot written');
  database.exec('INSERT INTO t VALUES (99)');
  await delay(1_500);
  running.process.kill('SIGHUP');
  await until(running, 'changes=none');
  running.process.kill('SIGTERM');
  assert.equal((await running.ended).code, 0, running.text());
  database.close();
  for (const command of ['generations', 'snapshots', 'wal']) {
    const { code, out, err } = await runRivulet([command, '-json', url]);
    assert.equal(code, 0, err);
    assert.ok((JSON.parse(out) as unknown[]).length >= 1, `${command}: ${out}`);
  }
  const dry = await runRivulet(['restore', '-dry-run', '-o', scratch.file('dry.db'), url]);
  assert.equal(dry.code, 0, dry.err);
  const restored = scratch.file('restored.db');
  const { code, err } = await runRivulet(['restore', '-o', restored, url]);
  assert.equal(code, 0, err);
  assert.equal(countOf(restored), 6);
}

describe('commands with S3', { skip: whyNoCeph() ?? false }, () => {
  let ceph: CephRgw;
  before(async () => {
    ceph = await startCephRgw();
    await ceph.createBucket('commands');
    process.env['LITESTREAM_ACCESS_KEY_ID'] = ceph.keys.accessKeyId;
    process.env['LITESTREAM_SECRET_ACCESS_KEY'] = ceph.keys.secretAccessKey;
  });
  after(async () => {
    delete process.env['LITESTREAM_ACCESS_KEY_ID'];
    delete process.env['LITESTREAM_SECRET_ACCESS_KEY'];
    await ceph?.[Symbol.asyncDispose]();
  });

  it('by the URL of Litestream v0.3.13', async () => {
    using scratch = new Scratch();
    await byUrl(scratch, `s3://commands.localhost:${ceph.port}/v03`);
  });

  it('by a URL with parameters, and by a server with the bucket in the path', async () => {
    using scratch = new Scratch();
    await byUrl(scratch, `s3://commands/query?endpoint=${encodeURIComponent(ceph.endpoint)}&partSize=6MiB`);
    using other = new Scratch();
    await byUrl(other, `s3://127.0.0.1:${ceph.port}/commands/in-path`);
  });

  it('by a URL that names the bucket of a tenant', async () => {
    using scratch = new Scratch();
    const keys = await ceph.createTenant('acme', 'app');
    const before = { ...process.env };
    process.env['LITESTREAM_ACCESS_KEY_ID'] = keys.accessKeyId;
    process.env['LITESTREAM_SECRET_ACCESS_KEY'] = keys.secretAccessKey;
    try {
      await byUrl(scratch, `s3://acme%3Aapp/db?endpoint=${ceph.endpoint}`);
    } finally {
      Object.assign(process.env, before);
    }
  });

  it('with keys from a file that is changed: SIGHUP takes the new ones at once, nothing stops', async () => {
    using scratch = new Scratch();
    const path = scratch.file('app.db');
    const keys = scratch.file('keys.env');
    const wrong = 'AWS_ACCESS_KEY_ID=testkey\nAWS_SECRET_ACCESS_KEY=wrong\n';
    const right = 'AWS_ACCESS_KEY_ID=testkey\nAWS_SECRET_ACCESS_KEY=testsecret\n';
    writeFileSync(keys, right);
    const config = scratch.file('rivulet.yml');
    const url = `s3://commands.localhost:${ceph.port}/env-file`;
    const replica = `{url: "${url}", sync-interval: 10ms, credentials: {source: env-file, path: ${keys}}}`;
    writeFileSync(
      config,
      `logging: {level: debug}\ndbs:\n  - path: ${path}\n    replicas:\n      - ${replica}\n`,
    );
    const database = makeDatabase(path, 5);
    const running = startRivulet(['replicate', '-config', config], { patienceMs: 2 * PATIENCE_MS });
    await until(running, 'snapshot written');
    writeFileSync(keys, wrong);
    running.process.kill('SIGHUP');
    await until(running, 'the configuration was reloaded');
    // A request on its way may have seen the file as it was written, which makes its reader careful for two seconds.
    await until(running, 'credentials rotated');
    database.exec('INSERT INTO t VALUES (1)');
    await until(running, 'the destination failed');
    writeFileSync(keys, right);
    running.process.kill('SIGHUP');
    await until(running, 'the destination works again');
    running.process.kill('SIGTERM');
    assert.equal((await running.ended).code, 0, running.text());
    assert.ok(!running.text().includes('testsecret'));
    database.close();
    const restored = scratch.file('restored.db');
    assert.equal((await runRivulet(['restore', '-o', restored, url])).code, 0);
    assert.equal(countOf(restored), 6);
  });

  it('on-auth-failure: exit ends with a code of its own when keys are refused', async () => {
    using scratch = new Scratch();
    const path = scratch.file('app.db');
    const config = scratch.file('rivulet.yml');
    const replica =
      `{url: "s3://commands.localhost:${ceph.port}/refused", on-auth-failure: exit, ` +
      'access-key-id: testkey, secret-access-key: hunter2}';
    writeFileSync(config, `dbs:\n  - path: ${path}\n    replicas:\n      - ${replica}\n`);
    makeDatabase(path, 1).close();
    const { code, out, err } = await runRivulet(['replicate', '-config', config]);
    assert.equal(code, EXIT_CREDENTIALS_REFUSED, out + err);
    assert.match(out, /ERROR[^\n]*a destination refuses its credentials/);
    assert.ok(!(out + err).includes('hunter2'));
  });
});

describe('commands with SFTP', { skip: whyNoOpenSsh() ?? false }, () => {
  it('by a URL whose parameters name the key and the server', async () => {
    await using server = await OpenSshServer.start();
    using scratch = new Scratch();
    const { host, port, user, path, keyPath } = server;
    const key = encodeURIComponent(server.hostKey());
    await byUrl(
      scratch,
      `sftp://${user}@${host}:${port}${path}/cli?key-path=${encodeURIComponent(keyPath)}&host-key=${key}`,
    );
  });
});
