/** SQLite's opinion of what was built, and building into a file of the caller's. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { checkIntegrity } from '../../src/restore/integrity.ts';
import { buildInto } from '../../src/restore/restore.ts';
import { fillSmallReplica, lastPoint, ReplicaMaker } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';

describe('what was built', () => {
  it('goes into a file of the caller, whole', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    using scratch = new Scratch();
    const fd = openSync(scratch.file('own'), 'wx+');
    try {
      const built = await buildInto(
        { fd, folder: scratch.path, openOverflow: () => openSync(scratch.file('overflow'), 'wx+') },
        { store: maker.store, target: {} },
      );
      assert.deepEqual(built.unprovenReasons, []);
    } finally {
      closeSync(fd);
    }
    assert.ok(readFileSync(scratch.file('own')).equals(lastPoint(maker).database));
    assert.deepEqual(scratch.names(), ['own']);
  });

  it('is refused with what SQLite says when its pages do not fit together, and when it is no database', () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    using scratch = new Scratch();
    const path = scratch.file('db');
    const whole = lastPoint(maker).database;
    writeFileSync(path, whole);
    for (const check of ['none', 'quick', 'full'] as const) checkIntegrity(path, check);
    const torn = Buffer.from(whole);
    torn.fill(0x5a, 4096, 8192);
    for (const bytes of [torn, Buffer.alloc(8192, 1)]) {
      writeFileSync(path, bytes);
      checkIntegrity(path, 'none');
      for (const check of ['quick', 'full'] as const) {
        assert.throws(() => checkIntegrity(path, check), {
          code: 'INTEGRITY',
          message: new RegExp(`${check} check: .+`),
        });
      }
    }
    assert.deepEqual(scratch.names(), ['db']);
  });
});
