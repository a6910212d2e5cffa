/** What a power cut leaves in the spool need not be what the log has become: lost frames stay there, removed pieces come back. */
import assert from 'node:assert/strict';
import { copyFileSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { positionOf } from '../../src/primary/cursor.ts';
import { systemMachine } from '../../src/primary/machine.ts';
import type { Primary } from '../../src/primary/primary.ts';
import { LiveDatabase, openPrimary, type PrimaryShape } from '../support/live-database.ts';
import { Follower } from '../support/take-all.ts';

/** Each refresh checkpoints what has come. */
const EAGER: PrimaryShape = { checkpoint: { minPages: 1 } };

function startedAs(bootId: string, path: string, shape: PrimaryShape = {}): Primary {
  return openPrimary(path, { ...shape, machine: { ...systemMachine, bootId: () => bootId } });
}

/** The files as they are now; the answer puts them back, as a power cut does that takes all that came later. */
function noteSynced(live: LiveDatabase): () => void {
  const paths = [live.path, `${live.path}-wal`, `${live.path}-meta/state.json`];
  for (const path of paths) copyFileSync(path, `${path}.synced`);
  return () => {
    live.close();
    rmSync(`${live.path}-shm`, { force: true });
    for (const path of paths) copyFileSync(`${path}.synced`, path);
  };
}

interface Lost {
  readonly generation: string;
  readonly follower: Follower;
}

/** Frames were spooled that are not in the log any more; what the follower has is. */
async function loseSpooledFrames(live: LiveDatabase): Promise<Lost> {
  const first = startedAs('start 1', live.path);
  await first.refresh();
  const follower = new Follower(first);
  await follower.start();
  live.insert();
  await first.refresh();
  follower.take();
  const generation = first.generation as string;
  await first.close();
  const cutPower = noteSynced(live);

  const second = startedAs('start 1', live.path, EAGER);
  live.insert();
  await second.refresh();
  await second.close();
  assert.equal(readdirSync(`${live.path}-meta/spool`).length, 1, 'nothing was spooled');
  cutPower();
  return { generation, follower };
}

test('frames that were lost, and replaced by others, are not shipped from the spool', async () => {
  using live = new LiveDatabase();
  const { generation, follower } = await loseSpooledFrames(live);
  const { index, offsetBytes } = positionOf(follower.cursor);
  live.insert();
  const third = startedAs('start 2', live.path, EAGER);
  try {
    await third.refresh();
    assert.equal(third.generation, generation);
    const end = third.position;
    assert.ok(end?.index === index && end.offsetBytes > offsetBytes);
    const log = readFileSync(`${live.path}-wal`).subarray(offsetBytes, end.offsetBytes);
    live.insert();
    await third.refresh();
    assert.equal(third.position?.index, index + 1);
    const taken = third.take(follower.cursor, 2 ** 30);
    assert.ok(taken.kind === 'bytes', taken.kind === 'lost' ? taken.why : taken.kind);
    assert.deepEqual(Buffer.from(taken.bytes), log);
  } finally {
    await third.close();
  }
});

test('nor where nothing shows that they were lost: they do not lead to where the log ended', async () => {
  using live = new LiveDatabase();
  const { generation, follower } = await loseSpooledFrames(live);
  live.insert();
  const third = startedAs('start 1', live.path, EAGER);
  try {
    await third.refresh();
    live.insert();
    await third.refresh();
    assert.equal(third.generation, generation);
    const taken = third.take(follower.cursor, 2 ** 30);
    assert.ok(taken.kind === 'lost' && /does not lead to where it ended/.test(taken.why), taken.kind);
  } finally {
    await third.close();
  }
});
