/**
 * Two writers on one path, one of them frozen past its lease and woken again: a share of the schedules that
 * `npm run test:two-writers` runs. `RIVULET_SEED` chooses them, `RIVULET_SCHEDULES` says how many for each place.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { whyNoCeph } from '../support/ceph-rgw.ts';
import { Scratch } from '../support/scratch.ts';
import { PLACE_NAMES, runPlaces } from './two-writers/run-places.ts';

const SEED = Number(process.env['RIVULET_SEED'] ?? Math.floor(Math.random() * 1_000_000));
const SCHEDULES = Number(process.env['RIVULET_SCHEDULES'] ?? 12);
const AT_ONCE = 4;
const TIMEOUT_MS = 600_000;

describe(`two writers on one path, seed ${SEED}`, { timeout: TIMEOUT_MS }, () => {
  for (const on of PLACE_NAMES) {
    const skip = on === 'ceph' ? (whyNoCeph() ?? false) : false;
    it(`${on}: what either was told is stored restores, or it was told that it lost`, { skip }, async () => {
      using scratch = new Scratch();
      const said: string[] = [];
      const [summary] = await runPlaces({
        seed: SEED,
        schedules: SCHEDULES,
        on,
        atOnce: AT_ONCE,
        folder: scratch.path,
        tellStory: false,
        say: (text) => said.push(text),
      });
      assert.equal(summary?.failed, 0, said.join('\n'));
      assert.ok(summary.promises > SCHEDULES && summary.takeovers > 0, said.join('\n'));
    });
  }
});
