/** The proof that goes on where the last one ended: what it reads, what it finds, and what is no damage. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RivuletError } from '../../src/base/errors.ts';
import { decodeFrame } from '../../src/codec/decode-frame.ts';
import { silentLogger } from '../../src/base/log.ts';
import { readInventory } from '../../src/generations/inventory.ts';
import type { Position } from '../../src/generations/names.ts';
import { planRetention } from '../../src/generations/retention-plan.ts';
import type { ObjectInfo, ObjectStore } from '../../src/storage/object-store.ts';
import { decodeChain, encodeChain, type ProvenChain } from '../../src/verify/proven-chain.ts';
import { proveQuickly, type QuickProof } from '../../src/verify/quick-proof.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { fillSmallReplica, ReplicaMaker } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';

function flip(bytes: Uint8Array, at: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ 16;
}

/** The first place from `at` on: a match may be found at another distance, too, and then nothing has changed. */
function flipThatMatters(bytes: Uint8Array, at: number): number {
  for (; ; at++) {
    const damaged = bytes.slice();
    flip(damaged, at);
    try {
      decodeFrame(damaged, { maxBytes: 2 ** 30 });
    } catch {
      return at;
    }
  }
}

/** Its listings do not show everything. */
class HidingStore extends MemoryStore {
  hides: (key: string) => boolean = () => false;

  constructor({ objects }: MemoryStore) {
    super();
    Object.assign(this, { objects });
  }

  override async *list(...call: Parameters<MemoryStore['list']>): AsyncGenerator<ObjectInfo> {
    for await (const info of super.list(...call)) if (!this.hides(info.key)) yield info;
  }
}

interface Options {
  readonly known?: ProvenChain | undefined;
  readonly stored?: Position | undefined;
  readonly retentionMs?: number;
  readonly nowMs?: number;
  readonly snapshotBytesMax?: number;
  readonly snapshotIndex?: number;
  readonly segment?: Position;
}

async function prove(maker: ReplicaMaker, options: Options = {}, store?: ObjectStore): Promise<QuickProof> {
  const clock = new FakeClock(options.nowMs ?? maker.store.nowMs);
  return clock.during(
    proveQuickly({
      store: store ?? maker.store,
      generation: maker.generation,
      known: options.known,
      stored: options.stored,
      storedSnapshotIndex: options.snapshotIndex,
      storedSegment: options.segment,
      retentionMs: options.retentionMs ?? 0,
      latestMs: clock.now(),
      snapshotBytesMax: options.snapshotBytesMax ?? 0,
      hasExactSizes: true,
      clock,
      logger: silentLogger,
    }),
  );
}

/** As the state directory keeps it. */
function kept(chain: ProvenChain | undefined): ProvenChain {
  assert.ok(chain !== undefined);
  return decodeChain(JSON.parse(JSON.stringify(encodeChain(chain))));
}

function more(maker: ReplicaMaker): string {
  maker.exec('INSERT INTO t (body) VALUES (randomblob(700))');
  return maker.segment();
}

function assertBroken({ proof }: QuickProof, key?: RegExp): RivuletError {
  assert.equal(proof.outcome, 'broken');
  assert.ok(proof.outcome === 'broken');
  if (key !== undefined) assert.match(proof.damage.key ?? '', key);
  return proof.damage.error;
}

function readsOf(store: FaultyStore): string[] {
  return [...store.keysOf('read'), ...store.keysOf('readBytes')];
}

describe('a quick proof', () => {
  it('reads everything from the newest snapshot on, then only what is new', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    const store = new FaultyStore(maker.store);
    const first = await prove(maker, { stored: maker.position }, store);
    assert.ok(first.proof.outcome === 'proven');
    assert.deepEqual(first.proof.position, maker.position);
    assert.equal(first.proof.untilMs, maker.points.at(-1)?.timeMs);
    assert.equal(readsOf(store).filter((key) => key.includes('/snapshots/')).length, 1);
    let { chain } = first;
    for (let round = 0; round < 3; round += 1) {
      const keys = [more(maker), more(maker)];
      if (round === 1) {
        maker.nextIndex();
        keys.push(more(maker), maker.snapshot());
      }
      store.calls.length = 0;
      const next = await prove(maker, { known: kept(chain), stored: maker.position }, store);
      assert.ok(next.proof.outcome === 'proven', JSON.stringify(next.proof));
      assert.deepEqual(readsOf(store).sort(), keys.sort());
      assert.deepEqual(next.proof.position, maker.position);
      ({ chain } = next);
    }
    store.calls.length = 0;
    const idle = await prove(maker, { known: kept(chain), stored: maker.position }, store);
    assert.equal(idle.proof.outcome, 'proven');
    assert.deepEqual(readsOf(store), [], 'nothing is new');
  });

  it('finds every fault in any object, new or proven before', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker, { promise: false });
    const before = await prove(maker);
    more(maker);
    maker.nextIndex();
    more(maker);
    maker.snapshot();
    more(maker);
    const whole = maker.store.clone();
    const first = before.chain?.base.entry.index ?? 0;
    const keys = whole
      .keys()
      .filter((key) => Number.parseInt(key.split('/')[3]?.slice(0, 8) ?? '', 16) >= first);
    assert.ok(keys.length > 6);
    for (const key of keys) {
      const bytes = whole.bytesOf(key);
      const other = keys.find((one) => one !== key && one.split('/')[2] === key.split('/')[2]) ?? '';
      const flipped = (at: number) => (): void => {
        const damaged = bytes.slice();
        flip(damaged, at);
        maker.store.put(key, damaged, maker.store.nowMs + 1);
      };
      const faults: Record<string, () => void> = {
        deleted: () => void maker.store.objects.delete(key),
        truncated: () => maker.store.put(key, bytes.slice(0, bytes.length >>> 1)),
        emptied: () => maker.store.put(key, new Uint8Array(0)),
        'replaced by another': () => maker.store.put(key, whole.bytesOf(other), maker.store.nowMs + 1),
        'flipped at the start': flipped(2),
        'flipped in the annotation or header': flipped(20),
        'flipped in the data': flipped(flipThatMatters(bytes, bytes.length >>> 1)),
        'flipped at the end': flipped(bytes.length - 2),
      };
      for (const [name, apply] of Object.entries(faults)) {
        apply();
        const expected = { stored: maker.position, snapshotIndex: maker.position.index };
        const found = await prove(maker, { known: kept(before.chain), ...expected });
        assert.equal(found.proof.outcome, 'broken', `${key} ${name}`);
        const error = assertBroken(found);
        assert.ok(found.proof.outcome === 'broken');
        assert.equal(found.proof.damage.key, key, `${key} ${name}: ${error.message}`);
        assert.match(error.message, /restor/, name);
        const { timeMs = 0 } = whole.objects.get(key) ?? {};
        maker.store.put(key, bytes, timeMs);
      }
    }
    const after = await prove(maker, { known: kept(before.chain), stored: maker.position });
    assert.equal(after.proof.outcome, 'proven');
  });

  it('the loss of the last segments is found by what was stored, and by a promise', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker, { promise: false });
    const stored = maker.position;
    const { chain } = await prove(maker, { stored });
    const last = more(maker);
    const end = maker.position;
    maker.store.objects.delete(last);
    assert.equal((await prove(maker, { known: chain, stored })).proof.outcome, 'proven');
    assertBroken(await prove(maker, { known: chain, stored: end }), new RegExp(last));
    maker.promiseEnd(end);
    assertBroken(await prove(maker, { known: chain, stored }), new RegExp(last));
  });

  it('what a listing lacks and is there by its name is no damage, and nothing is read again for it', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker, { promise: false });
    const snapshotIndex = (await readInventory(maker.store)).generations[0]?.snapshots.at(-1)?.index ?? -1;
    const { chain } = await prove(maker, { stored: maker.position });
    const reach = maker.position;
    const keys = [more(maker), more(maker)];
    const segments = (await readInventory(maker.store)).generations[0]?.segments ?? [];
    const about = { known: chain, stored: maker.position, segment: segments.at(-1)!, snapshotIndex };
    const hiding = new HidingStore(maker.store);
    const store = new FaultyStore(hiding);

    hiding.hides = (key) => keys.includes(key);
    const none = await prove(maker, about, store);
    assert.equal(none.proof.outcome, 'proven');
    assert.deepEqual(none.proof.outcome === 'proven' && none.proof.position, reach);
    assert.equal(none.unlistedKey, keys[1]);

    hiding.hides = (key) => key === keys[1];
    const half = await prove(maker, about, store);
    assert.equal(half.proof.outcome, 'proven');
    const readAgain = readsOf(store).filter((key) => !keys.includes(key));
    assert.deepEqual(readAgain, []);

    for (const hides of [
      () => true,
      (key: string) => key.includes('/wal/'),
      (key: string) => key.includes('/snapshots/'),
      (key: string) => key === keys[0],
      (key: string) => [segments.at(-3)?.key, ...keys].includes(key),
    ]) {
      hiding.hides = hides;
      store.calls.length = 0;
      const { proof, chain: after } = await prove(maker, about, store);
      assert.equal(proof.outcome, 'inconclusive');
      assert.match(
        proof.outcome === 'inconclusive' ? proof.error.message : '',
        /which is there: it is behind/,
      );
      assert.equal(after, chain);
      assert.deepEqual(
        store.keysOf('readBytes').filter((key) => !keys.includes(key)),
        [],
      );
    }
    for (const key of keys) maker.store.objects.delete(key);
    hiding.hides = (key) => keys.includes(key);
    assertBroken(await prove(maker, about, store));
  });

  it('objects that were copied to and fro are read again, and no damage', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    const { chain } = await prove(maker);
    const store = new FaultyStore(maker.store);
    for (const key of maker.store.keys())
      maker.store.put(key, maker.store.bytesOf(key), maker.store.nowMs + 5);
    assert.equal((await prove(maker, { known: chain }, store)).proof.outcome, 'proven');
    assert.ok(readsOf(store).length > 2);
  });

  it('an emptied destination, and one without its snapshots', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    const { chain } = await prove(maker);
    for (const key of maker.store.keys()) if (key.includes('/snapshots/')) maker.store.objects.delete(key);
    assertBroken(await prove(maker, { known: chain }), /snapshot\.lz4$/);
    maker.store.objects.clear();
    assert.match(assertBroken(await prove(maker, { known: chain })).message, /holds nothing of generation/);
  });

  it('a listing that lies about a size', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    const { chain } = await prove(maker);
    const liar = more(maker);
    const lying = new FaultyStore(maker.store);
    lying.list = async function* list(prefix, options) {
      for await (const info of maker.store.list(prefix, options)) {
        yield info.key === liar ? { ...info, sizeBytes: info.sizeBytes + 1 } : info;
      }
    };
    const error = assertBroken(await prove(maker, { known: chain }, lying), new RegExp(liar));
    assert.match(error.message, /the listing says/);
  });

  it('what retention removes is no damage, at whatever moment it is looked at', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    const { chain } = await prove(maker);
    maker.nextIndex();
    more(maker);
    maker.snapshot();
    more(maker);
    const retentionMs = 60_000;
    const nowMs = maker.store.nowMs + 10 * retentionMs;
    const { keys } = planRetention(await readInventory(maker.store), retentionMs, nowMs);
    assert.ok(keys.length > 5);
    for (const key of keys) {
      // Others look while one object after another goes.
      maker.store.objects.delete(key);
      const proof = await prove(maker, { known: kept(chain), stored: maker.position, retentionMs, nowMs });
      assert.equal(proof.proof.outcome, 'proven', `${key}: ${JSON.stringify(proof.proof)}`);
    }
  });

  it('retention that took the log in which the last proof ended leaves no hole', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker, { promise: false });
    const { chain } = await prove(maker, { stored: maker.position });
    // The log goes on behind the proof, and is over before the next one.
    more(maker);
    more(maker);
    maker.nextIndex();
    more(maker);
    const oldest = Number.parseInt(maker.snapshot().split('/')[3]?.slice(0, 8) ?? '', 16);
    more(maker);
    for (const key of maker.store.keys()) {
      if (Number.parseInt(key.split('/')[3]?.slice(0, 8) ?? '', 16) < oldest) maker.store.objects.delete(key);
    }
    const nowMs = maker.store.nowMs + 3_600_000;
    const next = await prove(maker, {
      known: kept(chain),
      stored: maker.position,
      retentionMs: 1_000,
      nowMs,
    });
    assert.equal(next.proof.outcome, 'proven', JSON.stringify(next.proof));
  });

  it('a snapshot that is gone before its time is damage, also when an older one leads on', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    const { chain } = await prove(maker);
    maker.nextIndex();
    more(maker);
    const newest = maker.snapshot();
    const next = await prove(maker, { known: chain });
    maker.store.objects.delete(newest);
    const known = kept(next.chain);
    assertBroken(await prove(maker, { known, retentionMs: 24 * 3_600_000 }), new RegExp(newest));
  });

  it('a destination that is away leaves it open, and keeps what was proven', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    const { chain } = await prove(maker);
    more(maker);
    const store = new FaultyStore(maker.store);
    for (const kind of ['list', 'readBytes']) {
      store.fault = (call) => (call.kind === kind ? 'fail' : undefined);
      const away = await prove(maker, { known: chain }, store);
      assert.equal(away.proof.outcome, 'inconclusive');
      assert.deepEqual(away.chain, chain);
    }
  });

  it('a snapshot that is too large to be fetched is looked at only', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    const { proof } = await prove(maker, { snapshotBytesMax: 10, stored: maker.position });
    assert.equal(proof.outcome, 'proven');
  });
});
