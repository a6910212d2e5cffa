import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { openControl } from '../../src/daemon/control.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Scratch } from '../support/scratch.ts';

/** Of a user that is not there. */
const UID = 4_000_000_001;
const TAKEN = `/tmp/rivulet-${UID}`;

test('where there is no other place, the control socket is in the state directory', async () => {
  using scratch = new Scratch();
  const logger = new RecordingLogger();
  const settings = { enabled: true, path: undefined, permissions: 0o600 };
  const world = { platform: 'linux', environment: {}, temporaryPath: '/nowhere', uid: UID } as const;
  const deps = { settings, databasePath: scratch.file('a.db'), routes: {}, logger };
  {
    await using usual = await openControl({ ...deps, statePath: scratch.path });
    assert.ok(usual !== undefined && !usual.path.startsWith(scratch.path));
  }
  writeFileSync(TAKEN, 'no directory');
  try {
    await using control = await openControl({ ...deps, world, statePath: scratch.path });
    assert.equal(control?.path, scratch.file('control.sock'));
    assert.ok(existsSync(scratch.file('control.sock')));
    assert.deepEqual(logger.messages('warn'), []);
    assert.equal(await openControl({ ...deps, world, statePath: undefined }), undefined);
    assert.match(logger.messages('warn').join(), /there is no control socket/);
  } finally {
    rmSync(TAKEN);
  }
});
