/** Folders and trees that never end are an error in time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { systemClock } from '../../../src/base/clock.ts';
import { isRivuletError } from '../../../src/base/errors.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { StorageRetrier } from '../../../src/storage/retry.ts';
import type { FolderEntry } from '../../../src/storage/sftp/connection.ts';
import { Endless, FolderBounds, TreeBounds } from '../../../src/storage/sftp/folder-bounds.ts';
import { SftpObjectStore } from '../../../src/storage/sftp/sftp-object-store.ts';
import { mayRetry } from '../../../src/storage/storage-error.ts';
import { type BareServerBehaviour, BareSftpServer } from '../../support/bare-sftp-server.ts';
import { gather } from '../conformance.ts';

function page(count: number, kind: FolderEntry['kind'] = 'file', name = 'some-name'): FolderEntry[] {
  return Array.from({ length: count }, () => ({ name, kind, sizeBytes: 1, modifiedAt: new Date(0) }));
}

/** A clock that a test sets. */
function clockAt(time: { ms: number }): typeof systemClock {
  return { ...systemClock, monotonicMs: () => time.ms };
}

/** How many times `step` can be done; fails when it never is refused. */
function stepsUntilRefused(step: (n: number) => void): number {
  for (let n = 0; n < 100_000; n++) {
    try {
      step(n);
    } catch (error) {
      assert.ok(error instanceof Endless);
      return n;
    }
  }
  return assert.fail('never refused');
}

describe('bounds of a folder', () => {
  it('files, folders, names and empty pages', () => {
    const time = { ms: 0 };
    const files = new FolderBounds(clockAt(time));
    assert.equal(
      stepsUntilRefused(() => files.check(page(1_000))),
      1_000,
    );
    const folders = new FolderBounds(clockAt(time));
    assert.equal(
      stepsUntilRefused(() => folders.check(page(1_000, 'folder'))),
      100,
    );
    const names = new FolderBounds(clockAt(time));
    assert.ok(stepsUntilRefused(() => names.check(page(100, 'file', 'x'.repeat(30_000)))) < 100);
    const empty = new FolderBounds(clockAt(time));
    assert.equal(
      stepsUntilRefused(() => empty.check([])),
      100,
    );
    const some = new FolderBounds(clockAt(time));
    for (let n = 0; n < 300; n++) some.check(page(n % 3 === 0 ? 1 : 0));
  });

  it('an entry now and then is no progress, a slow server is', () => {
    const time = { ms: 0 };
    const drip = new FolderBounds(clockAt(time));
    const step = (bounds: FolderBounds, count: number) => (): void => {
      time.ms += 1_000;
      bounds.check(page(count));
    };
    assert.ok(stepsUntilRefused(step(drip, 1)) <= 31);
    time.ms = 0;
    const slow = new FolderBounds(clockAt(time));
    for (let n = 0; n < 120; n++) step(slow, 1_000)();
    time.ms = 0;
    const fast = new FolderBounds(clockAt(time));
    assert.ok(stepsUntilRefused(step(fast, 11_000)) <= 31, 'one that could have ended by then');
  });

  it('folders in folders, and folders beside folders', () => {
    const deep = new TreeBounds();
    assert.equal(
      stepsUntilRefused((n) => deep.check('a/'.repeat(n))),
      32,
    );
    const wide = new TreeBounds();
    const many = stepsUntilRefused((n) => {
      for (let m = 0; m < 100; m++) wide.check(`${n}-${m}/`);
    });
    assert.equal(many, 1_000);
  });
});

async function assertEndless(
  inventedFolders: BareServerBehaviour['inventedFolders'],
  call: (store: SftpObjectStore) => Promise<unknown>,
  message: RegExp,
): Promise<void> {
  await using server = await BareSftpServer.start({ inventedFolders });
  const { host, port, user, password } = server;
  const [clock, logger] = [systemClock, silentLogger];
  const store = new SftpObjectStore(
    { host, port, user, password, path: '/replica', hostKeys: [server.hostKey] },
    { clock, logger, onRequest: () => undefined, retrier: new StorageRetrier({ clock, logger }) },
  );
  try {
    await assert.rejects(call(store), (error) => {
      assert.ok(isRivuletError(error, 'STORAGE_FAILED'), String(error));
      assert.match(error.message, message);
      assert.equal(mayRetry(error), false);
      return true;
    });
  } finally {
    await store.close();
  }
}

describe('a server', () => {
  it('whose folder never ends', async () => {
    const names = (_path: string, n: number): string[] => Array.from({ length: 500 }, (_, m) => `${n}-${m}`);
    await assertEndless(
      names,
      async (store) => store.listFolders('a/'),
      /cannot list \/replica\/a .*100000 folders/,
    );
  });

  it('whose folder goes on with empty pages', async () => {
    await assertEndless(
      () => [],
      async (store) => gather(store.list('a/')),
      /answers with nothing/,
    );
  });

  it('whose folders hold folders for ever', async () => {
    const one = (_path: string, n: number): string[] | undefined => (n === 0 ? ['again'] : undefined);
    await assertEndless(one, async (store) => gather(store.list('')), /nested more than 32 deep/);
    await assertEndless(
      one,
      async (store) => store.removeStaleTemporaries(0, () => true),
      /nested more than 32 deep/,
    );
  });
});
