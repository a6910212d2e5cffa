/** The executable itself: which Node.js it takes, from where it may be called, and that it is one process. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { forgetOwnVariables } from '../../src/cli/own-variables.ts';
import { Scratch } from '../support/scratch.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/rivulet', import.meta.url));

interface Call {
  readonly path?: string;
  readonly rivuletNode?: string;
  readonly words?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

describe('bin/rivulet', { skip: process.platform === 'win32' ? 'a POSIX shell script' : false }, () => {
  let scratch = new Scratch();
  beforeEach(() => {
    scratch[Symbol.dispose]();
    scratch = new Scratch();
  });
  afterEach(() => scratch[Symbol.dispose]());

  /** A package as npm installs it, in a path with a space; its entry prints what started it. */
  function install(): string {
    const root = scratch.file('some where/node_modules/rivulet');
    mkdirSync(join(root, 'bin'), { recursive: true });
    mkdirSync(join(root, 'dist'), { recursive: true });
    copyFileSync(LAUNCHER, join(root, 'bin/rivulet'));
    writeFileSync(
      join(root, 'dist/main.js'),
      `if (process.argv[3] === 'tell') console.log(JSON.stringify([process.execArgv, process.env]));
       else console.log(process.execPath, process.pid, ...process.argv.slice(2))`,
    );
    const link = scratch.file('some where/node_modules/.bin/rivulet');
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync('../rivulet/bin/rivulet', link);
    return link;
  }

  function fakeNode(version: string): string {
    const folder = scratch.file(`node ${version}`);
    mkdirSync(folder);
    writeFileSync(
      join(folder, 'node'),
      `#!/bin/sh\n[ "$1" = --version ] && echo ${version} || echo "fake $0"\n`,
    );
    chmodSync(join(folder, 'node'), 0o755);
    return folder;
  }

  function call(
    file: string,
    { path = '', rivuletNode, words = [], environment = {} }: Call = {},
  ): [number | null, string, string] {
    const { status, stdout, stderr } = spawnSync(file, words, {
      cwd: '/',
      encoding: 'utf8',
      env: {
        PATH: `${path}:/usr/bin:/bin`,
        ...environment,
        ...(rivuletNode !== undefined && { RIVULET_NODE: rivuletNode }),
      },
    });
    return [status, stdout, stderr];
  }

  test('runs from a checkout although an older Node.js is first on PATH', () => {
    const [code, out, err] = call(LAUNCHER, { path: fakeNode('v20.1.0'), words: ['version'] });
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /^v\d+\.\d+\.\d+\n$/);
  });

  test("works through npm's link, and passes words on as they are", () => {
    const words = ['a b', '', '*', '$HOME'];
    const [code, out] = call(install(), { path: dirname(process.execPath), words });
    assert.equal(code, 0);
    assert.match(out, /^\S+ \d+ a b {2}\* \$HOME\n$/);
  });

  test('takes RIVULET_NODE before all others, and says when it is wrong', () => {
    const link = install();
    const [, out] = call(link, {
      path: dirname(process.execPath),
      rivuletNode: join(fakeNode('v30.0.0'), 'node'),
    });
    assert.match(out, /^fake .*v30/);
    const [code, , err] = call(link, { rivuletNode: '/no/such/node' });
    assert.equal(code, 1);
    assert.match(
      err,
      /^rivulet: RIVULET_NODE is \/no\/such\/node, which is not an executable file; expected [^\n]*\n$/,
    );
  });

  test('of a checkout, too, an old RIVULET_NODE is refused with one sentence', () => {
    for (const version of ['v20.1.0', 'garbage']) {
      const [code, out, err] = call(LAUNCHER, { rivuletNode: join(fakeNode(version), 'node') });
      assert.deepEqual([code, out], [1, '']);
      assert.match(
        err,
        new RegExp(`^rivulet: needs Node.js >= 24, but RIVULET_NODE is ${version}; [^\n]*\n$`),
      );
    }
  });

  test('refuses an old Node.js with one sentence that says what was found', () => {
    const link = install();
    for (const [version, found] of [
      ['v20.20.2', 'v20.20.2'],
      ['v9.0.0', 'v9.0.0'],
      ['garbage', 'garbage'],
    ] as const) {
      const [code, out, err] = call(link, { path: fakeNode(version) });
      assert.deepEqual([code, out], [1, '']);
      assert.match(err, new RegExp(`^rivulet: needs Node.js >= 24, but PATH has ${found}; [^\n]*\n$`));
    }
    assert.match(call(link, { path: fakeNode('v24.0.0') })[1], /^fake /);
  });

  function told(command: string, environment: Call['environment'] = {}): [string[], NodeJS.ProcessEnv] {
    const [, out, err] = call(install(), {
      path: dirname(process.execPath),
      words: [command, 'tell'],
      environment,
    });
    assert.equal(err, '');
    return JSON.parse(out) as [string[], NodeJS.ProcessEnv];
  }

  test('lets what lives long give memory back to the system, and the others keep a small young generation only', () => {
    const [flags, environment] = told('replicate');
    assert.deepEqual(flags, ['--max-semi-space-size=4']);
    assert.equal(environment['MALLOC_ARENA_MAX'], '2');
    assert.equal(environment['MALLOC_MMAP_THRESHOLD_'], '65536');
    const [otherFlags, other] = told('restore');
    assert.deepEqual(otherFlags, ['--max-semi-space-size=8']);
    assert.deepEqual(told('restore', { NODE_OPTIONS: '--max-semi-space-size=16' })[0], []);
    assert.deepEqual(
      Object.keys(other).filter((name) => /MALLOC|RIVULET/.test(name)),
      [],
    );
  });

  test('leaves alone what somebody has set for the allocator and for V8', () => {
    const set = { MALLOC_ARENA_MAX: '', NODE_OPTIONS: '--max-semi-space-size=16' };
    const [flags, environment] = told('replicate', set);
    assert.deepEqual(flags, []);
    assert.equal(environment['MALLOC_ARENA_MAX'], '');
    assert.equal(environment['NODE_OPTIONS'], set.NODE_OPTIONS);
    forgetOwnVariables(environment);
    assert.equal(environment['MALLOC_ARENA_MAX'], '');
    assert.equal(environment['MALLOC_MMAP_THRESHOLD_'], undefined);
  });

  test('an application that Rivulet starts finds the environment as it was', () => {
    const words = ['replicate', '-exec', 'env', scratch.file('app.db'), `file://${scratch.file('replica')}`];
    const [code, out, err] = call(LAUNCHER, { words, environment: { MALLOC_TRIM_THRESHOLD_: '1000000' } });
    assert.equal(code, 0, err);
    assert.deepEqual(out.match(/^(MALLOC|RIVULET)\w*=.*$/gm), ['MALLOC_TRIM_THRESHOLD_=1000000']);
  });

  test('becomes the Node.js process: the pid that was started is the one that runs', async () => {
    const child = spawn(install(), [], { env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin` } });
    const [chunk] = await child.stdout.take(1).toArray();
    assert.equal(String(chunk).split(' ')[1]?.trim(), String(child.pid));
  });
});
