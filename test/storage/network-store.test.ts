import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { BackendTools, RequestKind } from '../../src/storage/backend.ts';
import { networkStore } from '../../src/storage/network-store.ts';
import type { NetworkStoreOptions } from '../../src/storage/network-store.ts';
import type { ObjectStore, ReadOptions, WriteOptions } from '../../src/storage/object-store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FlakyStore, passingTrouble } from '../support/flaky-store.ts';
import type { Trouble } from '../support/flaky-store.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { onceEach } from '../support/once-each.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { conformance, gather } from './conformance.ts';

/** A backend as those behind a network are: it tells its requests, and tries the parts of an upload again itself. */
class PartsBackend extends MemoryStore {
  closed = 0;
  partFailures = 0;
  readonly #tools: BackendTools;

  constructor(tools: BackendTools) {
    super();
    this.#tools = tools;
  }

  override read(key: string, options?: ReadOptions): AsyncGenerator<Uint8Array> {
    this.#tools.onRequest('GET');
    return super.read(key, options);
  }

  override async write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: WriteOptions,
  ): ReturnType<ObjectStore['write']> {
    if (!(body instanceof Uint8Array)) return super.write(key, this.#parts(key, body), options);
    this.#tools.onRequest('PUT');
    return super.write(key, body, options);
  }

  async *#parts(key: string, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      await this.#tools.retrier.run(`write a part of ${key}`, async () => {
        this.#tools.onRequest('PUT');
        if (this.partFailures-- > 0) throw passingTrouble();
      });
      yield chunk;
    }
  }

  override async close(): Promise<void> {
    this.closed++;
  }
}

function scene(options: Partial<NetworkStoreOptions> = {}, troubles: (Trouble | undefined)[] = []) {
  const clock = new FakeClock();
  const logger = new RecordingLogger();
  const counts: Record<string, number> = {};
  const add = (name: string, count: number): void => void (counts[name] = (counts[name] ?? 0) + count);
  const meter = {
    operation: (kind: RequestKind, count: number) => add(kind, count),
    bytes: (kind: 'PUT' | 'GET', count: number) => add(`${kind} bytes`, count),
  };
  let backend: PartsBackend | undefined;
  const store = networkStore(
    (tools) => {
      backend = new PartsBackend(tools);
      return new FlakyStore(backend, () => troubles.shift());
    },
    { clock, logger, meter, random: () => 1, ...options },
  );
  assert.ok(backend !== undefined);
  return { clock, logger, counts, backend, store };
}

async function* body(count: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) yield Buffer.alloc(1_000, i);
}

conformance(
  'network store over a bad network',
  async () => {
    let calls = 0;
    const troubles: (Trouble | undefined)[] = ['before', undefined, undefined, 'lost-answer', undefined];
    const store = networkStore(
      (tools) => {
        const backend = new PartsBackend(tools);
        backend.nowMs = Date.now();
        return new FlakyStore(backend, () => troubles[calls++ % troubles.length]);
      },
      {
        clock: systemClock,
        logger: silentLogger,
        retry: { firstWaitMs: 0.01, waitMaxMs: 0.1 },
        limits: { smallCalls: 2, streams: 2, listings: 1 },
        uploadBytesPerSecond: 1e9,
        downloadBytesPerSecond: 1e9,
        ranges: { thresholdBytes: 100_000, rangeBytes: 50_000 },
      },
    );
    return { store: onceEach(store), dispose: async () => undefined };
  },
  { bigObjectBytes: 3_000_000 },
);

describe('network store', () => {
  it('counts what each attempt asks and carries, once', async () => {
    const { clock, counts, store } = scene({}, ['lost-answer', undefined, 'before']);
    await clock.during(store.write('a', Buffer.alloc(10)));
    assert.deepEqual(counts, { PUT: 2, 'PUT bytes': 10 });
    await clock.during(gather(store.read('a')));
    assert.deepEqual(counts, { PUT: 2, 'PUT bytes': 10, GET: 1, 'GET bytes': 10 });
  });

  it('lends the backend its way of trying again, for parts', async () => {
    const { clock, logger, counts, backend, store } = scene();
    backend.partFailures = 2;
    const { sizeBytes } = await clock.during(store.write('a', body(3)));
    assert.equal(sizeBytes, 3_000);
    assert.deepEqual(counts, { PUT: 5, 'PUT bytes': 3_000 });
    assert.deepEqual(
      logger.matching('trying again').map(({ fields }) => [fields['what'], fields['waitMs']]),
      [
        ['write a part of a', 200],
        ['write a part of a', 400],
      ],
    );
  });

  it('reads large objects in ranges, each of which is tried again, unless it is not to', async () => {
    const ranges = { thresholdBytes: 1_000, rangeBytes: 500 };
    for (const [given, requests] of [
      [ranges, 7],
      [false, 1],
    ] as const) {
      const { clock, counts, store, backend } = scene({ ranges: given });
      backend.put('a', Buffer.alloc(3_100, 7));
      const got = Buffer.concat(await clock.during(gather(store.read('a', { sizeHintBytes: 3_100 }))));
      assert.ok(got.equals(Buffer.alloc(3_100, 7)));
      assert.equal(counts['GET'], requests);
    }
  });

  it('holds uploads to their cap and leaves downloads alone', async () => {
    const { clock, store } = scene({ uploadBytesPerSecond: 10_000 });
    await clock.during(store.write('a', Buffer.alloc(100_000)));
    const uploadedMs = clock.monotonicMs();
    assert.ok(uploadedMs > 9_000 && uploadedMs < 10_500, `${uploadedMs}`);
    await clock.during(gather(store.read('a')));
    assert.equal(clock.monotonicMs(), uploadedMs);
  });

  it('gives up in bounded time', async () => {
    const { clock, store } = scene({}, Array<Trouble>(1_000).fill('before'));
    await assert.rejects(clock.during(store.write('a', Buffer.from('x'))), { message: /10 attempts/ });
    assert.ok(clock.monotonicMs() <= 120_000);
  });

  it('says what the backend is, and closes it', async () => {
    const { store, backend } = scene();
    assert.deepEqual([store.type, store.location, store.conditions], ['flaky', 'flaky:', 'compare-and-swap']);
    await store.close();
    assert.equal(backend.closed, 1);
  });
});
