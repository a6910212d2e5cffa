/** Places that are probably not the ones that were meant. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { configFromCommandLine } from '../../src/config/from-command-line.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import type { Config } from '../../src/config/settings.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { check } from '../../src/daemon/check/check.ts';
import type { Finding } from '../../src/daemon/check/finding.ts';
import { lookalikeHint, placeWarningsAtStart } from '../../src/daemon/place-warnings.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';

function configOf(text: string): Config {
  return parseConfig(text, { file: 'rivulet.yml', environment: {} }).config;
}

async function findingsOf({ databases }: Config): Promise<Finding[]> {
  const found: Finding[] = [];
  const findings = check({
    databases,
    replicas: databases.flatMap(({ replicas }) => replicas),
    openStore: async (): Promise<ObjectStore> => new MemoryStore(),
    clock: systemClock,
    logger: silentLogger,
    signal: new AbortController().signal,
  });
  for await (const finding of findings) found.push(finding);
  return found;
}

describe('a database without a replica', () => {
  for (const replicas of ['', 'replicas: []'])
    it(`fails the check, and is told at the start: ${replicas || 'no key'}`, async () => {
      const config = configOf(`dbs: [{path: /nowhere/app.db, ${replicas}}]`);
      const failed = (await findingsOf(config)).filter(({ step }) => step === 'replicas');
      assert.deepEqual(
        failed.map(({ subject, verdict }) => [subject, verdict]),
        [['/nowhere/app.db', 'failed']],
      );
      assert.match(placeWarningsAtStart(config).join(), /^\/nowhere\/app\.db has no replica: nothing of it/);
    });
});

describe('a file URL that is written like a relative one', () => {
  it('is told with the directory that it is', async () => {
    using scratch = new Scratch();
    const path = join(scratch.path, 'app.db');
    for (const [url, directory] of [
      ['file://backups/app', '/backups/app'],
      ['file://./backups', '/backups'],
      ['file://~/backups', '/~/backups'],
    ] as const)
      for (const config of [
        configOf(`dbs: [{path: ${path}, replicas: [{url: "${url}"}]}]`),
        configFromCommandLine(path, [url], { environment: {} }),
      ]) {
        const [told, ...more] = placeWarningsAtStart(config);
        assert.equal(more.length, 0);
        assert.ok(told?.startsWith(`${url} is the directory ${directory}: `), told);
        const found = (await findingsOf(config)).filter(({ step }) => step === 'destination');
        assert.deepEqual(
          found.map(({ verdict }) => verdict),
          ['warning'],
        );
      }
    const absolute = configFromCommandLine(path, [`file://${scratch.path}/x`], { environment: {} });
    assert.deepEqual(placeWarningsAtStart(absolute), []);
  });
});

describe('a path where nothing is', () => {
  it('is compared with what lies beside it', async () => {
    using scratch = new Scratch();
    const at = (...names: string[]): string => join(scratch.path, ...names);
    mkdirSync(at('data'));
    writeFileSync(at('data', 'production.sqlite3'), '');
    writeFileSync(at('data', 'production.sqlite3-wal'), '');
    mkdirSync(at('data', 'prodution.sqlite'));
    const meant = `Did you mean ${at('data', 'production.sqlite3')}?`;
    for (const wrong of [
      'production.sqlite',
      'prodution.sqlite3',
      'Production.sqlite3',
      'production.sqlite3.',
    ])
      assert.equal(lookalikeHint(at('data', wrong)), meant);
    assert.equal(lookalikeHint(at('date', 'production.sqlite3')), meant);
    assert.equal(lookalikeHint(at('dat', 'new', 'app.db')), `Did you mean ${at('data', 'new', 'app.db')}?`);
    for (const other of [at('data', 'users.db'), at('data', 'production.sqlite3'), at('elsewhere', 'x.db')])
      assert.equal(lookalikeHint(other), undefined);
    const config = configFromCommandLine(at('data', 'prodution.sqlite3'), ['file:///r'], { environment: {} });
    assert.match(placeWarningsAtStart(config).join(), /prodution\.sqlite3 does not exist\. Did you mean/);
    const file = (await findingsOf(config)).find(({ step }) => step === 'file');
    assert.deepEqual([file?.verdict, file?.hint], ['warning', meant]);
  });
});
