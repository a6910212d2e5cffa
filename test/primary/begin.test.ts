import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemMachine } from '../../src/primary/machine.ts';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';

/**
 * A first run has read all of the WAL; a second one begins, and while it compares the WAL with the state something `happens`, at one
 * of the moments at which it lets others run.
 */
async function resumeWhile(happens: (live: LiveDatabase) => void, unseenRows: number, moment: number) {
  using live = new LiveDatabase();
  live.insert(20, 1000);
  const first = openPrimary(live.path);
  await first.refresh();
  const { generation } = first;
  await first.close();
  for (let row = 0; row < unseenRows; row++) live.insert(1, 1000);
  live.checkpoint('PASSIVE');
  let pauses = 0;
  const pause = async (): Promise<void> => {
    pauses++;
    if (pauses === moment) happens(live);
    await systemMachine.pause();
  };
  const second = openPrimary(live.path, { machine: { ...systemMachine, pause } });
  await second.refresh();
  assert.ok(pauses >= moment, 'something happened in between');
  const { position } = second;
  const isContinued = second.generation === generation;
  await second.close();
  return { isContinued, index: position?.index };
}

const MOMENTS = [1, 2, 3];

describe('the comparison of the WAL with the state of an earlier run', () => {
  for (const moment of MOMENTS) {
    it(`never skips what a WAL still had that is restarted meanwhile, at moment ${moment}`, async () => {
      const { isContinued, index } = await resumeWhile((live) => live.insert(1), 3, moment);
      assert.deepEqual({ isContinued, index }, { isContinued: false, index: 0 });
    });

    it(`follows a WAL that is restarted meanwhile by its next index when nothing was missed, at moment ${moment}`, async () => {
      const { isContinued, index } = await resumeWhile((live) => live.insert(1), 0, moment);
      assert.deepEqual({ isContinued, index }, { isContinued: true, index: 1 });
    });
  }

  it('goes on with a WAL that only grew', async () => {
    const { isContinued, index } = await resumeWhile(() => undefined, 3, 1);
    assert.deepEqual({ isContinued, index }, { isContinued: true, index: 0 });
  });
});
