/**
 * S3 services that answer 501 to conditional writes, which nobody knows of before the first one: what that means for the
 * lease, for objects that must not be replaced, and for `rivulet check`, through everything that stands around a store.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { checkDestination } from '../../src/daemon/check/check-destination.ts';
import { openStore } from '../../src/daemon/stores.ts';
import { createOnly } from '../../src/replica/create-only.ts';
import { fencedStore } from '../../src/replica/lease/fenced-store.ts';
import type { Lease, LeaseSettings } from '../../src/replica/lease/lease.ts';
import { openLease } from '../../src/replica/lease/open-lease.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import type { Fault, RecordedRequest } from '../support/loopback-s3/faults.ts';
import { LoopbackS3 } from '../support/loopback-s3.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Scratch } from '../support/scratch.ts';

const CONDITIONS = ['if-none-match', 'if-match'] as const;
const NOT_IMPLEMENTED: Fault = { answer: { status: 501, code: 'NotImplemented' } };
type Condition = (typeof CONDITIONS)[number];

function configAt(endpoint: string): string {
  const keys = 'access-key-id: AKIDEXAMPLE, secret-access-key: wJalrXUtnFEMI';
  const place = `type: s3, bucket: bucket, path: app, endpoint: "${endpoint}", region: us-east-1`;
  return `dbs: [{ path: /a.db, replicas: [{ ${place}, ${keys} }] }]`;
}

/** A replica at a service that does not know these conditions, opened as the daemon opens it. */
class Scene implements AsyncDisposable {
  readonly server: LoopbackS3;
  readonly store: ObjectStore;
  readonly logger: RecordingLogger;
  readonly #scratch = new Scratch();
  readonly #leases: Lease[] = [];

  private constructor(server: LoopbackS3, store: ObjectStore, logger: RecordingLogger) {
    this.server = server;
    this.store = store;
    this.logger = logger;
  }

  static async open(unknown: readonly Condition[] = CONDITIONS): Promise<Scene> {
    const server = await LoopbackS3.start();
    const isUnknown = ({ headers }: RecordedRequest): boolean =>
      unknown.some((condition) => headers[condition] !== undefined);
    server.misbehave({ on: isUnknown, fault: NOT_IMPLEMENTED });
    const logger = new RecordingLogger();
    const { config } = parseConfig(configAt(server.endpoint), { file: 'f', environment: {} });
    const replica = config.databases[0]?.replicas[0] ?? assert.fail();
    return new Scene(server, await openStore(replica, { logger }), logger);
  }

  lease(name: string, mode: LeaseSettings['mode'] = 'auto'): Lease {
    const lease = openLease(
      { mode, durationMs: 60_000, whenHeld: 'exit', renew: 'active' },
      {
        store: this.store,
        clock: systemClock,
        logger: this.logger,
        metaPath: this.#scratch.file(name),
        name: 's3',
        database: '/a.db',
        program: 'test',
      },
    );
    this.#leases.push(lease);
    return lease;
  }

  keys(): string[] {
    return [...this.server.objects().keys()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const lease of this.#leases) await lease.release();
    await this.store.close();
    await this.server[Symbol.asyncDispose]();
    this.#scratch[Symbol.dispose]();
  }
}

const GENERATION = '0123456789abcdef';

describe('a service that turns out not to know conditional writes', () => {
  it('is seen as one through all that stands around the backend', async () => {
    await using scene = await Scene.open();
    assert.equal(scene.store.conditions, 'compare-and-swap');
    await scene.store.write('first', Buffer.from('1'), { onlyIf: 'absent' });
    assert.equal(scene.store.conditions, 'none');
    assert.deepEqual(createOnly(scene.store), {});
  });

  for (const unknown of [CONDITIONS, ['if-match'], ['if-none-match']] as const) {
    it(`${unknown.join(' and ')}: the lease goes on without, says so once, and leaves nothing`, async () => {
      await using scene = await Scene.open(unknown);
      const lease = scene.lease('a');
      assert.equal(await lease.hold(GENERATION, false), 'go-on');
      assert.equal(lease.status.phase, 'unprotected');
      assert.equal(scene.logger.matching('nothing protects this replica').length, 1);
      const fenced = fencedStore(scene.store, lease);
      assert.equal(fenced.conditions, 'none');
      await fenced.write('x', Buffer.from('1'), createOnly(fenced));
      assert.deepEqual(scene.keys(), ['app/x']);
    });

    it(`${unknown.join(' and ')}: a lease that must be refuses to be without`, async () => {
      await using scene = await Scene.open(unknown);
      const holding = scene.lease('a', 'on').hold(GENERATION, false);
      await assert.rejects(holding, { code: 'CONFIG_INVALID', message: /lease mode is "on"/ });
      assert.deepEqual(scene.keys(), []);
    });

    it(`${unknown.join(' and ')}: the check does not promise one writer at a time`, async () => {
      await using scene = await Scene.open(unknown);
      const check = {
        store: scene.store,
        subject: 'it',
        clock: systemClock,
        readable: true,
        signal: new AbortController().signal,
      };
      const verdicts: Record<string, string> = {};
      for await (const { step, verdict } of checkDestination(check)) verdicts[step] = verdict;
      assert.equal(verdicts['conditional write'], 'warning');
      assert.deepEqual(scene.keys(), []);
    });
  }

  it('said for a moment only, by a proxy, costs nobody the lease', async () => {
    await using scene = await Scene.open([]);
    const lease = scene.lease('a');
    await lease.hold(GENERATION, false);
    const isData = ({ headers, key }: RecordedRequest): boolean =>
      headers['if-none-match'] !== undefined && key === 'app/x';
    scene.server.misbehave({ on: isData, times: 1, fault: NOT_IMPLEMENTED });
    const fenced = fencedStore(scene.store, lease);
    await fenced.write('x', Buffer.from('1'), createOnly(fenced));
    await lease.name('fedcba9876543210');
    assert.equal(fenced.conditions, 'compare-and-swap');
    await lease.release();
    assert.equal(await scene.lease('b').hold('00112233445566aa', false), 'go-on');
  });
});
