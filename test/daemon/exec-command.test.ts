import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';

import { planExec } from '../../src/daemon/exec-command.ts';

describe('the command of -exec', () => {
  test('plain words start directly, quotes keep spaces together', () => {
    assert.deepEqual(planExec(`  server --name "my app" 'a b'  -x=1 `), {
      file: 'server',
      args: ['--name', 'my app', 'a b', '-x=1'],
      shell: false,
    });
  });

  const SHELL = [
    'a && b',
    'a || b',
    'a | b',
    'a; b',
    'a > f',
    'a < f',
    'a &',
    'a $X',
    'a "$X"',
    'a `b`',
    'a "`b`"',
  ];
  for (const command of [...SHELL, 'X=1 a', 'a *.txt', 'a\\ b', 'a "\\""', 'a ~/x', '(a)', 'a\nb']) {
    test(`the shell runs ${JSON.stringify(command)} whole`, () => {
      assert.deepEqual(planExec(command), { file: '/bin/sh', args: ['-c', command], shell: true });
    });
  }

  for (const command of [`a '&& $X |'`, `a "&& | ;"`, `a --x=y`]) {
    test(`${command} needs no shell`, () => assert.equal(planExec(command).shell, false));
  }

  test('direct words are what a shell would have made of them', () => {
    for (const tail of [
      `a"b c"d`,
      `'' x`,
      `"" ''`,
      `--k="v w"`,
      `"it's"`,
      `'say "x"'`,
      `a'b'"c d"e f`,
      `x ""y`,
    ]) {
      const plan = planExec(`printf %s\\n ${tail}`.replace('\\n', ','));
      assert.equal(plan.shell, false);
      const shell = execFileSync('/bin/sh', ['-c', `printf %s, ${tail}`], { encoding: 'utf8' });
      assert.equal(execFileSync(plan.file, plan.args, { encoding: 'utf8' }), shell, tail);
    }
  });

  test('an empty command and an open quote are refused', () => {
    for (const command of ['', '  ', `a 'b`, 'a "b', `a "b\\"`]) {
      assert.throws(() => planExec(command), { code: 'USAGE' });
    }
  });
});
