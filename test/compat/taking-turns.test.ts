/** Both tools by turns on one database and one replica directory, the application writing during turns and between. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { Scratch } from '../support/scratch.ts';
import { Application, assertShipped } from './support/application.ts';
import { writeConfiguration } from './support/configuration.ts';
import { countObjects, generationsOf, restoreAlike } from './support/replica-files.ts';
import { Running, skip, type Tool } from './support/tools.ts';

const TURNS: readonly Tool[] = ['rivulet', 'litestream', 'rivulet', 'litestream', 'rivulet'];
const CHANGES = 5;

async function takeTurn(
  tool: Tool,
  application: Application,
  replicaPath: string,
  config: string,
): Promise<void> {
  const before = countObjects(replicaPath);
  await using replicator = new Running(tool, ['replicate', '-config', config]);
  await replicator.until('something stored', () => countObjects(replicaPath) > before);
  for (let change = 0; change < CHANGES; change += 1) {
    const known = countObjects(replicaPath);
    application.write(8);
    await replicator.settle(() => countObjects(replicaPath) > known);
  }
  await replicator.stop();
}

const SITUATIONS = [
  { how: 'the database stays open', closes: false, sharesMetaPath: false },
  { how: 'the database is closed in between', closes: true, sharesMetaPath: false },
  { how: 'both keep their notes in one meta-path', closes: false, sharesMetaPath: true },
];

for (const { how, closes, sharesMetaPath } of SITUATIONS) {
  describe(`taking turns: ${how}`, { skip }, () => {
    const scratch = new Scratch();
    const path = scratch.file('app.db');
    const replicaPath = scratch.file('replica');
    const database = {
      'min-checkpoint-page-count': 20,
      ...(sharesMetaPath && { 'meta-path': scratch.file('meta') }),
    };
    const config = writeConfiguration(scratch.file('config.yml'), [{ path, replicaPath, database }]);
    let application = new Application(path);
    const known = new Set<string>();
    after(() => {
      application[Symbol.dispose]();
      scratch[Symbol.dispose]();
    });

    for (const [turn, tool] of TURNS.entries()) {
      test(`turn ${turn + 1}: ${tool}`, async () => {
        await takeTurn(tool, application, replicaPath, config);
        const { rows } = await restoreAlike(replicaPath);
        assertShipped(tool, rows, application);
        for (const generation of generationsOf(replicaPath)) known.add(generation);
        application.write(8);
        if (closes) {
          application[Symbol.dispose]();
          application = new Application(path);
        }
        application.write(8);
      });
    }

    test('every turn began a generation, and all of them can still be restored', async () => {
      assert.ok(known.size >= TURNS.length, `${known.size} generations`);
      for (const generation of known) await restoreAlike(replicaPath, ['-generation', generation]);
    });
  });
}
