/** A snapshot of a database to which nothing is committed is read in place: without a copy, and without a lock. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { Primary } from '../../src/primary/primary.ts';
import type { Snapshot } from '../../src/primary/snapshot-source.ts';
import { SnapshotOvertaken } from '../../src/primary/still-snapshot.ts';
import { LiveDatabase, NO_READER, NOT_IN_MEMORY, openPrimary } from '../support/live-database.ts';
import type { RecordingLogger } from '../support/recording-logger.ts';
import { ReplicaScene } from '../support/replica-scene.ts';
import { until } from '../support/until.ts';

/** A database of some pieces, part of which is in the WAL. */
async function opened(live: LiveDatabase): Promise<Primary> {
  live.insert(700, 4000);
  live.checkpoint('PASSIVE');
  live.exec('UPDATE t SET body = randomblob(3000) WHERE id % 3 = 0');
  const primary = openPrimary(live.path, { machine: NO_READER, copySizes: NOT_IN_MEMORY });
  await primary.refresh();
  return primary;
}

/** Empties the WAL, as soon as the primary's own read transaction, which it holds while it follows, has moved out of the way. */
async function emptyWal(live: LiveDatabase, primary: Primary): Promise<void> {
  live.exec('PRAGMA busy_timeout=0');
  live.checkpoint('PASSIVE');
  await until('the WAL is emptied', () => {
    void primary.refresh();
    return live.checkpoint('TRUNCATE').busy === 0;
  });
}

/** What the snapshot holds; `between` runs after its first piece. */
async function contentOf(snapshot: Snapshot, between: () => unknown = () => undefined): Promise<Buffer> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of snapshot.pages()) {
      pieces.push(Buffer.from(piece));
      if (pieces.length === 1) await between();
    }
  } finally {
    snapshot.close();
  }
  assert.ok(pieces.length >= 3, 'too small for anything to happen between');
  return Buffer.concat(pieces);
}

function databaseNow(live: LiveDatabase): Buffer {
  assert.equal(live.checkpoint('TRUNCATE').busy, 0);
  return readFileSync(live.path);
}

describe('a snapshot that is read in place', () => {
  const harmless: Readonly<Record<string, (live: LiveDatabase, primary: Primary) => unknown>> = {
    nothing: () => undefined,
    'a look': async (_, primary) => primary.refresh(),
    'a transaction that is rolled back': (live) =>
      live.exec('BEGIN; UPDATE t SET body = zeroblob(2000); ROLLBACK'),
    'a checkpoint of what was committed before': (live) => live.checkpoint('PASSIVE'),
  };
  for (const [what, between] of Object.entries(harmless)) {
    it(`is the database at its position: ${what}`, async () => {
      using live = new LiveDatabase();
      const primary = await opened(live);
      const snapshot = await primary.openSnapshot({ isLive: true });
      assert.deepEqual(snapshot.position, primary.position);
      const content = await contentOf(snapshot, async () => between(live, primary));
      await primary.close();
      assert.ok(content.equals(databaseNow(live)));
    });
  }

  const changes: Readonly<Record<string, (live: LiveDatabase, primary: Primary) => unknown>> = {
    'a commit': (live) => live.insert(),
    'a commit and a checkpoint': (live) => {
      live.exec('UPDATE t SET body = randomblob(3000)');
      live.checkpoint('PASSIVE');
    },
    'VACUUM, and a checkpoint': (live) => {
      live.exec('DELETE FROM t WHERE id % 7 = 0; VACUUM');
      live.checkpoint('PASSIVE');
    },
    'the WAL is emptied': emptyWal,
    'the WAL is emptied, and a commit': async (live, primary) => {
      await emptyWal(live, primary);
      live.insert();
    },
  };
  for (const [what, between] of Object.entries(changes)) {
    it(`is given up: ${what}`, async () => {
      using live = new LiveDatabase();
      const primary = await opened(live);
      const snapshot = await primary.openSnapshot({ isLive: true });
      await assert.rejects(
        contentOf(snapshot, async () => between(live, primary)),
        SnapshotOvertaken,
      );
      const copy = await contentOf(await primary.openSnapshot());
      await primary.close();
      assert.ok(copy.equals(databaseNow(live)), 'a copy is right');
    });
  }

  it('is given up when its generation ends', async () => {
    using live = new LiveDatabase();
    const primary = await opened(live);
    const snapshot = await primary.openSnapshot({ isLive: true });
    const end = async (): Promise<void> => primary.abandonGeneration(primary.generation ?? '', 'for a test');
    await assert.rejects(contentOf(snapshot, end), { code: 'CANCELLED' });
    await primary.close();
  });

  it('has no copy in the state directory', async () => {
    using live = new LiveDatabase();
    const primary = await opened(live);
    const before = readdirSync(`${live.path}-meta`);
    const snapshot = await primary.openSnapshot({ isLive: true });
    await contentOf(snapshot, () => assert.deepEqual(readdirSync(`${live.path}-meta`), before));
    await primary.close();
  });
});

describe('the snapshot of a destination that is as fast as a disk', () => {
  const settings = { isFast: true, snapshotIntervalMs: 1 };
  const scene = (): ReplicaScene => new ReplicaScene({ settings, primary: { copySizes: NOT_IN_MEMORY } });
  const isCopy = (logger: RecordingLogger): boolean =>
    logger.matching('copying the database aside').length > 0;

  it('is read in place', async () => {
    await using here = scene();
    here.live.insert(700, 4000);
    await here.sync();
    assert.equal(isCopy(here.logger), false);
    await here.assertRestores();
  });

  it('is made of a copy when something is committed meanwhile', async () => {
    await using here = scene();
    here.live.insert(700, 4000);
    const write = here.store.write.bind(here.store);
    let isFirst = true;
    here.store.write = async (key, body, options) =>
      write(
        key,
        body instanceof Uint8Array || !key.includes('/snapshots/')
          ? body
          : during(body, () => {
              if (isFirst) here.live.insert(3, 4000);
              isFirst = false;
            }),
        options,
      );
    await here.sync();
    assert.equal(isFirst, false);
    assert.equal(isCopy(here.logger), true);
    assert.equal(here.facts.filter((fact) => fact === 'snapshot').length, 1);
    await here.assertRestores();
  });
});

/** The same, with something done after its first chunk. */
async function* during(body: AsyncIterable<Uint8Array>, action: () => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    yield chunk;
    action();
  }
}
