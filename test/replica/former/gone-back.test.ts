/** The database lacks commits that the destination holds: somebody is told, and they stay restorable. */
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, rmSync } from 'node:fs';
import { backup, DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { keptKey, parseKeptName } from '../../../src/generations/kept.ts';
import { inventoryOf } from '../../../src/generations/inventory.ts';
import { restore } from '../../../src/restore/restore.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import type { StoreCall } from '../../support/faulty-store.ts';
import { ReplicaScene, type SceneOptions } from '../../support/replica-scene.ts';

const GONE_BACK = /the database has gone back behind what faulty: holds/;

/** Everything is stored, and then `rows` rows more, each in a transaction. */
async function stored(scene: ReplicaScene, rows: number): Promise<void> {
  await scene.sync();
  for (let row = 0; row < rows; row++) {
    scene.live.insert();
    await scene.sync();
  }
}

function openScene(store: MemoryStore, options: SceneOptions = {}): ReplicaScene {
  // Nothing of the WAL gets into the database file by itself.
  return new ReplicaScene({ primary: {}, store, ...options });
}

/** What was told of the database, and its fields. */
function told(scene: ReplicaScene): readonly [string, Record<string, unknown>][] {
  return scene.logger.lines
    .filter(({ message }) => message.includes('gone back'))
    .map(({ level, message, fields }) => [`${level} ${message}`, { ...fields }]);
}

function removeWal(path: string): void {
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
}

function copyAll(from: string, to: string): void {
  for (const suffix of ['', '-wal']) copyFileSync(from + suffix, to + suffix);
  rmSync(`${to}-shm`, { force: true });
  cpSync(`${from}-meta`, `${to}-meta`, { recursive: true });
}

async function rowsOf(scene: ReplicaScene, generation: string): Promise<number> {
  const outputPath = scene.live.scratch.file('former.db');
  await restore({ store: scene.store, target: { generation }, outputPath, integrityCheck: 'full' });
  using database = new DatabaseSync(outputPath);
  return Number(database.prepare('SELECT count(*) AS n FROM t').get()?.['n']);
}

describe('a database that went back behind its replica', () => {
  it('by a WAL that was removed: how much it lacks is told, and the command that gets it', async () => {
    const store = new MemoryStore();
    await using scene = openScene(store);
    scene.live.insert();
    scene.live.checkpoint('TRUNCATE');
    await stored(scene, 5);
    const former = scene.primary.generation as string;
    await scene.restart(() => {
      // As after a kill: nobody checkpoints.
      copyFileSync(scene.live.path, `${scene.live.path}-kept`);
      scene.live.close();
      copyFileSync(`${scene.live.path}-kept`, scene.live.path);
      removeWal(scene.live.path);
    });
    store.nowMs += 1_000;
    await scene.sync();
    const [[message, fields] = ['', {}], ...more] = told(scene);
    assert.deepEqual(more, []);
    assert.match(message, /^error .*gone back behind what faulty: holds: it lacks 5 transactions, stored at/);
    assert.equal(fields['restoreWith'], `rivulet restore -generation ${former} -o OUTPUT faulty:`);
    assert.equal(await rowsOf(scene, former), 6);
    assert.ok(store.keys().some((key) => key.startsWith(`generations/${former}/ends/kept-`)));
    await scene.assertRestores();
    await scene.restart();
    await scene.sync();
    assert.equal(told(scene).length, 1, 'told again');
  });

  it('by an older file that was copied over it, also when it was written to since', async () => {
    for (const isWritten of [false, true]) {
      const store = new MemoryStore();
      await using scene = openScene(store);
      await stored(scene, 3);
      const older = scene.live.scratch.file('older.db');
      await backup(scene.live.app, older);
      await stored(scene, 4);
      await scene.restart(() => {
        scene.live.close();
        removeWal(scene.live.path);
        copyFileSync(older, scene.live.path);
        if (isWritten) scene.live.exec('CREATE TABLE later (x); INSERT INTO later VALUES (1)');
      });
      store.nowMs += 1_000;
      await scene.sync();
      assert.match(
        told(scene)[0]?.[0] ?? '',
        isWritten ? /gone back .*it lacks/ : /^error .*it lacks 4 trans/,
      );
    }
  });

  it('together with the local state, as an older disk does', async () => {
    const store = new MemoryStore();
    await using scene = openScene(store);
    await stored(scene, 2);
    await scene.restart(() => copyAll(scene.live.path, scene.live.scratch.file('disk')));
    await stored(scene, 2);
    await scene.restart(() => {
      scene.live.close();
      copyAll(scene.live.scratch.file('disk'), scene.live.path);
    });
    store.nowMs += 1_000;
    await scene.refresh();
    await scene.replica.syncOnce().catch(() => scene.replica.syncOnce());
    assert.match(told(scene)[0]?.[0] ?? '', GONE_BACK);
  });

  it('by being made anew', async () => {
    const store = new MemoryStore();
    await using scene = openScene(store);
    scene.live.exec('CREATE TABLE one (x); CREATE TABLE two (x)');
    await stored(scene, 2);
    await scene.restart(() => {
      scene.live.close();
      removeWal(scene.live.path);
      rmSync(scene.live.path);
      scene.live.exec('PRAGMA journal_mode=wal');
    });
    store.nowMs += 1_000;
    await scene.sync();
    assert.match(told(scene)[0]?.[0] ?? '', /^error .*it is not a later state of the one/);
  });
});

describe('nothing is told of a database', () => {
  const cases: [string, (scene: ReplicaScene) => void | Promise<void>][] = [
    [
      'that was written to while nobody looked',
      ({ live }) => {
        for (let row = 0; row < 3; row++) live.insert();
        live.exec('UPDATE t SET body = randomblob(200)');
        live.close();
      },
    ],
    ['that was closed, and whose state was lost', (scene) => (scene.live.close(), forgetState(scene))],
    ['that was vacuumed', ({ live }) => (live.exec('VACUUM'), live.close())],
    [
      'that was restored from the replica',
      async (scene) => {
        scene.live.close();
        removeWal(scene.live.path);
        rmSync(scene.live.path);
        await restore({ store: scene.store, target: {}, outputPath: scene.live.path });
        forgetState(scene);
      },
    ],
  ];
  for (const [what, between] of cases) {
    it(what, async () => {
      const store = new MemoryStore();
      await using scene = openScene(store);
      await stored(scene, 5);
      const former = scene.primary.generation;
      await scene.stop();
      await scene.primary.close();
      await between(scene);
      await scene.restart();
      store.nowMs += 1_000;
      await scene.sync();
      assert.notEqual(scene.primary.generation, former, 'there was nothing to compare');
      assert.deepEqual(told(scene), []);
      await scene.assertRestores();
    });
  }
});

function forgetState(scene: ReplicaScene): void {
  rmSync(`${scene.live.path}-meta`, { recursive: true });
}

describe('what the database lacks', () => {
  async function goneBack(scene: ReplicaScene, store: MemoryStore): Promise<string> {
    await stored(scene, 3);
    const former = scene.primary.generation as string;
    const older = scene.live.scratch.file('older.db');
    await backup(scene.live.app, older);
    await stored(scene, 3);
    await scene.restart(() => {
      scene.live.close();
      removeWal(scene.live.path);
      copyFileSync(older, scene.live.path);
    });
    store.nowMs += 1_000;
    return former;
  }

  it('is not removed while it is marked, nor before it could be', async () => {
    for (const isMarked of [true, false]) {
      const store = new MemoryStore();
      const settings = { retentionMs: 1_000, retentionCheckIntervalMs: 1 };
      await using scene = openScene(store, { settings });
      const former = await goneBack(scene, store);
      const isMark = ({ kind, key }: StoreCall): boolean => kind === 'write' && key.includes('/kept-');
      scene.store.fault = (call) => (!isMarked && isMark(call) ? 'fail' : undefined);
      await scene.sync();
      assert.match(told(scene)[0]?.[0] ?? '', GONE_BACK);
      // The window has moved on, so that the former generation is superseded.
      store.nowMs += 60_000;
      scene.live.insert();
      const checked = scene.replica.once(new AbortController().signal);
      await (isMarked ? checked : assert.rejects(checked, /kept-.* failed on purpose/));
      assert.equal(scene.store.keysOf('list').includes('generations/'), true);
      assert.equal(await rowsOf(scene, former), 6);
    }
  });

  it('does not keep anything from being stored when it cannot be read', async () => {
    const store = new MemoryStore();
    await using scene = openScene(store);
    await goneBack(scene, store);
    scene.store.fault = ({ kind }) => (kind === 'readBytes' ? 'fail' : undefined);
    await scene.sync();
    assert.deepEqual(told(scene), []);
    assert.ok(scene.logger.messages().some((line) => line.includes('is not known')));
    await scene.assertRestores();
  });
});

describe('a keep mark', () => {
  it('says until when, to the second', () => {
    const untilMs = Date.parse('2026-12-31T00:40:02Z');
    const key = keptKey('0011223344556677', untilMs + 789);
    assert.equal(key, 'generations/0011223344556677/ends/kept-20261231T004002Z');
    assert.equal(parseKeptName('kept-20261231T004002Z'), untilMs);
    for (const name of ['kept-20261331T004002Z', '20261231T004002Z', 'kept-20261231T004002', 'kept-'])
      assert.equal(parseKeptName(name), undefined, name);
  });

  it('is part of the generation that a listing shows', () => {
    const object = (key: string): { key: string; sizeBytes: number; modifiedAt: Date } => ({
      key: `generations/0011223344556677/${key}`,
      sizeBytes: 1,
      modifiedAt: new Date(0),
    });
    const { generations, strangers } = inventoryOf([
      object('snapshots/00000000.snapshot.lz4'),
      object('ends/kept-20261231T004002Z'),
    ]);
    assert.deepEqual(strangers, []);
    assert.equal(generations[0]?.kept?.[0]?.untilMs, Date.parse('2026-12-31T00:40:02Z'));
  });
});
