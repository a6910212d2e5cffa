/** The package as users get it: packed, installed elsewhere, run through npm's link. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Scratch } from '../support/scratch.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

test('the packed package installs and runs', { timeout: 300_000 }, () => {
  using scratch = new Scratch();
  // The Node.js that runs this test comes first, as a user's own would.
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}` };
  const npm = (cwd: string, ...words: string[]): string =>
    execFileSync('npm', words, { cwd, env, encoding: 'utf8' });

  npm(ROOT, 'pack', '--silent', '--pack-destination', scratch.path);
  const tarball = readdirSync(scratch.path).find((name) => name.endsWith('.tgz')) ?? '';
  assert.match(tarball, /^rivulet-/);
  writeFileSync(scratch.file('package.json'), '{ "private": true }');
  npm(scratch.path, 'install', '--silent', '--no-audit', '--no-fund', `./${tarball}`);

  const rivulet = (...words: string[]): string =>
    execFileSync(scratch.file('node_modules/.bin/rivulet'), words, {
      cwd: scratch.path,
      env,
      encoding: 'utf8',
    });
  const version = /^rivulet-(.*)\.tgz$/.exec(tarball)?.[1];
  assert.equal(rivulet('version'), `v${version}\n`);
  assert.match(rivulet('help'), /restore/);
  assert.equal(rivulet('wal', '-json', `file://${scratch.file('nothing')}`), '[]\n');

  const installed = scratch.file('node_modules/rivulet');
  assert.equal(existsSync(`${installed}/src`), false, 'sources are not published');
  assert.equal(existsSync(`${installed}/test`), false, 'tests are not published');
});
