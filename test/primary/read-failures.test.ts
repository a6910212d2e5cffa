/** The system refuses to read for a while: nothing is concluded from that, and everything goes on where it stood. */
import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { isRivuletError } from '../../src/base/errors.ts';
import { readFully, systemFiles } from '../../src/base/files.ts';
import { isReadFailure } from '../../src/base/read-failure.ts';
import type { Primary } from '../../src/primary/primary.ts';
import { ReadPatience } from '../../src/primary/read-patience.ts';
import { readState } from '../../src/primary/state-file.ts';
import { FailingReads, isDatabase, isSpooled, isWal, READ_FAULTS } from '../support/failing-reads.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { LiveDatabase, NOT_IN_MEMORY, openPrimary } from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Scratch } from '../support/scratch.ts';

const isUnreadable = (error: unknown): boolean => isRivuletError(error, 'DB_UNREADABLE');

async function digestOf(primary: Primary): Promise<Uint8Array> {
  const snapshot = await primary.openSnapshot();
  try {
    const pieces: Uint8Array[] = [];
    for await (const piece of snapshot.pages()) pieces.push(piece.slice());
    return Buffer.concat(pieces);
  } finally {
    snapshot.close();
  }
}

describe('a write-ahead log that cannot be read', () => {
  for (const fault of READ_FAULTS) {
    it(`${fault}: looks and takes fail, and go on in the same generation at the same place`, async () => {
      using live = new LiveDatabase();
      const reads = new FailingReads();
      const primary = openPrimary(live.path, { machine: reads.machine });
      try {
        live.insert(5);
        await primary.refresh();
        const taken = primary.take(await primary.attach('one'), 2 ** 20);
        assert.ok(taken.kind === 'bytes');
        live.insert(5);
        await primary.refresh();
        const { generation, position } = primary;
        live.insert(5);
        reads.begin(fault, isWal);
        await assert.rejects(primary.refresh(), isUnreadable);
        assert.throws(() => primary.take(taken.cursor, 2 ** 20), isUnreadable);
        await assert.rejects(primary.openSnapshot(), isUnreadable);
        assert.deepEqual([primary.generation, primary.position], [generation, position]);
        assert.ok(reads.failed > 0);
        reads.end();
        await primary.refresh();
        assert.equal(primary.generation, generation);
        assert.ok((primary.position?.offsetBytes ?? 0) > (position?.offsetBytes ?? 0));
        assert.equal(primary.take(taken.cursor, 2 ** 20).kind, 'bytes');
        assert.equal(primary.pin, undefined, 'a snapshot that did not begin keeps no transaction open');
        assert.equal(live.checkpoint('PASSIVE').busy, 0);
      } finally {
        await primary.close();
      }
    });
  }

  it('at a start: the generation is continued once it can be read, and none is begun before', async () => {
    using live = new LiveDatabase();
    live.insert(20, 2000);
    let primary = openPrimary(live.path);
    await primary.refresh();
    const { generation, position } = primary;
    await primary.close();
    // Each of the readings of a start fails in its turn.
    for (let nth = 1; nth < 12; nth++) {
      const reads = new FailingReads();
      let seen = 0;
      reads.begin('EIO', (path) => isWal(path) && ++seen === nth);
      primary = openPrimary(live.path, { machine: reads.machine });
      try {
        const isRefused = await primary.refresh().then(
          () => false,
          (error: unknown) => isReadFailure(error) || assert.fail(String(error)),
        );
        assert.equal(isRefused, reads.failed > 0);
        reads.end();
        await primary.refresh();
        assert.deepEqual([primary.generation, primary.position], [generation, position], `reading ${nth}`);
      } finally {
        await primary.close();
      }
      if (reads.failed === 0) return;
    }
    assert.fail('a start reads the log less often');
  });

  it('a destination that resumes is told so, and not that it needs a snapshot', async () => {
    using live = new LiveDatabase();
    const reads = new FailingReads();
    const primary = openPrimary(live.path, { machine: reads.machine });
    try {
      live.insert(5);
      await primary.refresh();
      const generation = primary.generation ?? assert.fail();
      const taken = primary.take(await primary.attach('one'), 2 ** 20);
      assert.ok(taken.kind === 'bytes');
      const resume = async (): Promise<unknown> => primary.resumeAfter(generation, taken.from, taken.bytes);
      reads.begin('EIO', isWal);
      await assert.rejects(resume(), isUnreadable);
      reads.end();
      assert.deepEqual(await resume(), taken.cursor);
    } finally {
      await primary.close();
    }
  });
});

describe('a snapshot while the system refuses to read', () => {
  for (const [what, isHit] of [
    ['the database file', isDatabase],
    ['the log', isWal],
  ] as const) {
    it(`goes on where it stood, with the same bytes, where it is read in place: ${what}`, async () => {
      using live = new LiveDatabase();
      const clock = new FakeClock();
      const logger = new RecordingLogger();
      const reads = new FailingReads();
      const machine = { ...reads.machine, files: { ...reads.files, freeBytes: () => 0 } };
      const primary = openPrimary(live.path, { machine, clock, logger, copySizes: NOT_IN_MEMORY });
      try {
        live.insert(1000, 2000);
        live.checkpoint('PASSIVE');
        live.insert(50, 2000);
        await primary.refresh();
        const whole = await digestOf(primary);
        const snapshot = await primary.openSnapshot();
        const pieces: Uint8Array[] = [];
        const read = async (): Promise<void> => {
          for await (const piece of snapshot.pages()) {
            pieces.push(piece.slice());
            if (pieces.length === 1 && what !== 'the log') reads.begin('EIO', isHit, 5);
          }
        };
        if (what === 'the log') reads.begin('EIO', isHit, 5);
        await clock.during(read());
        snapshot.close();
        assert.equal(reads.failed, 5);
        assert.ok(Buffer.concat(pieces).equals(whole));
        assert.equal(logger.matching('reading the database failed; reading it again').length, 1);
        assert.equal(logger.matching('the database can be read again').length, 1);
      } finally {
        await primary.close();
      }
    });
  }

  for (const [what, isHit] of [
    ['the database file', isDatabase],
    ['the log', isWal],
  ] as const) {
    it(`goes on where it stood, with the same bytes, where it is copied aside: ${what}`, async () => {
      using live = new LiveDatabase();
      const clock = new FakeClock();
      const logger = new RecordingLogger();
      const reads = new FailingReads();
      const primary = openPrimary(live.path, {
        machine: reads.machine,
        clock,
        logger,
        copySizes: { ...NOT_IN_MEMORY, pieceBytes: 2 ** 18 },
      });
      try {
        live.insert(1000, 2000);
        live.checkpoint('PASSIVE');
        live.insert(50, 2000);
        await primary.refresh();
        const whole = await digestOf(primary);
        let copied = 0;
        const onCopied = (): void => {
          if (copied++ === 0) reads.begin('EIO', isHit, 5);
        };
        await clock.during(
          (async () => {
            const snapshot = await primary.openSnapshot({ onCopied });
            const pieces: Uint8Array[] = [];
            for await (const piece of snapshot.pages()) pieces.push(piece.slice());
            snapshot.close();
            assert.ok(Buffer.concat(pieces).equals(whole));
          })(),
        );
        assert.equal(reads.failed, 5);
        assert.equal(copied, Math.ceil(statSync(live.path).size / 2 ** 18), 'nothing is copied twice');
        assert.equal(logger.matching('reading the database failed; reading it again').length, 1);
        assert.equal(logger.matching('the database can be read again').length, 1);
      } finally {
        await primary.close();
      }
    });
  }

  it('fails when that goes on for a minute', async () => {
    using live = new LiveDatabase();
    const clock = new FakeClock();
    const reads = new FailingReads();
    const primary = openPrimary(live.path, { machine: reads.machine, clock });
    try {
      live.insert(10);
      await primary.refresh();
      reads.begin('EIO', isDatabase);
      const startedMs = clock.monotonicMs();
      await assert.rejects(clock.during(digestOf(primary)), isUnreadable);
      const elapsedMs = clock.monotonicMs() - startedMs;
      assert.ok(elapsedMs >= 60_000 && elapsedMs < 65_000, String(elapsedMs));
    } finally {
      await primary.close();
    }
  });
});

describe('a spooled piece that cannot be read', () => {
  it('is waited for; after five minutes it counts as lost', async () => {
    using live = new LiveDatabase();
    const clock = new FakeClock();
    const reads = new FailingReads();
    const primary = openPrimary(live.path, { machine: reads.machine, clock, checkpoint: { minPages: 1 } });
    try {
      await primary.refresh();
      const start = await primary.attach('one');
      for (let round = 0; round < 3; round++) {
        live.insert(20, 2000);
        clock.advance(5_000);
        await primary.refresh();
      }
      assert.ok((primary.position?.index ?? 0) > start.index, 'the log has been restarted');
      const isState = (error: unknown): boolean => isRivuletError(error, 'STATE_INVALID');
      reads.begin('EIO', isSpooled);
      for (let minute = 0; minute < 5; minute++) {
        for (let attempt = 0; attempt < 3; attempt++)
          assert.throws(() => primary.take(start, 2 ** 20), isState);
        clock.advance(60_000);
      }
      const lost = primary.take(start, 2 ** 20);
      assert.ok(lost.kind === 'lost' && /EIO.*given up after 5 minutes/.test(lost.why), JSON.stringify(lost));
      reads.end();
      assert.equal(primary.take(start, 2 ** 20).kind, 'bytes');
    } finally {
      await primary.close();
    }
  });

  it('a machine that slept has not tried', () => {
    const clock = new FakeClock();
    const patience = new ReadPatience(clock);
    const fail = (): never => {
      throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
    };
    for (let attempt = 1; attempt < 10; attempt++) {
      assert.throws(() => patience.attempt('one', fail), isReadFailure);
      clock.advance(3_600_000);
    }
    assert.equal(
      patience.attempt('two', () => 7),
      7,
    );
    assert.throws(
      () => patience.attempt('one', fail),
      (error) => isRivuletError(error, 'WAL_INVALID'),
    );
    assert.throws(() => patience.attempt('one', fail), isReadFailure, 'counted from the beginning again');
  });
});

describe('the local state', () => {
  it('that cannot be read is not damaged', () => {
    const files = {
      ...systemFiles,
      read: () => {
        throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
      },
    };
    using scratch = new Scratch();
    const path = scratch.file('state.json');
    writeFileSync(path, 'anything');
    assert.throws(
      () => readState(path, files),
      (error) => isRivuletError(error, 'STATE_INVALID') && isReadFailure(error),
    );
    assert.equal(readState(path).kind, 'damaged');
    assert.equal(readState(`${path}.none`, files).kind, 'none');
  });
});

describe('reading a file', () => {
  it('that grows after its end was met is not a short read', () => {
    using scratch = new Scratch();
    const path = scratch.file('file');
    writeFileSync(path, 'four');
    let sizes = [8, 8, 4];
    const files = {
      ...systemFiles,
      statOpen: (descriptor: number) => ({
        ...systemFiles.statOpen(descriptor),
        sizeBytes: sizes.shift() ?? 4,
      }),
    };
    const descriptor = files.open(path);
    try {
      const into = new Uint8Array(8);
      assert.equal(readFully(files, descriptor, into, 0), 4);
      sizes = [8, 8, 8];
      assert.throws(() => readFully(files, descriptor, into, 0), /EIO.*byte 4 of a file of 8 bytes/);
    } finally {
      files.close(descriptor);
    }
  });

  it('what says that it is gone says something about it', () => {
    const error = (code: string): Error => Object.assign(new Error(code), { code });
    for (const code of ['EIO', 'ESTALE', 'ENOMEM', 'EINTR', 'EAGAIN', 'EBUSY', 'EACCES', 'EMFILE'])
      assert.ok(isReadFailure(error(code)), code);
    for (const other of [error('ENOENT'), error('ENOTDIR'), error('ERR_OUT_OF_RANGE'), new TypeError('x'), 1])
      assert.ok(!isReadFailure(other));
  });
});
