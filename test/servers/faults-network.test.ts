/** Faults between a running replication and its service: names, certificates, keys, and nobody there for ten minutes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeIdentity } from '../support/certificates.ts';
import { LoopbackS3 } from '../support/loopback-s3.ts';
import { Scratch } from '../support/scratch.ts';
import { openS3Scene, replicaAt } from './faults/s3-scene.ts';
import { Scene } from './faults/scene.ts';
import { TlsFront } from './faults/tls-front.ts';

const FAST_TIME = new URL('faults/fast-time.mjs', import.meta.url).href;
const TIME_FACTOR = 40;

/** Lets a process wait for less, and believe that it waited as long as it wanted. */
function fastTime(factor: number): Record<string, string> {
  return { NODE_OPTIONS: `--import ${FAST_TIME}`, TIME_FACTOR: String(factor) };
}

const MIB = 1024 * 1024;
const FAILED = 'the destination failed; trying again';
const WORKS = 'the destination works again';

describe('nobody there for ten minutes', () => {
  /**
   * Ten minutes pass in a quarter of one: every wait of the process is 40 times shorter, and its clocks go 40 times faster. The
   * application's are real, and it writes as much as it would in ten minutes at 100 kB/s, so that the spool fills.
   */
  it('the application goes on, within bounds; a handful of lines in the log', async () => {
    await using all = await openS3Scene({
      env: fastTime(TIME_FACTOR),
      timeFactor: TIME_FACTOR,
      replica: { 'sync-interval': '1s' },
      database: { 'monitor-interval': '2s' },
      bodyBytes: 20_000,
      pauseMs: 5,
    });
    const { server, scene } = all;
    await scene.remember();
    const linesBefore = scene.lines.length;
    await server.stop();
    await sleep((10 * 60_000) / TIME_FACTOR);
    await server.start();
    await scene.until('the word that it is over', () => scene.said(WORKS) > 0);
    await scene.caughtUp();
    const loud = scene.lines
      .slice(linesBefore)
      .filter(({ level }) => ['warn', 'error', 40, 50].includes(level));
    const told = Map.groupBy(loud, ({ msg }) => msg);
    // When it begins, and a reminder each five minutes.
    const failures = told.get(FAILED)?.length ?? 0;
    assert.ok(failures >= 1 && failures <= 3, `${failures} lines`);
    told.delete(FAILED);
    // What it leads to: a stall, a full spool, a broken chain, where the destination stands. Each is told once.
    assert.ok(told.size <= 5, [...told.keys()].join('\n'));
    for (const [message, lines] of told) assert.equal(lines.length, 1, message);
    assert.equal(scene.said(WORKS), 1);
    assert.ok(scene.peak.spoolBytes > 8 * MIB, `the spool held ${scene.peak.spoolBytes} bytes only`);
    await scene.finish();
  });
});

describe('names that cannot be looked up', { skip: whyNoNamespace() }, () => {
  it('at first, and again later', async () => {
    await using server = await LoopbackS3.start();
    using scratch = new Scratch();
    const hosts = scratch.file('hosts');
    const resolver = scratch.file('resolv.conf');
    const node = scratch.file('node');
    const nobody = '127.0.0.1 localhost\n';
    writeFileSync(hosts, nobody);
    // Nobody listens there, so the answer comes at once.
    writeFileSync(resolver, 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
    const mounts = `mount --bind ${hosts} /etc/hosts && mount --bind ${resolver} /etc/resolv.conf`;
    writeFileSync(
      node,
      `#!/bin/sh\nexec unshare --mount sh -c '${mounts} && exec ${process.execPath} "$@"' sh "$@"\n`,
    );
    chmodSync(node, 0o755);
    const { port } = new URL(server.endpoint);
    const replica = replicaAt(`http://s3.rivulet.test:${port}`);
    await using scene = new Scene({ replica, env: { RIVULET_NODE: node } });
    scene.startReplicator();
    await scene.startWriter();
    await sleep(2_000);
    assert.equal(server.requests.length, 0);
    writeFileSync(hosts, `${nobody}127.0.0.1 s3.rivulet.test\n`);
    await scene.remember();
    writeFileSync(hosts, nobody);
    await server.stop();
    await server.start();
    const from = server.requests.length;
    await sleep(2_000);
    assert.ok(server.requests.length - from < 3, 'it is not found any more');
    writeFileSync(hosts, `${nobody}127.0.0.1 s3.rivulet.test\n`);
    await scene.finish();
  });
});

describe('TLS', { concurrency: 2 }, () => {
  const authority = makeIdentity({ name: 'Authority of the test' });
  const good = makeIdentity({ name: 'localhost', issuer: authority });

  it('a certificate of nobody known: says so and what to do; skip-verify takes it', async () => {
    await using server = await LoopbackS3.start();
    await using front = await TlsFront.start(makeIdentity({ name: 'localhost' }), server.endpoint);
    await using scene = new Scene({ replica: replicaAt(front.endpoint) });
    scene.startReplicator();
    await scene.startWriter();
    await scene.until('the failure', () => scene.said(FAILED) > 0);
    const failure = scene.lines.find(({ msg }) => msg === FAILED);
    assert.match(JSON.stringify(failure), /self-signed certificate/);
    assert.match(String(failure?.['hint']), /`ca-file` or in SSL_CERT_FILE.*skip-verify/);
    await sleep(500);
    assert.equal(server.requests.length, 0, 'nothing went there');
    await scene.stopReplicator('kill');
    scene.writeConfig({ 'skip-verify': true });
    scene.startReplicator();
    await scene.remember();
    await scene.finish();
  });

  it('an authority by NODE_EXTRA_CA_CERTS; certificates that are replaced under way', async () => {
    await using server = await LoopbackS3.start();
    await using front = await TlsFront.start(good, server.endpoint);
    using scratch = new Scratch();
    writeFileSync(scratch.file('ca.pem'), authority.certificate);
    const env = { NODE_EXTRA_CA_CERTS: scratch.file('ca.pem') };
    await using scene = await Scene.start({ replica: replicaAt(front.endpoint), env });
    await scene.remember();
    front.show(makeIdentity({ name: 'localhost', issuer: authority }));
    await scene.caughtUp();
    assert.equal(scene.said(FAILED), 0, 'a new certificate of the same authority is nothing to tell');
    const expired = makeIdentity({
      name: 'localhost',
      issuer: authority,
      notBefore: new Date(Date.now() - 2 * 86_400_000),
      notAfter: new Date(Date.now() - 86_400_000),
    });
    front.show(expired);
    await scene.until('the failure', () => scene.said(FAILED) === 1);
    assert.match(JSON.stringify(scene.lines.find(({ msg }) => msg === FAILED)), /certificate has expired/);
    await sleep(1_500);
    front.show(good);
    await scene.until('the recovery', () => scene.said(WORKS) === 1);
    assert.equal(scene.said(FAILED), 1);
    await scene.finish();
  });
});

describe('keys that cannot be had, or are refused, at the start', { concurrency: 2 }, () => {
  it('an endpoint for keys that is down: says so, goes on trying, and loses nothing', async () => {
    const answer = {
      AccessKeyId: 'AKIATEST',
      SecretAccessKey: 'secretsecret',
      Token: 'token',
      Expiration: new Date(Date.now() + 3_600_000).toISOString(),
    };
    const keys = createServer((_request, response) => void response.end(JSON.stringify(answer)));
    const listen = async (port: number): Promise<void> =>
      new Promise((resolve) => keys.listen(port, '127.0.0.1', () => resolve()));
    await listen(0);
    const { port } = keys.address() as AddressInfo;
    await new Promise((resolve) => keys.close(resolve));
    await using server = await LoopbackS3.start();
    // It is told after a minute of attempts; in a tenth of it here.
    const timeFactor = 10;
    const source = `http://127.0.0.1:${port}/keys`;
    const env = { ...fastTime(timeFactor), AWS_CONTAINER_CREDENTIALS_FULL_URI: source };
    const { 'access-key-id': _, 'secret-access-key': __, ...place } = replicaAt(server.endpoint);
    await using scene = new Scene({
      replica: { ...place, credentials: { source: 'container' } },
      env,
      timeFactor,
    });
    scene.startReplicator();
    await scene.startWriter();
    await scene.until('the failure', () => scene.log.includes('CREDENTIALS_FAILED'));
    assert.equal(server.requests.length, 0);
    await listen(port);
    try {
      await scene.remember();
      await scene.finish();
    } finally {
      keys.closeAllConnections();
      keys.close();
    }
  });

  it('keys that are refused: says so, goes on trying, takes the right ones from the file', async () => {
    await using server = await LoopbackS3.start();
    server.refusesKeys = (id) => (id === 'AKIARIGHT' ? undefined : 'InvalidAccessKeyId');
    using scratch = new Scratch();
    writeFileSync(scratch.file('id'), 'AKIAWRONG\n');
    const { 'access-key-id': _, ...place } = replicaAt(server.endpoint);
    const replica = { ...place, 'access-key-id-file': scratch.file('id') };
    await using scene = new Scene({ replica });
    scene.startReplicator();
    await scene.startWriter();
    await scene.until('the failure', () => scene.log.includes('InvalidAccessKeyId'));
    assert.equal(server.objects().size, 0);
    writeFileSync(scratch.file('id'), 'AKIARIGHT\n');
    await scene.remember();
    assert.ok(!scene.log.includes('secretsecret'));
    await scene.finish();
  });

  it('with on-auth-failure: exit it ends, and the next start loses nothing', async () => {
    await using server = await LoopbackS3.start();
    server.refusesKeys = () => 'InvalidAccessKeyId';
    const replica = { ...replicaAt(server.endpoint), 'on-auth-failure': 'exit' };
    await using scene = new Scene({ replica });
    await scene.startWriter();
    scene.startReplicator();
    const code = await scene.replicatorEnded();
    assert.ok(code !== 0 && code !== null, `exit code ${code}`);
    assert.match(scene.log, /refuses its credentials; ending/);
    server.refusesKeys = () => undefined;
    scene.startReplicator();
    await scene.remember();
    await scene.finish();
  });
});

/** False when this process may give another one files of its own in the place of the system's. */
function whyNoNamespace(): string | false {
  if (process.platform !== 'linux' || !existsSync('/etc/hosts') || !existsSync('/etc/resolv.conf'))
    return 'needs Linux with /etc/hosts and /etc/resolv.conf';
  try {
    execFileSync('unshare', ['--mount', 'mount', '--bind', '/etc/hosts', '/etc/hosts'], { stdio: 'pipe' });
    return false;
  } catch (error) {
    return `needs root, to make a mount namespace: ${String(error)}`;
  }
}
