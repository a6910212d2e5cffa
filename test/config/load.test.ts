import assert from 'node:assert/strict';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { isRivuletError } from '../../src/base/errors.ts';
import { configCandidates } from '../../src/config/find-file.ts';
import { loadConfig } from '../../src/config/load.ts';

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'rivulet-config-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

function looked(
  explicitPath: string | undefined,
  environment: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = 'linux',
): string[] {
  return configCandidates({ explicitPath, environment, platform }).map(({ path }) => path);
}

test('looks in the order: command line, RIVULET_CONFIG, LITESTREAM_CONFIG, usual places', () => {
  const both = { RIVULET_CONFIG: 'r.yml', LITESTREAM_CONFIG: 'l.yml' };
  assert.deepEqual(looked('x.yml', both), ['x.yml']);
  assert.deepEqual(looked(undefined, both), ['r.yml']);
  assert.deepEqual(looked(undefined, { ...both, RIVULET_CONFIG: '' }), ['l.yml']);
  assert.deepEqual(looked(undefined, {}), ['/etc/rivulet.yml', '/etc/litestream.yml']);
  assert.equal(looked(undefined, {}, 'win32').at(-1), 'C:\\Litestream\\litestream.yml');
});

test('reads the file, with its directory-free settings from the options', async (t) => {
  const cwd = await directory(t);
  await writeFile(join(cwd, 'my.yml'), 'dbs: [{path: $NAME.db}]\n');
  const options = { path: 'my.yml', cwd, home: '/home/me' };
  const loaded = await loadConfig({ ...options, environment: { NAME: 'app' } });
  assert.equal(loaded.file, join(cwd, 'my.yml'));
  assert.equal(loaded.config.databases[0]?.path, join(cwd, 'app.db'));
  assert.deepEqual(loaded.warnings, []);
  const literal = await loadConfig({ ...options, environment: {}, noExpandEnv: true });
  assert.equal(literal.config.databases[0]?.path, join(cwd, '$NAME.db'));
  const byVariable = await loadConfig({ cwd, environment: { LITESTREAM_CONFIG: 'my.yml' } });
  assert.equal(byVariable.file, join(cwd, 'my.yml'));
  assert.deepEqual(
    byVariable.warnings.map(({ file, line }) => [file, line]),
    [[join(cwd, 'my.yml'), 1]],
  );
});

test('a missing file says where it was looked for and how to make one', async (t) => {
  const cwd = await directory(t);
  await assert.rejects(loadConfig({ path: 'none.yml', cwd, environment: {} }), (error) => {
    assert.ok(isRivuletError(error, 'CONFIG_NOT_FOUND'));
    assert.equal(error.message, 'there is no configuration file: looked for none.yml (given by -config)');
    assert.deepEqual(error.details['places'], ['none.yml']);
    assert.match(error.hint ?? '', /dbs: \[/);
    return true;
  });
  // A demanded file that is missing is not replaced by one from the usual places.
  await assert.rejects(
    loadConfig({ cwd, environment: { RIVULET_CONFIG: 'gone/x.yml' } }),
    /gone\/x\.yml \(given by RIV/,
  );
});

test('what cannot be read, and what is wrong, name the file', async (t) => {
  const cwd = await directory(t);
  await mkdir(join(cwd, 'folder.yml'));
  await assert.rejects(
    loadConfig({ path: 'folder.yml', cwd, environment: {} }),
    (error) => isRivuletError(error, 'CONFIG_INVALID') && error.message.includes(join(cwd, 'folder.yml')),
  );
  await writeFile(join(cwd, 'bad.yml'), 'addr: :1\nfoo: 1\n');
  await assert.rejects(
    loadConfig({ path: 'bad.yml', cwd, environment: {} }),
    (error) =>
      isRivuletError(error, 'CONFIG_INVALID') &&
      error.message.startsWith(`${join(cwd, 'bad.yml')}:2:1: foo: `),
  );
});
