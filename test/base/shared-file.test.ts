import assert from 'node:assert/strict';
import { chmodSync, statSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import {
  isAllowedByList,
  isSharedByDefault,
  makeSharedFile,
  mayAllUse,
  mayOwnerUse,
  OwnerLockedOut,
  ownRights,
  type Rights,
} from '../../src/base/shared-file.ts';
import { Scratch } from '../support/scratch.ts';

const MEMBER: Rights = { uid: 2, gids: [2, 50], mayOverride: false };

describe('who may use a file', () => {
  const model = { uid: 1, gid: 50, mode: 0o660 };

  it('its owner, its group, or everybody, as the permission bits say', () => {
    assert.equal(mayOwnerUse({ uid: 1, gid: 9, mode: 0o600 }, model), true);
    assert.equal(mayOwnerUse({ uid: 2, gid: 50, mode: 0o660 }, model), true);
    assert.equal(mayOwnerUse({ uid: 2, gid: 50, mode: 0o640 }, model), false);
    assert.equal(mayOwnerUse({ uid: 2, gid: 2, mode: 0o660 }, model), false);
    assert.equal(mayOwnerUse({ uid: 2, gid: 2, mode: 0o666 }, model), true);
    assert.equal(mayAllUse({ uid: 1, gid: 9, mode: 0o660 }, model), false, 'the group writes the model too');
    assert.equal(mayAllUse({ uid: 1, gid: 9, mode: 0o644 }, { ...model, mode: 0o644 }), true);
  });

  it('a file of the same user needs nothing, unless its group may write', () => {
    assert.equal(isSharedByDefault({ uid: 2, gid: 50, mode: 0o644 }, MEMBER), true);
    assert.equal(isSharedByDefault({ uid: 2, gid: 50, mode: 0o664 }, MEMBER), false);
    assert.equal(isSharedByDefault({ uid: 1, gid: 2, mode: 0o644 }, MEMBER), false);
  });

  it('what the bits do not allow, and no right of root, is allowed by a list', () => {
    assert.equal(isAllowedByList(model, MEMBER), false);
    assert.equal(isAllowedByList({ ...model, gid: 51 }, MEMBER), true);
    assert.equal(isAllowedByList({ ...model, gid: 51 }, { ...MEMBER, mayOverride: true }), false);
    assert.equal(isAllowedByList({ ...model, gid: 51, mode: 0o666 }, MEMBER), false);
  });
});

describe('a file that others must be able to use', () => {
  const rights = ownRights() ?? MEMBER;

  it('appears with the mode of its model whatever the umask, and never replaces another', () => {
    using scratch = new Scratch();
    const before = process.umask(0o077);
    try {
      writeFileSync(scratch.file('a.db'), '');
      chmodSync(scratch.file('a.db'), 0o664);
      const model = statSync(scratch.file('a.db'));
      makeSharedFile(scratch.file('a.db-wal'), model, rights);
      assert.equal(statSync(scratch.file('a.db-wal')).mode & 0o777, 0o664);
      writeFileSync(scratch.file('a.db-shm'), 'in use');
      makeSharedFile(scratch.file('a.db-shm'), model, rights);
      assert.equal(statSync(scratch.file('a.db-shm')).size, 6);
    } finally {
      process.umask(before);
    }
    assert.deepEqual(scratch.names(), ['a.db', 'a.db-shm', 'a.db-wal']);
  });

  it('is only tried when that is asked', () => {
    using scratch = new Scratch();
    makeSharedFile(scratch.file('x'), { ...rights, gid: rights.gids[0] ?? 0, mode: 0o600 }, rights, {
      isTrial: true,
    });
    assert.deepEqual(scratch.names(), []);
  });

  it('is not made when its owner could not use it', (t) => {
    if (rights.uid === 0) {
      t.skip('root may give files to anybody');
      return;
    }
    using scratch = new Scratch();
    const model = { uid: rights.uid + 1, gid: 1, mode: 0o660 };
    assert.throws(
      () => makeSharedFile(scratch.file('x'), model, { ...rights, mayOverride: true }),
      OwnerLockedOut,
    );
    assert.deepEqual(scratch.names(), []);
  });
});
