/** The disk of the local state is full; the database and the destinations have room. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { type Files, systemFiles } from '../../src/base/files.ts';
import { startOfLog } from '../../src/primary/cursor.ts';
import { systemMachine } from '../../src/primary/machine.ts';
import { noObserver } from '../../src/primary/primary-observer.ts';
import { Primary } from '../../src/primary/primary.ts';
import { LiveDatabase, NO_CHECKPOINTS, openPrimary } from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { until } from '../support/until.ts';

interface Disk {
  isFull: boolean;
  isReadOnly?: boolean;
}

function openOn(disk: Disk, live: LiveDatabase, logger: RecordingLogger): Primary {
  const over = (files: Files): Files => ({
    ...files,
    createNew: (path, mode) => {
      if (disk.isFull) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      return files.createNew(path, mode);
    },
    remove: (path) => {
      if (disk.isReadOnly === true)
        throw Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' });
      files.remove(path);
    },
  });
  return new Primary(
    {
      path: live.path,
      metaPath: `${live.path}-meta`,
      checkpoint: { ...NO_CHECKPOINTS, minPages: 1 },
      spoolLimitBytes: 2 ** 30,
      busyTimeoutMs: 200,
      destinations: new Set(['one']),
    },
    {
      clock: systemClock,
      logger,
      observer: noObserver,
      machine: {
        ...systemMachine,
        openStateDirectory: (path, databasePath) => {
          const directory = systemMachine.openStateDirectory(path, databasePath);
          return { ...directory, files: over(directory.files) };
        },
      },
    },
  );
}

const CANNOT = 'the local state cannot be written; changes are stored all the same';

test('the log is followed and shipped, and not restarted over what somebody lacks', async () => {
  using live = new LiveDatabase();
  const logger = new RecordingLogger();
  const disk: Disk = { isFull: false };
  const primary = openOn(disk, live, logger);
  try {
    await primary.refresh();
    const start = await primary.attach('one');
    disk.isFull = true;
    live.insert(5, 3000);
    await primary.refresh();
    const present = primary.position?.index ?? -1;
    for (let round = 0; round < 4; round++) {
      live.insert(5, 3000);
      await primary.refresh();
      assert.equal(primary.position?.index, present);
    }
    assert.equal(primary.take(start, 2 ** 30).kind, 'bytes');
    const taken = primary.take(startOfLog(present), 2 ** 30);
    assert.ok(taken.kind === 'bytes' && taken.cursor.chain?.offsetBytes === primary.position?.offsetBytes);
    assert.deepEqual(logger.messages('error'), [CANNOT]);
    disk.isFull = false;
    // A checkpoint that was hindered waits for a while.
    await until('the log begins anew', async () => {
      live.insert(1, 3000);
      await primary.refresh();
      return primary.position?.index !== present;
    });
    assert.equal(primary.position?.index, present + 1);
    assert.equal(primary.take(taken.cursor, 2 ** 30).kind, 'bytes');
    assert.ok(logger.messages('info').includes('the local state can be written again'));
  } finally {
    await primary.close();
  }
});

test('what is confirmed is let go of, although the disk does not let its copy be removed', async () => {
  using live = new LiveDatabase();
  const logger = new RecordingLogger();
  const disk: Disk = { isFull: false };
  const primary = openOn(disk, live, logger);
  try {
    await primary.refresh();
    const start = await primary.attach('one');
    live.insert(5, 3000);
    await primary.refresh();
    live.insert(5, 3000);
    await primary.refresh();
    assert.ok(primary.spoolBytes > 0, 'the log began anew');
    disk.isReadOnly = true;
    const taken = primary.take(start, 2 ** 30);
    assert.ok(taken.kind === 'bytes');
    primary.confirm('one', primary.generation, primary.position ?? assert.fail());
    assert.equal(primary.spoolBytes, 0);
    assert.deepEqual(logger.messages('error'), [CANNOT]);
  } finally {
    await primary.close();
  }
});

test('what everybody has is checkpointed as ever; the next start believes nothing that it cannot prove', async () => {
  using live = new LiveDatabase();
  const logger = new RecordingLogger();
  const disk: Disk = { isFull: false };
  const primary = openOn(disk, live, logger);
  await primary.refresh();
  const { generation } = primary;
  const first = (await primary.attach('one')).index;
  disk.isFull = true;
  for (let round = 0; round < 4; round++) {
    live.insert(5, 3000);
    // Only seen: nothing is checkpointed before it is confirmed.
    const snapshot = await primary.openSnapshot();
    snapshot.close();
    primary.confirm('one', generation, snapshot.position);
    await primary.refresh();
  }
  assert.ok((primary.position?.index ?? 0) >= first + 2, `still in log ${primary.position?.index}`);
  await primary.close();
  assert.deepEqual(logger.messages('error'), [CANNOT]);
  const next = openPrimary(live.path);
  try {
    await next.refresh();
    assert.notEqual(next.generation, generation);
    assert.equal(next.take(startOfLog(next.position?.index ?? -1), 2 ** 20).kind, 'bytes');
  } finally {
    await next.close();
  }
});

test('a generation that was given up is told to those who wait, although the state cannot be written', async () => {
  using live = new LiveDatabase();
  const disk: Disk = { isFull: false };
  const primary = openOn(disk, live, new RecordingLogger());
  try {
    await primary.refresh();
    const { generation, changes } = primary;
    assert.ok(generation !== undefined);
    disk.isFull = true;
    await assert.rejects(primary.abandonGeneration(generation, 'a test'), /ENOSPC/);
    assert.notEqual(primary.generation, generation);
    assert.equal(await primary.refresh(), false, 'the refresh should have nothing left to find');
    assert.ok(primary.changes > changes);
  } finally {
    await primary.close();
  }
});

test('what the disk does not let go of is not left to the next generation', async () => {
  using live = new LiveDatabase();
  const disk: Disk = { isFull: false };
  const primary = openOn(disk, live, new RecordingLogger());
  const spooled = (): string[] => systemFiles.list(`${live.path}-meta/spool`);
  try {
    await primary.refresh();
    const generation = primary.generation ?? assert.fail();
    await primary.attach('one');
    for (let round = 0; round < 2; round++) {
      live.insert(5, 3000);
      await primary.refresh();
    }
    disk.isReadOnly = true;
    await assert.rejects(primary.abandonGeneration(generation, 'a test'), /EROFS/);
    await primary.refresh();
    assert.equal(primary.generation, generation);
    primary.confirm('one', generation, primary.position ?? assert.fail());
    assert.equal(primary.spoolBytes, 0);
    assert.notDeepEqual(spooled(), []);
    disk.isReadOnly = false;
    await primary.abandonGeneration(generation, 'a test');
    assert.notEqual(primary.generation, generation);
    assert.deepEqual(spooled(), []);
  } finally {
    await primary.close();
  }
});
