/** The package as users get it: packed, installed elsewhere, run through npm's link. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, globSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Scratch } from '../support/scratch.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TARBALL_BYTES_MAX = 3 * 1024 * 1024;
const SUITE_MS_MAX = 600_000;
/** About who may enter which folder, which is the same in a package; other users cannot enter the one that it is installed in. */
const ABOUT_FOLDERS = ['locking-out.test.ts', 'exchanged-directory.test.ts'];

/** The Node.js that runs this test comes first, as a user's own would. */
const ENVIRONMENT: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
};

describe('the packed package', { timeout: 2 * SUITE_MS_MAX }, () => {
  const scratch = new Scratch();
  const installed = scratch.file('node_modules/rivulet');
  const executable = scratch.file('node_modules/.bin/rivulet');
  let tarball = '';

  before(() => {
    const npm = (cwd: string, ...words: string[]): string =>
      execFileSync('npm', words, { cwd, env: ENVIRONMENT, encoding: 'utf8' });
    npm(ROOT, 'pack', '--silent', '--pack-destination', scratch.path);
    tarball = readdirSync(scratch.path).find((name) => name.endsWith('.tgz')) ?? '';
    writeFileSync(scratch.file('package.json'), '{ "private": true }');
    npm(scratch.path, 'install', '--offline', '--silent', '--no-audit', '--no-fund', `./${tarball}`);
  });
  after(() => scratch[Symbol.dispose]());

  it('is one package, which needs no other and no network', () => {
    assert.match(tarball, /^rivulet-/);
    assert.ok(statSync(scratch.file(tarball)).size <= TARBALL_BYTES_MAX, 'too large');
    const packages = readdirSync(scratch.file('node_modules')).filter((name) => !name.startsWith('.'));
    assert.deepEqual(packages, ['rivulet']);
  });

  it('holds no sources, the guides, and the licences of what is in it', () => {
    assert.equal(existsSync(join(installed, 'src')), false, 'sources are not published');
    assert.equal(existsSync(join(installed, 'test')), false, 'tests are not published');
    assert.ok(existsSync(join(installed, 'docs/errors.md')), 'hints name it');
    const licenses = readFileSync(join(installed, 'dist/LICENSES.txt'), 'utf8');
    for (const name of ['yaml', 'ssh2', 'pino', '@aws-sdk/client-s3'])
      assert.ok(licenses.includes(`\n${name} `), name);
  });

  it('says its version', () => {
    const out = execFileSync(executable, ['version'], { env: ENVIRONMENT, encoding: 'utf8' });
    assert.equal(out, `v${/^rivulet-(.*)\.tgz$/.exec(tarball)?.[1]}\n`);
  });

  /** Those that start the command; what needs a server that is not there is skipped. */
  const suites = {
    'what people and scripts see of the commands': globSync('test/cli/*.test.ts', { cwd: ROOT }).filter(
      (file) => !ABOUT_FOLDERS.some((name) => file.endsWith(name)),
    ),
    'real servers': ['test/servers/commands.test.ts', 'test/servers/sftp-replicate.test.ts'],
  };
  for (const [what, files] of Object.entries(suites)) {
    it(`passes the tests of a checkout: ${what}`, () => {
      const { NODE_TEST_CONTEXT: _, ...rest } = ENVIRONMENT;
      const { status, stdout } = spawnSync(process.execPath, ['--test', '--test-concurrency=2', ...files], {
        cwd: ROOT,
        env: { ...rest, RIVULET_EXECUTABLE: executable },
        encoding: 'utf8',
        timeout: SUITE_MS_MAX,
      });
      assert.equal(status, 0, stdout);
      assert.match(stdout, /^ℹ pass [1-9]/m);
    });
  }
});
