/**
 * Every page size with every kind of vacuum, written by each tool and restored by both: the same bytes from both, and
 * the rows of the source. All databases of one writer are replicated by one process, side by side.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Scratch } from '../support/scratch.ts';
import { Application, assertShipped } from './support/application.ts';
import { writeConfiguration } from './support/configuration.ts';
import { countObjects, objectsOf, restoreAlike } from './support/replica-files.ts';
import { Running, skip, TOOLS } from './support/tools.ts';

const PAGE_SIZES = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
const AUTO_VACUUMS = ['none', 'full', 'incremental'] as const;

interface Source {
  readonly title: string;
  readonly application: Application;
  readonly replicaPath: string;
}

function makeSources(scratch: Scratch): Source[] {
  return PAGE_SIZES.flatMap((pageSizeBytes) =>
    AUTO_VACUUMS.map((autoVacuum) => {
      const name = `${pageSizeBytes}-${autoVacuum}`;
      const application = new Application(scratch.file(`${name}.db`), { pageSizeBytes, autoVacuum });
      const title = `pages of ${pageSizeBytes} bytes, auto_vacuum ${autoVacuum}`;
      return { title, application, replicaPath: scratch.file(`${name}-replica`) };
    }),
  );
}

/** Does `change` everywhere, and waits until the replicas have got something new. */
async function everywhere(
  sources: readonly Source[],
  replicator: Running,
  change: (application: Application) => void,
): Promise<void> {
  const before = sources.map(({ replicaPath }) => countObjects(replicaPath));
  for (const { application } of sources) change(application);
  await replicator.settle(() =>
    sources.every(({ replicaPath }, at) => countObjects(replicaPath) > (before[at] ?? 0)),
  );
}

async function history(sources: readonly Source[], replicator: Running): Promise<void> {
  await everywhere(sources, replicator, (application) => application.write(40, 700));
  await everywhere(sources, replicator, (application) => application.write());
  await everywhere(sources, replicator, (application) =>
    application.exec('DELETE FROM notes WHERE id % 3 > 0'),
  );
  await everywhere(sources, replicator, (application) => {
    application.exec('PRAGMA incremental_vacuum(10)');
    application.write(1);
  });
  await everywhere(sources, replicator, (application) => application.exec('VACUUM'));
  await everywhere(sources, replicator, (application) => application.write(20));
  await everywhere(sources, replicator, (application) => application.write(3));
}

for (const writer of TOOLS) {
  describe(`page sizes and vacuum, written by ${writer}`, { skip, concurrency: 2 }, () => {
    const scratch = new Scratch();
    const sources = makeSources(scratch);

    before(async () => {
      const entries = sources.map(({ application, replicaPath }) => ({
        path: application.path,
        replicaPath,
        database: { 'min-checkpoint-page-count': 20 },
      }));
      const config = writeConfiguration(scratch.file('config.yml'), entries);
      await using replicator = new Running(writer, ['replicate', '-config', config]);
      await replicator.until('first snapshots', () =>
        sources.every(({ replicaPath }) => countObjects(replicaPath) > 0),
      );
      await history(sources, replicator);
      await replicator.stop();
    });

    after(() => {
      for (const { application } of sources) application[Symbol.dispose]();
      scratch[Symbol.dispose]();
    });

    for (const { title, application, replicaPath } of sources) {
      test(title, async () => {
        const { rows } = await restoreAlike(replicaPath);
        assertShipped(writer, rows, application);
        assert.ok(objectsOf(replicaPath).length >= 6);
      });
    }
  });
}
