import assert from 'node:assert/strict';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { Spool } from '../../src/primary/spool.ts';
import { Scratch } from '../support/scratch.ts';

const LINGERING_MS = 10_000;

function bytesOf(length: number, from: number = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (from + i) % 251);
}

/** What lies at an offset of log `index`; `undefined` when nothing does. */
function readBytes(spool: Spool, index: number, offsetBytes: number, length: number): Uint8Array {
  const into = new Uint8Array(length);
  return into.subarray(0, spool.read(index, into, offsetBytes));
}

describe('the spool', () => {
  it('is empty, and makes no folder, until something is kept', () => {
    using scratch = new Scratch();
    const spool = new Spool(scratch.file('spool'));
    assert.equal(spool.sizeBytes, 0);
    assert.equal(spool.coveredUntil({ index: 0, offsetBytes: 0 }), undefined);
    assert.equal(readBytes(spool, 0, 0, 10).length, 0);
    spool.prune(undefined);
    assert.deepEqual(scratch.names(), []);
  });

  it('gives back bytes across its files, from anywhere in them', () => {
    using scratch = new Scratch();
    const spool = new Spool(scratch.file('spool'));
    const log = bytesOf(1000);
    spool.append({ index: 4, offsetBytes: 300 }, log.subarray(300, 1000), 0);
    spool.append({ index: 4, offsetBytes: 0 }, log.subarray(0, 300), 0);
    spool.append({ index: 5, offsetBytes: 0 }, bytesOf(50, 7), 0);
    assert.equal(spool.sizeBytes, 1050);
    assert.deepEqual(readBytes(spool, 4, 0, 1000), log);
    assert.deepEqual(readBytes(spool, 4, 250, 100), log.subarray(250, 350));
    assert.deepEqual(readBytes(spool, 4, 990, 100), log.subarray(990));
    assert.deepEqual(readBytes(spool, 5, 10, 10), bytesOf(10, 17));
    assert.equal(readBytes(spool, 4, 1000, 1).length, 0);
    assert.equal(readBytes(spool, 6, 0, 1).length, 0);
  });

  it('knows how far it reaches without a hole', () => {
    using scratch = new Scratch();
    const spool = new Spool(scratch.file('spool'));
    spool.append({ index: 1, offsetBytes: 100 }, bytesOf(50), 0);
    spool.append({ index: 1, offsetBytes: 150 }, bytesOf(30), 0);
    spool.append({ index: 1, offsetBytes: 200 }, bytesOf(10), 0);
    const until = (index: number, offsetBytes: number): number | undefined =>
      spool.coveredUntil({ index, offsetBytes });
    assert.deepEqual([until(1, 100), until(1, 149), until(1, 150), until(1, 179)], [180, 180, 180, 180]);
    assert.deepEqual(
      [until(1, 0), until(1, 99), until(1, 180), until(1, 199)],
      [undefined, undefined, undefined, undefined],
    );
    assert.deepEqual([until(1, 200), until(1, 210), until(2, 0)], [210, undefined, undefined]);
  });

  it('forgets what lies wholly before a position, and everything when nobody needs anything', () => {
    using scratch = new Scratch();
    const folder = scratch.file('spool');
    const spool = new Spool(folder);
    for (const index of [1, 2, 3]) {
      spool.append({ index, offsetBytes: 0 }, bytesOf(100), 0);
      spool.append({ index, offsetBytes: 100 }, bytesOf(100, 100), 0);
    }
    spool.prune({ index: 0, offsetBytes: 500 });
    spool.prune({ index: 1, offsetBytes: 0 });
    assert.equal(readdirSync(folder).length, 6);
    spool.prune({ index: 2, offsetBytes: 150 });
    assert.equal(readdirSync(folder).length, 3);
    assert.equal(spool.coveredUntil({ index: 2, offsetBytes: 0 }), undefined);
    assert.deepEqual(readBytes(spool, 2, 150, 100), bytesOf(50, 150));
    spool.prune({ index: 2, offsetBytes: 200 });
    assert.equal(spool.sizeBytes, 200);
    spool.prune(undefined);
    assert.deepEqual(readdirSync(folder), []);
    assert.equal(spool.sizeBytes, 0);
  });

  it('is found again by the next process, without what was half written, and what is not of Rivulet stays', () => {
    using scratch = new Scratch();
    const folder = scratch.file('spool');
    const first = new Spool(folder);
    first.append({ index: 9, offsetBytes: 0 }, bytesOf(64), 0);
    first.append({ index: 9, offsetBytes: 64 }, bytesOf(36, 64), 0);
    writeFileSync(join(folder, '00000009_00000064_00000010.wal.tmp'), 'half');
    writeFileSync(join(folder, `00000009_00000064_00000010.wal.tmp-${'1'.repeat(16)}`), 'half');
    writeFileSync(join(folder, 'notes.txt'), 'strange');
    mkdirSync(join(folder, 'folder'));
    const second = new Spool(folder);
    assert.equal(second.sizeBytes, 100);
    assert.deepEqual(readBytes(second, 9, 0, 100), bytesOf(100));
    assert.deepEqual(second.strangers.toSorted(), ['folder', 'notes.txt']);
    second.clear();
    assert.deepEqual(readdirSync(folder).sort(), ['folder', 'notes.txt']);
  });

  it('has names for logs larger than 4 GiB', () => {
    using scratch = new Scratch();
    const offsetBytes = 2 ** 32 + 32;
    new Spool(scratch.file('spool')).append({ index: 0x7fffffff, offsetBytes }, bytesOf(8), 0);
    const again = new Spool(scratch.file('spool'));
    assert.equal(again.coveredUntil({ index: 0x7fffffff, offsetBytes }), offsetBytes + 8);
    assert.deepEqual(readBytes(again, 0x7fffffff, offsetBytes + 4, 4), bytesOf(4, 4));
  });

  it('compresses what lingers, one file a call, and reads it as before, also after a restart', () => {
    using scratch = new Scratch();
    const folder = scratch.file('spool');
    const spool = new Spool(folder);
    const log = new Uint8Array(4000).fill(3);
    spool.append({ index: 0, offsetBytes: 0 }, log.subarray(0, 2000), 1000);
    spool.append({ index: 0, offsetBytes: 2000 }, log.subarray(2000), 2000);
    spool.compressLingering(1000 + LINGERING_MS - 1);
    assert.equal(spool.sizeBytes, 4000);
    spool.compressLingering(2000 + LINGERING_MS);
    assert.equal(readdirSync(folder).filter((name) => name.endsWith('.lz4')).length, 1);
    spool.compressLingering(2000 + LINGERING_MS);
    spool.compressLingering(2000 + LINGERING_MS);
    assert.deepEqual(
      readdirSync(folder).map((name) => name.slice(-4)),
      ['.lz4', '.lz4'],
    );
    assert.ok(spool.sizeBytes < 400);
    assert.deepEqual(readBytes(spool, 0, 0, 4000), log);
    assert.deepEqual(readBytes(new Spool(folder), 0, 1990, 20), log.subarray(1990, 2010));
  });

  it('after a restart the age of a file is the age of the file', () => {
    using scratch = new Scratch();
    const folder = scratch.file('spool');
    new Spool(folder).append({ index: 0, offsetBytes: 0 }, new Uint8Array(2000), 0);
    const [name = ''] = readdirSync(folder);
    utimesSync(join(folder, name), 100, 100);
    const again = new Spool(folder);
    again.compressLingering(100_000 + LINGERING_MS - 1);
    assert.equal(again.sizeBytes, 2000);
    again.compressLingering(100_000 + LINGERING_MS);
    assert.ok(again.sizeBytes < 200);
  });

  it('the same stretch kept twice counts once', () => {
    using scratch = new Scratch();
    const spool = new Spool(scratch.file('spool'));
    spool.append({ index: 0, offsetBytes: 0 }, bytesOf(100), 0);
    spool.append({ index: 0, offsetBytes: 0 }, bytesOf(100), 0);
    assert.equal(spool.sizeBytes, 100);
    spool.append({ index: 0, offsetBytes: 0 }, bytesOf(160), 0);
    assert.equal(spool.coveredUntil({ index: 0, offsetBytes: 0 }), 160);
    assert.deepEqual(readBytes(spool, 0, 0, 160), bytesOf(160));
  });

  it('a file that is gone or cut off never stops the following, and is never taken for whole', () => {
    using scratch = new Scratch();
    const folder = scratch.file('spool');
    const spool = new Spool(folder);
    spool.append({ index: 0, offsetBytes: 0 }, bytesOf(500), 0);
    spool.append({ index: 0, offsetBytes: 500 }, bytesOf(500, 500), 0);
    const [first = '', second = ''] = readdirSync(folder)
      .sort()
      .map((name) => join(folder, name));
    truncateSync(second, 100);
    assert.equal(readBytes(spool, 0, 500, 500).length, 100);
    rmSync(first);
    spool.compressLingering(LINGERING_MS);
    assert.equal(spool.coveredUntil({ index: 0, offsetBytes: 0 }), undefined, 'the lost file still counts');
    assert.equal(new Spool(folder).coveredUntil({ index: 0, offsetBytes: 500 }), undefined);
  });

  it('a damaged compressed file is refused, not read wrongly', () => {
    using scratch = new Scratch();
    const folder = scratch.file('spool');
    const spool = new Spool(folder);
    spool.append({ index: 0, offsetBytes: 0 }, new Uint8Array(5000).fill(1), 0);
    spool.compressLingering(LINGERING_MS);
    const [name = ''] = readdirSync(folder);
    const stored = readFileSync(join(folder, name));
    stored[20] = (stored[20] ?? 0) ^ 0x40;
    writeFileSync(join(folder, name), stored);
    assert.throws(() => readBytes(new Spool(folder), 0, 0, 10), { code: 'LZ4_INVALID' });
  });

  it('cannot be made where something else is', () => {
    using scratch = new Scratch();
    writeFileSync(scratch.file('spool'), 'a file');
    assert.throws(() => new Spool(scratch.file('spool')), { code: 'ENOTDIR' });
    const spool = new Spool(scratch.file('other'));
    writeFileSync(scratch.file('other'), 'a file');
    assert.throws(() => spool.append({ index: 0, offsetBytes: 0 }, bytesOf(8), 0), { code: 'EEXIST' });
  });

  it('behaves as the log that it keeps a part of', () => {
    const log = bytesOf(2000);
    const action = fc.oneof(
      fc.record({ kind: fc.constant('append'), at: fc.nat(19), pieces: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ kind: fc.constant('prune'), at: fc.nat(20), pieces: fc.constant(0) }),
      fc.record({ kind: fc.constant('compress'), at: fc.constant(0), pieces: fc.constant(0) }),
      fc.record({ kind: fc.constant('reopen'), at: fc.constant(0), pieces: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 25 }), (actions) => {
        using scratch = new Scratch();
        let spool = new Spool(scratch.file('spool'));
        let files: { start: number; end: number }[] = [];
        for (const { kind, at, pieces } of actions) {
          const [start, end] = [at * 100, Math.min(2000, (at + pieces) * 100)];
          if (kind === 'append') {
            spool.append({ index: 0, offsetBytes: start }, log.subarray(start, end), 0);
            files = [...files, { start, end }];
          }
          if (kind === 'prune') {
            spool.prune({ index: 0, offsetBytes: start });
            files = files.filter((file) => file.end > start);
          }
          if (kind === 'compress') spool.compressLingering(Date.now() + LINGERING_MS);
          if (kind === 'reopen') spool = new Spool(scratch.file('spool'));
          for (let offset = 0; offset < 2000; offset += 50) {
            let reach = offset;
            for (;;) {
              const here = reach;
              const next = files.filter((file) => file.start <= here && file.end > here);
              if (next.length === 0) break;
              reach = Math.max(...next.map((file) => file.end));
            }
            assert.equal(
              spool.coveredUntil({ index: 0, offsetBytes: offset }),
              reach === offset ? undefined : reach,
            );
            assert.deepEqual(readBytes(spool, 0, offset, 2000), log.subarray(offset, reach));
          }
        }
      }),
      { seed: 23, numRuns: 40 },
    );
  });
});
