import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import type { Primary } from '../../src/primary/primary.ts';
import {
  readValidatedAt,
  type Validated,
  validateReplica,
  writeValidatedAt,
} from '../../src/replica/validation.ts';
import { ReplicaScene } from '../support/replica-scene.ts';
import { systemFiles } from '../../src/base/files.ts';
import { Scratch } from '../support/scratch.ts';
import { redefine } from '../support/strange-schema.ts';
import { provePoint } from '../../src/verify/prove-point.ts';

/** The primary with one byte of its snapshots changed. */
function lying(primary: Primary): Primary {
  const openSnapshot: Primary['openSnapshot'] = async () => {
    const snapshot = await primary.openSnapshot();
    async function* pages(): AsyncIterable<Uint8Array> {
      for await (const piece of snapshot.pages()) {
        const changed = piece.slice();
        changed[5000] = (changed[5000] ?? 0) ^ 1;
        yield changed;
      }
    }
    return { ...snapshot, pages };
  };
  return { openSnapshot } as Primary;
}

/** Another number in a row of the index that was made last. */
function spoilLastPage(path: string): void {
  const bytes = readFileSync(path);
  const at = bytes.length - 3;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(path, bytes);
}

async function validate(scene: ReplicaScene, primary: Primary): Promise<Validated> {
  return validateReplica({
    primary,
    store: scene.store,
    generation: scene.primary.generation ?? '',
    temporaryPath: scene.live.scratch.file('validation.db'),
    logger: scene.logger,
    shipped: async (position) => position,
  });
}

describe('validation', () => {
  it('tells equal from different, and leaves nothing behind', async () => {
    await using scene = new ReplicaScene();
    scene.live.insert(30, 1000);
    await scene.sync();
    const before = readdirSync(scene.live.scratch.path);
    assert.equal((await validate(scene, scene.primary)).outcome, 'equal');
    const validated = await validate(scene, lying(scene.primary));
    assert.ok(validated.outcome === 'different');
    assert.match(validated.error.message, /restores at .* differs from the live database/);
    assert.deepEqual(readdirSync(scene.live.scratch.path), before);
  });

  it('a live database that is damaged itself is told, and is no fault of the destination', async () => {
    await using scene = new ReplicaScene();
    scene.live.insert(30, 1000);
    scene.live.exec('CREATE INDEX lengths ON t (length(body)); PRAGMA wal_checkpoint(TRUNCATE)');
    spoilLastPage(scene.live.path);
    await scene.sync();
    const validated = await validate(scene, scene.primary);
    assert.ok(validated.outcome === 'equal');
    assert.equal(validated.isSound, false);
    const [told] = scene.logger.matching('the live database is damaged');
    assert.match(String(told?.fields['hint']), /rivulet verify -full -timestamp/);
  });

  it('what SQLite cannot check without the application is reported, and is no damage', async () => {
    await using scene = new ReplicaScene();
    scene.live.insert(30, 1000);
    scene.live.exec('CREATE TABLE u (x TEXT COLLATE NOCASE); CREATE INDEX ux ON u (x)');
    scene.live.close();
    redefine(scene.live.path, 'u', 'NOCASE', 'unicase');
    await scene.sync();
    const validated = await validate(scene, scene.primary);
    assert.ok(validated.outcome === 'equal');
    assert.equal(validated.isSound, true);
    assert.match(validated.checkLeftOut.join('|'), /no such collation sequence: unicase/);
    assert.deepEqual(scene.logger.messages('error'), []);
    const proof = await provePoint({
      store: scene.store,
      target: {},
      temporaryPath: scene.live.scratch.file('proof.db'),
      hasExactSizes: true,
      clock: systemClock,
    });
    assert.ok(proof.outcome === 'proven');
    assert.equal(proof.wasChecked, true);
    assert.deepEqual(proof.checkLeftOut, validated.checkLeftOut);
  });

  it('a destination that cannot be read is a failure, not a difference', async () => {
    await using scene = new ReplicaScene();
    scene.live.insert(3);
    await scene.sync();
    scene.store.fault = ({ kind }) => (kind === 'list' ? 'fail' : undefined);
    await assert.rejects(validate(scene, scene.primary), { code: 'STORAGE_FAILED' });
    assert.deepEqual(scene.logger.messages('error'), []);
  });

  it('remembers when it was, by the name of the destination, and takes nonsense for never', () => {
    using scratch = new Scratch();
    const folder = scratch.file('meta');
    assert.equal(readValidatedAt(systemFiles, folder, 'a/b'), undefined);
    writeValidatedAt(systemFiles, folder, 'a/b', 1_750_000_000_000);
    assert.equal(readValidatedAt(systemFiles, folder, 'a/b'), 1_750_000_000_000);
    assert.equal(readValidatedAt(systemFiles, folder, 'a'), undefined);
    writeValidatedAt(systemFiles, folder, 'a', 0);
    assert.deepEqual(readdirSync(folder).length, 2);
  });
});
