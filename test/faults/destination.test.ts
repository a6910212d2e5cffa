/** Destinations that fill up, become read-only, vanish, and come back, under a running application. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Scene } from './destination/scene.ts';
import { Tmpfs, whyNoMounts } from './destination/tmpfs.ts';
import { untilFailing, untilQuiet } from './waiting.ts';

const seed = Number(process.env['RIVULET_SEED'] ?? 1);
const TIMEOUT_MS = 300_000;
const SMALL_BYTES = 256 * 1024;
const LARGE_BYTES = 64 * 1024 * 1024;
/** How long a fault lasts; waits between attempts grow, so a long one makes a long test. */
const FAULT_MS = 1_500;
const needsMounts = { timeout: TIMEOUT_MS, skip: whyNoMounts() };

function onTmpfs(folder: string): Record<string, string> {
  return { only: join(folder, 'mounted', 'replica') };
}

suite('a destination that fails', { concurrency: 2 }, () => {
  test('full in the middle of a segment, then space again', needsMounts, async () => {
    await using scene = new Scene({ seed, replicaPaths: onTmpfs });
    using disk = new Tmpfs(join(scene.place.folder, 'mounted'), SMALL_BYTES);
    await scene.start();
    await untilFailing(scene.place, 'only');
    await scene.assertNothingWrongVisible();
    await sleep(FAULT_MS);
    await scene.assertNothingWrongVisible();
    disk.resize(LARGE_BYTES);
    await scene.assertRecovers();
    assert.ok(scene.messages('info').includes('the destination works again'));
    assert.equal(await scene.terminate(), 0);
  });

  test('too small for the first snapshot, then space', needsMounts, async () => {
    await using scene = new Scene({ seed: seed + 1, replicaPaths: onTmpfs });
    using disk = new Tmpfs(join(scene.place.folder, 'mounted'), 16_384);
    scene.application.start();
    await sleep(700);
    await scene.start();
    await untilFailing(scene.place, 'only');
    assert.equal(await scene.assertNothingWrongVisible(), undefined);
    await sleep(FAULT_MS);
    disk.resize(LARGE_BYTES);
    await scene.assertRecovers();
  });

  test('read-only for a while', needsMounts, async () => {
    await using scene = new Scene({ seed: seed + 2, replicaPaths: onTmpfs });
    using disk = new Tmpfs(join(scene.place.folder, 'mounted'), LARGE_BYTES);
    await scene.start();
    await sleep(500);
    await disk.setReadOnly(true);
    await untilFailing(scene.place, 'only');
    const before = await scene.assertNothingWrongVisible();
    await sleep(FAULT_MS);
    const after = await scene.assertNothingWrongVisible();
    assert.equal(after?.seq, before?.seq);
    await disk.setReadOnly(false);
    await scene.assertRecovers();
  });

  test('its directory is removed and made again', { timeout: TIMEOUT_MS }, async () => {
    await using scene = new Scene({ seed: seed + 3 });
    await scene.start();
    await scene.untilLogged('snapshot written');
    await sleep(1_000);
    rmSync(scene.place.replicaPath('only'), { recursive: true, force: true });
    // Whoever comes first finds it: the lease that is gone, a log that begins, or a proof.
    await scene.untilLogged('snapshot written', { times: 2 });
    await scene.assertRecovers();
  });

  test(
    'one of two never works: the other stays current, and the end is honest',
    { timeout: TIMEOUT_MS },
    async () => {
      await using scene = new Scene({
        seed: seed + 4,
        replication: { replicas: ['good', 'bad'], shutdownTimeoutMs: 1_500 },
        replicaPaths: (folder) => ({ bad: join(folder, 'file', 'replica') }),
      });
      writeFileSync(join(scene.place.folder, 'file'), 'a directory cannot be made below a file');
      await scene.start();
      await untilFailing(scene.place, 'bad');
      await sleep(FAULT_MS);
      await scene.application.terminate(10_000);
      await untilQuiet(scene.place, 'good');
      await scene.assertComplete('good');
      assert.equal(await scene.terminate(), 3);
    },
  );
});
