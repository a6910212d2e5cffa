/** What a running process knows of a destination behind a network that is in trouble, before anybody has given up. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import type { ReplicaReport } from '../../src/daemon/database-status.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import type { Refusal } from '../../src/daemon/replica-runner.ts';
import { LiveDatabase } from '../support/live-database.ts';
import { LoopbackS3 } from '../support/loopback-s3.ts';
import { RecordingLogger } from '../support/recording-logger.ts';

const PATIENCE_MS = 20_000;

class Scene implements AsyncDisposable {
  readonly live: LiveDatabase = new LiveDatabase();
  readonly logger: RecordingLogger = new RecordingLogger();
  readonly refusals: Refusal[] = [];
  readonly #server: LoopbackS3;
  readonly #daemon: Daemon;

  constructor(server: LoopbackS3, replica: object) {
    this.#server = server;
    this.live.insert(1);
    const url = `s3://bucket/app?endpoint=${server.endpoint}`;
    const keys = { 'access-key-id': 'a', 'secret-access-key': 'b', lease: { mode: 'off' } };
    const text = JSON.stringify({
      'shutdown-timeout': '300ms',
      socket: { enabled: false },
      dbs: [
        {
          path: this.live.path,
          'monitor-interval': '20ms',
          'min-checkpoint-page-count': 4,
          replicas: [{ url, 'sync-interval': '5ms', ...keys, ...replica }],
        },
      ],
    });
    const { config } = parseConfig(text, { file: 'rivulet.yml', environment: {} });
    this.#daemon = new Daemon(config, {
      clock: systemClock,
      logger: this.logger,
      onRefused: (refusal) => void this.refusals.push(refusal),
    });
  }

  async start(): Promise<void> {
    await this.#daemon.start();
  }

  get replica(): ReplicaReport {
    return this.#daemon.status()[0]?.replicas[0] ?? assert.fail('no replica');
  }

  get reasons(): readonly string[] {
    return this.#daemon.health().reasons.map(({ reason, message }) => `${reason}: ${message}`);
  }

  async until(what: string, isSo: () => boolean): Promise<void> {
    const endMs = performance.now() + PATIENCE_MS;
    while (!isSo()) {
      assert.ok(performance.now() < endMs, `waited in vain: ${what} ${JSON.stringify(this.replica)}`);
      await delay(10);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon.stop();
    this.live[Symbol.dispose]();
    await this.#server[Symbol.asyncDispose]();
  }
}

describe('a destination in trouble', () => {
  it('what calls are being tried again for is in the status and in the alarm at once', async () => {
    const server = await LoopbackS3.start();
    await using scene = new Scene(server, { 'stall-after': '700ms' });
    await scene.start();
    await scene.until(
      'it is level',
      () => scene.replica.syncedAtMs !== undefined && scene.replica.lagBytes === 0,
    );
    const away = server.misbehave({
      on: 'PutObject',
      fault: { answer: { status: 503, code: 'SlowDown' } },
    });
    scene.live.insert(1);
    await scene.until('it is shown', () => scene.replica.lastError?.isOver === false);
    assert.match(scene.replica.lastError?.message ?? '', /503|SlowDown/);
    assert.equal(scene.logger.matching('the destination failed').length, 0, 'nobody has given up');
    await scene.until('the alarm', () => scene.replica.state === 'stalled');
    const [alarm] = scene.logger.matching('the replica stands still');
    assert.match(String(alarm?.fields['lastError']), /503|SlowDown/);
    assert.match(scene.reasons.join(), /^stalled: .*(?:503|SlowDown)/);
    assert.ok(away.hits > 0);
    server.behave();
    await scene.until(
      'it goes on',
      () => scene.replica.lagBytes === 0 && scene.replica.state === 'streaming',
    );
    assert.notEqual(scene.replica.lastError?.isOver, false);
    assert.deepEqual(scene.reasons, []);
  });

  it('deletes that are refused do not end what only refused credentials shall end', async () => {
    const server = await LoopbackS3.start();
    const often = {
      'on-auth-failure': 'exit',
      'snapshot-interval': '100ms',
      retention: '200ms',
      'retention-check-interval': '50ms',
      verify: { interval: 0, 'quick-interval': 0 },
    };
    await using scene = new Scene(server, often);
    for (const operation of ['DeleteObject', 'DeleteObjects'] as const)
      server.misbehave({ on: operation, fault: { answer: { status: 403, code: 'AccessDenied' } } });
    await scene.start();
    await scene.until('retention is refused', () => {
      scene.live.insert(3, 900);
      return scene.replica.lastError?.duty === 'retention';
    });
    assert.equal(scene.replica.lastError?.code, 'STORAGE_DENIED');
    await delay(100);
    assert.deepEqual(scene.refusals, []);
    const snapshots = (): number =>
      [...server.objects().keys()].filter((key) => key.includes('/snapshots/')).length;
    const before = snapshots();
    await scene.until('snapshots go on', () => {
      scene.live.insert(3, 900);
      return snapshots() >= before + 2;
    });
    assert.deepEqual(scene.reasons, []);
    assert.equal(scene.replica.state, 'streaming');
  });
});
