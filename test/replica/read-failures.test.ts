/** This machine cannot read the database or its own notes for a while: the destination gives up nothing for that. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { describe, it } from 'node:test';
import { isRivuletError, RivuletError } from '../../src/base/errors.ts';
import { type Machine, systemMachine } from '../../src/primary/machine.ts';
import { readOwnerNote, writeOwnerNote } from '../../src/replica/lease/owner-file.ts';
import { UploadRecord } from '../../src/replica/upload-record.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FailingReads, isSpooled, isWal } from '../support/failing-reads.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { ReplicaScene } from '../support/replica-scene.ts';
import { Scratch } from '../support/scratch.ts';

const GENERATION = '0123456789abcdef';
const isStateUnreadable = (error: unknown): boolean => isRivuletError(error, 'STATE_INVALID');

describe('a log that cannot be read while it is shipped', () => {
  it('is told as trouble of this machine, and goes on at the same place', async () => {
    const reads = new FailingReads();
    await using scene = new ReplicaScene({ primary: { machine: reads.machine } });
    scene.live.insert(5);
    await scene.sync();
    const { generation } = scene.primary;
    const { confirmed } = scene.replica.status;
    scene.live.insert(5);
    await scene.refresh();
    reads.begin('EIO', isWal);
    scene.run();
    await scene.until('reading fails', () => scene.replica.status.state === 'failing');
    const { status, progress } = scene.replica;
    assert.deepEqual(status.confirmed, confirmed);
    assert.deepEqual([status.lastError?.code, progress.unseenBytes], ['DB_UNREADABLE', 0]);
    const [told, ...more] = scene.logger.messages('warn');
    assert.deepEqual([told, more], ['reading the database for this destination failed; trying again', []]);
    reads.end();
    await scene.until('all is shipped', () => scene.replica.isCaughtUp);
    assert.equal(scene.replica.status.state, 'streaming');
    assert.deepEqual(
      scene.logger.matching('reading the database for this destination works again').length,
      1,
    );
    assert.equal(scene.primary.generation, generation);
    assert.equal(scene.facts.filter((fact) => fact === 'snapshot').length, 1);
    await scene.assertRestores();
  });

  it('does not break off a first segment that is streamed', async () => {
    const reads = new FailingReads();
    await using scene = new ReplicaScene({
      primary: { machine: reads.machine },
      settings: { segmentBytesMax: 8_000 },
    });
    await scene.refresh();
    scene.live.insert(20, 2_000);
    const isKept = (path: string): boolean => isWal(path) || isSpooled(path);
    let isArmed = true;
    scene.store.fault = ({ kind, key }) => {
      // The snapshot is stored, and the segments begin; the first of them is read before, the others while it is sent.
      if (kind !== 'write' || !key.includes('/wal/')) return undefined;
      if (isArmed) reads.begin('EIO', isKept, 3);
      isArmed = false;
      return undefined;
    };
    await scene.sync();
    assert.equal(reads.failed, 3);
    assert.equal(scene.store.keysOf('write').filter((key) => key.includes('/wal/')).length, 1);
    assert.ok(scene.replica.isCaughtUp);
    await scene.assertRestores();
  });

  it('at a restart: the destination is continued once it can be read', async () => {
    const reads = new FailingReads();
    await using scene = new ReplicaScene({ primary: { machine: reads.machine } });
    scene.live.insert(5);
    await scene.sync();
    await scene.restart();
    await scene.refresh();
    reads.begin('EIO', isWal);
    await assert.rejects(scene.replica.syncOnce(), (error) => isRivuletError(error, 'DB_UNREADABLE'));
    reads.end();
    scene.live.insert(5);
    await scene.sync();
    assert.equal(scene.facts.filter((fact) => fact === 'snapshot').length, 1);
    await scene.assertRestores();
  });
});

describe('a database that could never be opened, and is gone', () => {
  it('ends with what is the matter, and soon', async () => {
    let isBroken = true;
    const machine: Machine = {
      ...systemMachine,
      openConnections: (path, busyTimeoutMs) => {
        if (isBroken) throw new RivuletError('DB_UNREADABLE', 'for this test');
        return systemMachine.openConnections(path, busyTimeoutMs);
      },
    };
    const clock = new FakeClock();
    await using scene = new ReplicaScene({ clock, primary: { machine } });
    scene.live.insert(5);
    await assert.rejects(scene.refresh(), { code: 'DB_UNREADABLE' });
    scene.live.close();
    for (const ending of ['', '-wal', '-shm']) rmSync(scene.live.path + ending, { force: true });
    isBroken = false;
    await assert.rejects(clock.during(scene.replica.finish(30_000)), {
      code: 'FINAL_SYNC_FAILED',
      message: /could not be read before it was removed/,
    });
    assert.ok(clock.monotonicMs() < 5_000);
  });
});

describe('a note of a replica that cannot be read', () => {
  const reads = new FailingReads();

  it('about uploads: is asked for again, and not taken for none', () => {
    using scratch = new Scratch();
    const logger = new RecordingLogger();
    const parts = { metaPath: scratch.path, name: 'a', location: 'file:///x', files: reads.files, logger };
    const from = { index: 1, offsetBytes: 32 };
    const end = { offsetBytes: 4152, salts: [1, 2], checksum: [3, 4] } as const;
    new UploadRecord(parts).stored(GENERATION, { from, end, sizeBytes: 9 });
    const record = new UploadRecord(parts);
    reads.begin('EIO', (path) => path.includes('uploads-'));
    assert.throws(() => record.note, isStateUnreadable);
    assert.throws(() => record.intendedIn(GENERATION), isStateUnreadable);
    reads.end();
    assert.equal(record.note?.stored?.sizeBytes, 9);
    assert.deepEqual(logger.messages(), []);
  });

  it('about the owner of a lease: makes no new owner', () => {
    using scratch = new Scratch();
    const owner = 'ab'.repeat(16);
    const note = { owner, generation: GENERATION, tried: undefined };
    writeOwnerNote(reads.files, scratch.path, 'a', note);
    reads.begin('EIO', (path) => path.includes('lease-'));
    assert.throws(() => readOwnerNote(reads.files, scratch.path, 'a'), isStateUnreadable);
    reads.end();
    assert.deepEqual(readOwnerNote(reads.files, scratch.path, 'a'), note);
  });
});
