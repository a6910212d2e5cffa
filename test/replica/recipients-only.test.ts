/** Replication by a process that can encrypt and cannot decrypt. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { before, describe, it } from 'node:test';
import { isRivuletError, RivuletError } from '../../src/base/errors.ts';
import { systemFiles } from '../../src/base/files.ts';
import type { Age } from '../../src/codec/age/age.ts';
import { Replica } from '../../src/replica/replica.ts';
import { decodeNote, encodeNote, type UploadNote } from '../../src/replica/upload-record.ts';
import { restore } from '../../src/restore/restore.ts';
import { encryptedStore } from '../../src/storage/encrypted.ts';
import type { WriteOptions, WrittenObject } from '../../src/storage/object-store.ts';
import { randomNumbers } from '../codec/samples.ts';
import { ageOf, newKeyPair } from '../support/age-keys.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene, type SceneOptions } from '../support/replica-scene.ts';
import { Scratch } from '../support/scratch.ts';
import { PATIENCE_MS } from '../support/until.ts';

const MARK = 'age-encryption.org/v1\n';

function digestOf(database: DatabaseSync): string {
  const rows = database.prepare('SELECT id, hex(body) AS body FROM t ORDER BY id').all();
  return createHash('sha256').update(JSON.stringify(rows)).digest('hex');
}

/** A place that can take the whole process with it, before or after an object was stored. */
class DeadlyStore extends MemoryStore {
  /** Writes until then. */
  left: number = Number.POSITIVE_INFINITY;
  moment: 'before' | 'after' = 'before';
  #isDead = false;

  get isDead(): boolean {
    return this.#isDead;
  }

  revive(): void {
    this.left = Number.POSITIVE_INFINITY;
    this.#isDead = false;
  }

  #live(): void {
    if (this.#isDead) throw new RivuletError('STORAGE_FAILED', 'the process is dead');
  }

  override async write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: WriteOptions,
  ): Promise<WrittenObject> {
    this.#live();
    this.#isDead = this.left-- <= 1;
    if (this.#isDead && this.moment === 'before') this.#live();
    const written = await super.write(key, body, options);
    this.#live();
    return written;
  }

  of(part: string): string[] {
    return this.keys().filter((key) => key.includes(part));
  }

  get generations(): number {
    return new Set(this.keys().map((key) => key.split('/')[1])).size;
  }
}

/** A place where what was on its way arrives late: the write that killed the process takes place before a later one. */
class LateStore extends DeadlyStore {
  arrivesAtNextWrite = false;
  #late: { key: string; bytes: Uint8Array } | undefined;

  override async write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: WriteOptions,
  ): Promise<WrittenObject> {
    if (this.arrivesAtNextWrite && this.#late !== undefined) {
      this.put(this.#late.key, this.#late.bytes);
      this.#late = undefined;
    }
    if (this.left > 1 || this.isDead) return super.write(key, body, options);
    const chunks: Uint8Array[] = [];
    if (body instanceof Uint8Array) chunks.push(body);
    else for await (const chunk of body) chunks.push(chunk);
    this.#late = { key, bytes: Buffer.concat(chunks) };
    return super.write(key, this.#late.bytes, options);
  }
}

let age: Age;
let blind: Age;

before(async () => {
  const { identity, recipient } = await newKeyPair();
  age = await ageOf({ recipients: [recipient], identities: [identity] });
  blind = await ageOf({ recipients: [recipient] });
});

function sceneOver(place: MemoryStore, more: SceneOptions = {}): ReplicaScene {
  return new ReplicaScene({
    ...more,
    store: encryptedStore(place, blind),
    settings: { recordsUploads: true, ...more.settings },
  });
}

const notePath = (scene: ReplicaScene): string => `${scene.live.path}-meta/uploads-memory.json`;
const noteOf = (scene: ReplicaScene): UploadNote => decodeNote(readFileSync(notePath(scene), 'utf8'));

/** As a process that is killed and started again: nothing is written down at the end. */
async function killed(scene: ReplicaScene): Promise<void> {
  const statePath = `${scene.live.path}-meta/state.json`;
  const state = readFileSync(statePath);
  await scene.restart();
  writeFileSync(statePath, state);
}

/** Ships, and comes back to life as often as it must. */
async function shipThrough(scene: ReplicaScene, place: DeadlyStore): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt++) {
    try {
      await scene.sync();
      return;
    } catch (error) {
      if (!place.isDead && !(error instanceof RivuletError)) throw error;
      if (!place.isDead) continue;
      await killed(scene);
      place.revive();
      scene.live.insert(1, 500);
    }
  }
  assert.fail('it never caught up');
}

async function assertExact(scene: ReplicaScene, place: MemoryStore): Promise<void> {
  for (const key of place.keys())
    assert.equal(Buffer.from(place.bytesOf(key)).toString('latin1', 0, 22), MARK, key);
  using scratch = new Scratch();
  const outputPath = scratch.file('restored');
  const store = encryptedStore(place, age);
  const target = { generation: scene.primary.generation };
  const { proven } = await restore({ store, target, outputPath, integrityCheck: 'full' });
  assert.ok(proven);
  using restored = new DatabaseSync(outputPath);
  assert.equal(digestOf(restored), digestOf(scene.live.app));
}

const SEEDS = Number(process.env['SEEDS'] ?? 6);

function isExpected(error: unknown): boolean {
  return isRivuletError(error, 'STORAGE_FAILED', 'STORAGE_EXISTS', 'CHAIN_BROKEN');
}

describe('with recipients only', () => {
  it('goes on for ever: any number of restarts, one generation, one snapshot', async () => {
    const place = new DeadlyStore();
    await using scene = sceneOver(place, { primary: { checkpoint: { minPages: 20 } } });
    for (let round = 0; round < 30; round++) {
      scene.live.insert(3, 3000);
      await scene.sync();
      if (round % 5 === 4) await scene.restart();
      else if (round % 2 === 1) await killed(scene);
    }
    assert.deepEqual([place.generations, place.of('/snapshots/').length], [1, 1]);
    assert.ok(
      new Set(place.of('/wal/').map((key) => key.split('/').at(-1)?.slice(0, 8))).size > 3,
      'several logs',
    );
    await assertExact(scene, place);
  });

  for (const moment of ['before', 'after'] as const) {
    it(`killed ${moment} any object is stored, it continues exactly there`, async () => {
      for (let step = 1; step <= 12; step++) {
        const place = new DeadlyStore();
        place.moment = moment;
        place.left = step;
        await using scene = sceneOver(place, { primary: { checkpoint: { minPages: 12 } } });
        for (let round = 0; round < 8; round++) {
          scene.live.insert(3, 3000);
          await shipThrough(scene, place);
        }
        // A snapshot of which nobody heard is found, and continued, too.
        assert.deepEqual([place.generations, place.of('/snapshots/').length], [1, 1], `step ${step}`);
        await assertExact(scene, place);
      }
    });
  }

  it('killed again and again at the same segment, while the log grows', async () => {
    for (const moments of [
      ['before', 'before', 'after'],
      ['before', 'after', 'before', 'after'],
    ] as const) {
      const place = new DeadlyStore();
      await using scene = sceneOver(place);
      await scene.sync();
      for (const moment of moments) {
        place.left = 1;
        place.moment = moment;
        scene.live.insert(2, 2000);
        await assert.rejects(scene.sync());
        await killed(scene);
        place.revive();
      }
      await scene.sync();
      assert.equal(place.generations, 1);
      await assertExact(scene, place);
    }
  });

  it('an answer that is lost: the same name never gets another content', async () => {
    const place = new DeadlyStore();
    await using scene = sceneOver(place);
    await scene.sync();
    scene.live.insert(2, 2000);
    place.left = 1;
    place.moment = 'after';
    await assert.rejects(scene.sync(), { code: 'STORAGE_FAILED' });
    place.revive();
    const [first] = place.of('/wal/').slice(-1);
    const stored = place.bytesOf(first!);
    scene.live.insert(50, 2000);
    for (let attempt = 0; attempt < 3 && !scene.replica.isCaughtUp; attempt++) {
      await scene.sync().catch((error: unknown) => assert.ok(error instanceof RivuletError));
    }
    assert.ok(scene.replica.isCaughtUp);
    assert.ok(Math.abs(place.bytesOf(first!).length - stored.length) < 100);
    assert.equal(place.generations, 1);
    await assertExact(scene, place);
  });

  it('an answer that is lost, at whichever object, while the log grows and begins anew', async () => {
    for (let step = 1; step <= 14; step++) {
      const place = new DeadlyStore();
      place.moment = 'after';
      await using scene = sceneOver(place, { primary: { checkpoint: { minPages: 12 } } });
      await scene.sync();
      place.left = step;
      for (let round = 0; round < 8; round++) {
        scene.live.insert(3, 3000);
        await scene.sync().catch((error: unknown) => assert.ok(place.isDead, String(error)));
        if (!place.isDead) continue;
        place.revive();
        // What comes next under the same name would be longer.
        scene.live.insert(9, 3000);
      }
      for (let attempt = 0; attempt < 3; attempt++) {
        await scene
          .sync()
          .catch((error: unknown) => assert.ok(isRivuletError(error, 'STORAGE_EXISTS'), String(error)));
      }
      assert.ok(scene.replica.isCaughtUp);
      assert.equal(place.generations, 1, `step ${step}`);
      await assertExact(scene, place);
    }
  });

  it('a segment that arrives after the next start', async () => {
    for (let step = 1; step <= 10; step++) {
      const place = new LateStore();
      await using scene = sceneOver(place, { primary: { checkpoint: { minPages: 12 } } });
      await scene.sync();
      place.left = step;
      for (let round = 0; round < 8; round++) {
        scene.live.insert(3, 3000);
        await scene.sync().catch((error: unknown) => assert.ok(place.isDead, String(error)));
        if (!place.isDead) continue;
        await killed(scene);
        place.revive();
        // The destination is looked at, and then it is there.
        place.arrivesAtNextWrite = true;
        scene.live.insert(9, 3000);
      }
      for (let attempt = 0; attempt < 3; attempt++) {
        await scene
          .sync()
          .catch((error: unknown) => assert.ok(isRivuletError(error, 'STORAGE_EXISTS'), String(error)));
      }
      assert.ok(scene.replica.isCaughtUp);
      await assertExact(scene, place);
    }
  });

  it('any of that at random, again and again', async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = randomNumbers(seed);
      const upTo = (limit: number): number => Math.floor(random() * limit);
      const place = new LateStore();
      await using scene = sceneOver(place, { primary: { checkpoint: { minPages: 8 + upTo(20) } } });
      for (let round = 0; round < 20; round++) {
        scene.live.insert(1 + upTo(6), 200 + upTo(4000));
        if (random() < 0.5) {
          place.left = 1 + upTo(3);
          place.moment = random() < 0.5 ? 'before' : 'after';
        }
        await scene
          .sync()
          .catch((error: unknown) => assert.ok(isExpected(error), `${seed}: ${String(error)}`));
        place.arrivesAtNextWrite = random() < 0.5;
        const wasDead = place.isDead;
        place.revive();
        if (wasDead ? random() < 0.7 : random() < 0.1) await killed(scene);
      }
      for (let attempt = 0; attempt < 5; attempt++) {
        await scene
          .sync()
          .catch((error: unknown) => assert.ok(isExpected(error), `${seed}: ${String(error)}`));
      }
      assert.ok(scene.replica.isCaughtUp, `seed ${seed}`);
      await assertExact(scene, place).catch((error: unknown) => {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      });
    }
  });

  it('a first segment of unknown end that arrives after the next start', async () => {
    const place = new LateStore();
    await using scene = sceneOver(place);
    await scene.refresh();
    scene.live.insert(3000, 3900);
    place.left = 2;
    await assert.rejects(scene.sync());
    await killed(scene);
    place.revive();
    place.arrivesAtNextWrite = true;
    scene.live.insert(10, 3900);
    for (let attempt = 0; attempt < 4; attempt++) {
      await scene
        .sync()
        .catch((error: unknown) =>
          assert.ok(isRivuletError(error, 'STORAGE_EXISTS', 'CHAIN_BROKEN'), String(error)),
        );
    }
    assert.ok(scene.replica.isCaughtUp);
    assert.equal(place.generations, 2);
    await assertExact(scene, place);
  });

  it('a first segment that is too long for the memory: its end is not known before, so a fresh start', async () => {
    for (const moment of ['before', 'after'] as const) {
      const place = new DeadlyStore();
      await using scene = sceneOver(place);
      await scene.refresh();
      scene.live.insert(3000, 3900);
      place.left = 2;
      place.moment = moment;
      await shipThrough(scene, place);
      await assertExact(scene, place);
      assert.equal(place.generations, moment === 'after' ? 2 : 1);
      const reasons = scene.logger
        .matching('nor is it known where it ends')
        .map(({ fields }) => fields['why']);
      assert.deepEqual(reasons, moment === 'after' ? ['it was being stored when the process ended'] : []);
    }
  });

  it('a first segment that is too long for the memory is noted once it is stored', async () => {
    const place = new DeadlyStore();
    await using scene = sceneOver(place);
    await scene.refresh();
    scene.live.insert(3000, 3900);
    await scene.sync();
    await killed(scene);
    scene.live.insert(1);
    await scene.sync();
    assert.equal(place.generations, 1);
    await assertExact(scene, place);
  });

  const spoilt: { what: string; why: RegExp; spoil: (scene: ReplicaScene, place: DeadlyStore) => void }[] = [
    { what: 'lost', why: /nothing is noted/, spoil: (scene) => rmSync(notePath(scene)) },
    {
      what: 'damaged',
      why: /nothing is noted/,
      spoil: (scene) => writeFileSync(notePath(scene), '{"version":1,'),
    },
    { what: 'empty', why: /nothing is noted/, spoil: (scene) => writeFileSync(notePath(scene), '') },
    {
      what: 'about another place',
      why: /another place/,
      spoil: (scene) =>
        writeFileSync(notePath(scene), encodeNote({ ...noteOf(scene), location: 'elsewhere:' })),
    },
    {
      what: 'about another generation',
      why: /another generation/,
      spoil: (scene) =>
        writeFileSync(notePath(scene), encodeNote({ ...noteOf(scene), generation: '0123456789abcdef' })),
    },
    {
      what: 'older than what is there',
      why: /not the one that is noted/,
      spoil: (scene) => {
        const note = noteOf(scene);
        const stored = { ...note.stored!, from: { ...note.stored!.from, offsetBytes: 0 } };
        writeFileSync(notePath(scene), encodeNote({ ...note, stored }));
      },
    },
    {
      what: 'about an object of another size',
      why: /has \d+ bytes, and \d+ were stored/,
      spoil: (_, place) => {
        const [last] = place.of('/wal/').slice(-1);
        place.put(last!, Buffer.concat([place.bytesOf(last!), Buffer.alloc(16)]));
      },
    },
    {
      what: 'about an object that is gone',
      why: /not the one that is noted/,
      spoil: (_, place) => place.objects.delete(place.of('/wal/').at(-1)!),
    },
  ];
  for (const { what, why, spoil } of spoilt) {
    it(`a note that is ${what}: a fresh snapshot, and the reason in the log`, async () => {
      const place = new DeadlyStore();
      await using scene = sceneOver(place);
      for (let round = 0; round < 3; round++) {
        scene.live.insert(2, 2000);
        await scene.sync();
      }
      await scene.stop();
      spoil(scene, place);
      await killed(scene);
      scene.live.insert(1);
      await assert.rejects(scene.sync(), { code: 'CHAIN_BROKEN' });
      const [line] = scene.logger.matching('nor is it known where it ends');
      assert.match(String(line?.fields['why']), why);
      assert.equal(line?.fields['unreadable'], 'AGE_KEY_MISSING');
      await scene.sync();
      assert.equal(place.generations, 2);
      await assertExact(scene, place);
    });
  }

  it('what is noted is compared with the log', async () => {
    for (const part of ['stored', 'intended'] as const) {
      const place = new DeadlyStore();
      await using scene = sceneOver(place);
      scene.live.insert(2, 2000);
      await scene.sync();
      const note = noteOf(scene);
      const other = { ...note.stored!, end: { ...note.stored!.end, checksum: [1, 2] as const } };
      const intended = { from: { ...other.from, offsetBytes: note.stored!.end.offsetBytes }, end: other.end };
      writeFileSync(
        notePath(scene),
        encodeNote(part === 'stored' ? { ...note, stored: other } : { ...note, intended }),
      );
      await killed(scene);
      scene.live.insert(1);
      await assert.rejects(scene.sync(), { code: 'CHAIN_BROKEN' });
      await scene.sync();
      assert.equal(place.generations, 2, part);
      await assertExact(scene, place);
    }
  });

  it('a segment that was on its way keeps its name from a new beginning in the same log', async () => {
    const place = new DeadlyStore();
    await using scene = sceneOver(place);
    await scene.sync();
    scene.live.insert(2, 2000);
    place.left = 1;
    await assert.rejects(scene.sync());
    await killed(scene);
    place.revive();
    // Everything at the destination vanishes; what is on its way may still arrive.
    for (const key of place.keys()) place.objects.delete(key);
    scene.live.insert(1);
    await assert.rejects(scene.sync(), { code: 'CHAIN_BROKEN' });
    await scene.sync();
    assert.equal(place.generations, 1);
    assert.notEqual(noteOf(scene).generation, undefined);
    await assertExact(scene, place);
  });

  it('a state directory that cannot be written does not stop it, and is told of once', async () => {
    const place = new DeadlyStore();
    await using scene = sceneOver(place);
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    const files = {
      ...systemFiles,
      createNew: (): never => {
        throw full;
      },
    };
    const replica = new Replica(
      { ...scene.replica.settings, name: 'memory' },
      {
        primary: scene.primary,
        store: new FaultyStore(encryptedStore(place, blind)),
        clock: { now: () => Date.now(), monotonicMs: () => performance.now(), sleep: async () => undefined },
        logger: scene.logger,
        observer: {
          onSegment: () => undefined,
          onSnapshot: () => undefined,
          onValidation: () => undefined,
          onFailure: () => undefined,
          onRecovery: () => undefined,
        },
        files,
      },
    );
    for (let round = 0; round < 4; round++) {
      scene.live.insert(2, 2000);
      await scene.refresh();
      await replica.syncOnce();
    }
    assert.equal(scene.logger.matching('cannot note what is stored').length, 1);
    assert.equal(place.generations, 1);
    await assertExact(scene, place);
    await killed(scene);
    scene.live.insert(1);
    await assert.rejects(scene.sync(), { code: 'CHAIN_BROKEN' });
    await scene.sync();
    await assertExact(scene, place);
  });

  it('the end is promised, and nothing at all is stored in the clear', async () => {
    const place = new DeadlyStore();
    await using scene = sceneOver(place);
    scene.live.insert(5);
    await scene.replica.finish(performance.now() + PATIENCE_MS);
    assert.equal(place.of('/ends/').length, 1);
    await assertExact(scene, place);
  });
});

describe('with an identity that has changed', () => {
  it('the last segment cannot be read any more: what was noted of it is enough', async () => {
    const place = new DeadlyStore();
    const other = await newKeyPair();
    const rotated = await ageOf({ recipients: [other.recipient], identities: [other.identity] });
    await using scene = sceneOver(place);
    scene.live.insert(2);
    await scene.sync();
    const replica = new Replica(
      { ...scene.replica.settings },
      {
        primary: scene.primary,
        store: new FaultyStore(encryptedStore(place, rotated)),
        clock: { now: () => Date.now(), monotonicMs: () => performance.now(), sleep: async () => undefined },
        logger: scene.logger,
        observer: {
          onSegment: () => undefined,
          onSnapshot: () => undefined,
          onValidation: () => undefined,
          onFailure: () => undefined,
          onRecovery: () => undefined,
        },
      },
    );
    scene.live.insert(2);
    await scene.refresh();
    await replica.syncOnce();
    assert.equal(place.generations, 1);
  });
});
