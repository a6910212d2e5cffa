/** Commits that the replicator makes beside an application that makes none: counted by the database's WAL index. */
import { setTimeout as delay } from 'node:timers/promises';
import { RunningApplication } from '../../test/support/applications/run-application.ts';
import { readIndexOf } from '../../test/support/read-index.ts';
import { type BesideMeasurement, gather, lineOf } from './beside.ts';
import { Replicator } from './replicator.ts';

export const ownCommits: BesideMeasurement = {
  name: 'own-commits',
  title: 'Commits of the replicator while the application is silent, from its start on',
  async run(context) {
    const what = `in ${context.seconds} s`;
    const results = await gather(context, { what }, async (companion, folder) => {
      const path = folder.file('app.db');
      await using silent = new RunningApplication('silent', path, {});
      await silent.reported();
      const before = readIndexOf(path).change;
      await using _replicator = await Replicator.start(companion, folder);
      await delay(context.seconds * 1000);
      const commits = readIndexOf(path).change - before;
      await silent.close();
      return { commits };
    });
    const isMet = (commits: number): boolean => commits === 0;
    return [lineOf(results, { what, unit: '', of: 'most', goal: 'none', isMet }, (r) => r.commits)];
  },
};
