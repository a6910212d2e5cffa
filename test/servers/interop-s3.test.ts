/**
 * The real Litestream v0.3.13 and Rivulet on one replica of a real S3 server, with one configuration file: each restores,
 * lists and continues what the other wrote.
 */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeadObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { Application, assertShipped } from '../compat/support/application.ts';
import { contentsOf } from '../compat/support/contents.ts';
import {
  Running,
  run,
  runBoth,
  skip as withoutLitestream,
  TOOLS,
  type Tool,
} from '../compat/support/tools.ts';
import { newKeyPair } from '../support/age-keys.ts';
import { CEPH_KEYS, type CephRgw, startCephRgw, whyNoCeph } from '../support/ceph-rgw.ts';
import { Scratch } from '../support/scratch.ts';
import { PATIENCE_MS } from '../support/until.ts';

const BUCKET = 'interop';

const env = {
  AWS_ACCESS_KEY_ID: CEPH_KEYS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: CEPH_KEYS.secretAccessKey,
};

interface Stored {
  readonly key: string;
  readonly sizeBytes: number;
  readonly etag: string;
}

/** A database with its replica under a prefix of its own. */
class Scene implements Disposable {
  readonly scratch = new Scratch();
  readonly path = this.scratch.file('fruits.db');
  readonly config = this.scratch.file('both.yml');
  readonly #client: S3Client;
  readonly prefix: string;

  constructor(ceph: CephRgw, client: S3Client, prefix: string, form: 'url' | 'keys', more: object = {}) {
    this.#client = client;
    this.prefix = prefix;
    const place =
      form === 'url'
        ? { url: `s3://${BUCKET}.localhost:${ceph.port}/${prefix}` }
        : {
            type: 's3',
            bucket: BUCKET,
            path: prefix,
            endpoint: ceph.endpoint,
            region: ceph.region,
            'force-path-style': true,
          };
    this.write(this.config, this.path, { ...place, ...more });
  }

  write(file: string, path: string, replica: object): void {
    const replicas = [{ ...replica, 'sync-interval': '20ms' }];
    const database = { path, 'monitor-interval': '20ms', 'min-checkpoint-page-count': 20, replicas };
    writeFileSync(file, JSON.stringify({ dbs: [database] }));
  }

  async objects(): Promise<Stored[]> {
    const found: Stored[] = [];
    for (let token: string | undefined; ;) {
      const page = await this.#client.send(
        new ListObjectsV2Command({ Bucket: BUCKET, Prefix: `${this.prefix}/`, ContinuationToken: token }),
      );
      for (const { Key = '', Size = 0, ETag = '' } of page.Contents ?? [])
        found.push({ key: Key.slice(this.prefix.length + 1), sizeBytes: Size, etag: ETag });
      token = page.NextContinuationToken;
      if (token === undefined) return found;
    }
  }

  async count(): Promise<number> {
    return (await this.objects()).filter(({ key }) => key.endsWith('.lz4')).length;
  }

  replicate(tool: Tool, config = this.config): Running {
    return new Running(tool, ['replicate', '-config', config], { env });
  }

  /** Waits for `isSo`. v0.3.13 at times leaves a change alone until the next one comes, so it is not waited for long. */
  async until(what: string, replicator: Running, isSo: () => Promise<boolean>, firm = true): Promise<void> {
    const patienceMs = firm ? PATIENCE_MS : 500;
    const giveUpAtMs = performance.now() + patienceMs;
    while (!(await isSo())) {
      if (performance.now() > giveUpAtMs) {
        if (!firm) return;
        throw new Error(`${what}\n${replicator.log.slice(-3_000)}`);
      }
      await sleep(20);
    }
  }

  async restored(tool: Tool, more: readonly string[] = []): Promise<string> {
    const output = this.scratch.file(`restored-by-${tool}.db`);
    rmSync(output, { force: true });
    const words = ['restore', '-config', this.config, '-o', output, ...more, this.path];
    const { code, out, err } = await run(tool, words, { env });
    assert.equal(code, 0, `${tool}: ${out}${err}`);
    return contentsOf(output).rows;
  }

  /** One program replicates while the application writes. */
  async turn(tool: Tool, application: Application, changes = 3): Promise<void> {
    const before = await this.count();
    await using replicator = this.replicate(tool);
    await this.until('something stored', replicator, async () => (await this.count()) > before);
    for (let change = 0; change < changes; change++) {
      const known = await this.count();
      application.write(8);
      const isThere = async (): Promise<boolean> => (await this.count()) > known;
      await this.until('the last change', replicator, isThere, tool === 'rivulet');
    }
    await replicator.stop();
  }

  [Symbol.dispose](): void {
    this.scratch[Symbol.dispose]();
  }
}

describe('Litestream v0.3.13 and Rivulet on S3', { skip: whyNoCeph() ?? withoutLitestream }, () => {
  let ceph: CephRgw;
  let client: S3Client;
  before(async () => {
    ceph = await startCephRgw();
    await ceph.createBucket(BUCKET);
    client = ceph.client();
  });
  after(async () => {
    client.destroy();
    await ceph[Symbol.asyncDispose]();
  });

  for (const form of ['url', 'keys'] as const) {
    it(`by turns, each restores, lists and continues what the other wrote (${form})`, async () => {
      using scene = new Scene(ceph, client, `turns/${form}`, form);
      using application = new Application(scene.path);
      for (const tool of ['litestream', 'rivulet', 'litestream', 'rivulet', 'rivulet'] as const) {
        await scene.turn(tool, application);
        for (const reader of TOOLS) assertShipped(tool, await scene.restored(reader), application);
        application.write(8);
      }
      const generations = new Set((await scene.objects()).map(({ key }) => key.split('/')[1]));
      assert.ok(generations.size >= 4, [...generations].join());
      for (const command of ['generations', 'snapshots', 'wal']) {
        const words = [command, '-config', scene.config, scene.path];
        const { rivulet, litestream } = await runBoth(words, { env });
        assert.deepEqual([rivulet.code, litestream.code], [0, 0]);
        const rows = (text: string): string[] =>
          // The lag of a generation goes on between the two, and columns are as wide as it.
          text
            .replaceAll(/ +-?(?:[\d.]+(?:ms|[smh]))+\b/g, '')
            .replaceAll(/ +/g, ' ')
            .split('\n')
            .toSorted();
        assert.deepEqual(rows(rivulet.out), rows(litestream.out), command);
      }
    });
  }

  it('snapshots in several parts, retention, and an application that goes on, in both directions', async () => {
    const more = { retention: '2s', 'retention-check-interval': '500ms', 'snapshot-interval': '1s' };
    using scene = new Scene(ceph, client, 'parts', 'keys', more);
    using application = new Application(scene.path);
    // 24 MB that do not compress: several parts of 8 MiB and of 5 MiB.
    for (let i = 0; i < 6; i++) application.change(`INSERT INTO notes (body) SELECT randomblob(4000000)`);
    for (const tool of ['rivulet', 'litestream', 'rivulet'] as const) {
      const known = new Set((await scene.objects()).map(({ key }) => key));
      await using replicator = scene.replicate(tool);
      const isNew = ({ key, sizeBytes }: Stored): boolean =>
        key.includes('/snapshots/') && !known.has(key) && sizeBytes > 20_000_000;
      // With snapshots and retention at work, old ones must go and newer ones come.
      const seen = new Map<string, Stored>();
      await scene.until('a second snapshot', replicator, async () => {
        application.write(8);
        for (const object of (await scene.objects()).filter(isNew)) seen.set(object.key, object);
        return seen.size > 1;
      });
      const snapshots = [...seen.values()];
      assert.ok(
        snapshots.every(({ etag }) => /-\d+"$/.test(etag)),
        'in parts',
      );
      const first = snapshots[0]?.key ?? '';
      await scene.until('retention', replicator, async () => {
        application.write(8);
        return !(await scene.objects()).some(({ key }) => key === first);
      });
      await replicator.stop();
      for (const reader of TOOLS) assertShipped(tool, await scene.restored(reader), application);
    }
  });

  it('the lease and our create-only writes are nothing to v0.3.13', async () => {
    using scene = new Scene(ceph, client, 'lease', 'url');
    using application = new Application(scene.path);
    await scene.turn('rivulet', application);
    const leases = (await scene.objects()).filter(({ key }) => !key.startsWith('generations/'));
    assert.equal(leases.length, 1, JSON.stringify(leases));
    await scene.turn('litestream', application);
    const [lease] = (await scene.objects()).filter(({ key }) => key === leases[0]?.key);
    assert.equal(lease?.etag, leases[0]?.etag, 'v0.3.13 leaves the lease alone');
    const head = new HeadObjectCommand({ Bucket: BUCKET, Key: `lease/${leases[0]?.key}` });
    assert.ok(((await client.send(head)).ContentLength ?? 0) > 0);
    await scene.turn('rivulet', application);
    for (const reader of TOOLS) assert.equal(await scene.restored(reader), application.rows);
  });

  it('v0.3.13 started beside us on another machine: we say so, and both histories restore', async () => {
    const more = { 'retention-check-interval': '300ms', 'snapshot-interval': '500ms' };
    using scene = new Scene(ceph, client, 'beside', 'url', more);
    using application = new Application(scene.path);
    // A copy of the database, as after a move of the service that left the old one running.
    const copy = scene.scratch.file('copy.db');
    using other = new Application(copy);
    other.write(8);
    const config = scene.scratch.file('copy.yml');
    scene.write(config, copy, { url: `s3://${BUCKET}.localhost:${ceph.port}/beside` });
    await using ours = scene.replicate('rivulet');
    await scene.until('ours', ours, async () => (await scene.count()) > 0);
    const own = (await scene.objects())[0]?.key.split('/')[1] ?? '';
    await using theirs = scene.replicate('litestream', config);
    const generations = async (): Promise<Set<string>> =>
      new Set((await scene.objects()).map(({ key }) => key.split('/')[1] ?? ''));
    await scene.until('theirs', theirs, async () => {
      other.write(8);
      return (await generations()).size > 1;
    });
    const said = 'another program writes to this replica';
    await scene.until('we say so', ours, async () => {
      application.write(4);
      return ours.log.includes(said);
    });
    await theirs.stop();
    application.write(8);
    await ours.stop();
    assert.equal(ours.log.split(said).length - 1, 1, 'once');
    assert.equal(await scene.restored('rivulet', ['-generation', own]), application.rows);
    const foreign = [...(await generations())].find((one) => one !== own) ?? '';
    assert.ok(other.states.includes(await scene.restored('rivulet', ['-generation', foreign])));
  });

  it('age, one round trip each way', async () => {
    const keys = await newKeyPair();
    const age = { age: { identities: [keys.identity], recipients: [keys.recipient] } };
    using scene = new Scene(ceph, client, 'age', 'url', age);
    using application = new Application(scene.path);
    for (const tool of ['litestream', 'rivulet', 'litestream'] as const) {
      await scene.turn(tool, application);
      for (const reader of TOOLS) assertShipped(tool, await scene.restored(reader), application);
    }
  });
});
