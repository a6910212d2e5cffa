import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import {
  defaultStatePath,
  givenStatePath,
  possibleStatePaths,
  type StateWorld,
  systemStatePath,
} from '../../src/config/state-place.ts';
import { Scratch } from '../support/scratch.ts';
import { parse } from './support.ts';

const ALICE = 1_000;

/** Directories with owner and mode; links lead elsewhere. */
function world(
  uid: number | undefined,
  directories: Readonly<Record<string, readonly [uid: number, mode: number]>>,
  links: Readonly<Record<string, string>> = {},
): StateWorld {
  return {
    platform: 'linux',
    uid,
    stat: (path) => {
      const found = path === '/' ? ([0, 0o755] as const) : directories[path];
      return found && { uid: found[0], mode: found[1] };
    },
    realPath: (path) => {
      const link = Object.keys(links).find((one) => path === one || path.startsWith(`${one}/`));
      const real = link === undefined ? path : links[link] + path.slice(link.length);
      if (real !== '/' && directories[real] === undefined) throw new Error('ENOENT');
      return real;
    },
  };
}

const BESIDE = '/srv/app/.a.db-rivulet';
const isBeside = (around: StateWorld): boolean => defaultStatePath('/srv/app/a.db', around) === BESIDE;

describe('where the local state is kept', () => {
  it('beside the database for anybody but root', () => {
    assert.ok(isBeside(world(ALICE, { '/srv': [0, 0o755], '/srv/app': [2_000, 0o777] })));
    assert.ok(isBeside(world(undefined, {})));
  });

  it('beside the database for root, where nobody else can exchange the directory', () => {
    assert.ok(isBeside(world(0, { '/srv': [0, 0o755], '/srv/app': [0, 0o750] })));
    assert.ok(isBeside(world(0, { '/srv': [0, 0o1777], '/srv/app': [0, 0o755] })), 'as below /tmp');
    assert.ok(isBeside(world(0, { '/srv': [0, 0o755] })), 'it is not there yet');
  });

  it('in a directory of its own for root, where somebody else can', () => {
    for (const [why, around] of Object.entries({
      'another owner': world(0, { '/srv': [0, 0o755], '/srv/app': [ALICE, 0o755] }),
      'a group': world(0, { '/srv': [0, 0o755], '/srv/app': [0, 0o775] }),
      everybody: world(0, { '/srv': [0, 0o755], '/srv/app': [0, 0o1777] }),
      'above it': world(0, { '/srv': [ALICE, 0o755], '/srv/app': [0, 0o755] }),
      'open above it': world(0, { '/srv': [0, 0o777], '/srv/app': [0, 0o755] }),
      'behind a link': world(
        0,
        { '/home': [ALICE, 0o755], '/home/app': [0, 0o755] },
        { '/srv/app': '/home/app' },
      ),
    })) {
      const path = defaultStatePath('/srv/app/a.db', around);
      assert.match(path, /^\/var\/lib\/rivulet\/a\.db-[0-9a-f]{16}$/, why);
    }
  });

  it('follows the real path, so that a database has one place under all its names', () => {
    const around = world(
      0,
      { '/home': [0, 0o755], '/home/app': [ALICE, 0o755] },
      { '/srv/app': '/home/app' },
    );
    assert.equal(systemStatePath('/srv/app/a.db', around), systemStatePath('/home/app/a.db', around));
    assert.notEqual(systemStatePath('/home/app/b.db', around), systemStatePath('/home/app/a.db', around));
  });

  it('is looked for where another user would keep it, unless the configuration says where it is', () => {
    const around = world(ALICE, {});
    const system = systemStatePath('/srv/app/a.db', around);
    assert.deepEqual(possibleStatePaths('/srv/app/a.db', BESIDE, around), [BESIDE, system]);
    assert.deepEqual(possibleStatePaths('/srv/app/a.db', system, around), [system, BESIDE]);
    assert.deepEqual(possibleStatePaths('/srv/app/a.db', '/else', around), ['/else']);
  });

  it('in a folder of its own when meta-path holds the files of others, with a warning', () => {
    using scratch = new Scratch();
    const [own, shared] = [scratch.file('own'), scratch.file('shared')];
    for (const path of [own, shared]) mkdirSync(path);
    writeFileSync(scratch.file('shared/precious'), '');
    writeFileSync(scratch.file('file'), '');
    assert.equal(givenStatePath(own, '/data/a.db'), own);
    assert.equal(givenStatePath(scratch.file('absent'), '/data/a.db'), scratch.file('absent'));
    assert.equal(givenStatePath(scratch.file('file'), '/data/a.db'), scratch.file('file'));
    const { config, warnings } = parse(`dbs: [{path: /data/a.db, meta-path: "${shared}"}]`);
    assert.equal(config.databases[0]?.metaPath, scratch.file('shared/.a.db-rivulet'));
    assert.match(
      warnings[0]?.message ?? '',
      /holds files that are not Rivulet's: the local state is kept in/,
    );
  });
});
