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

  for (const command of [
    'a && b',
    'a || b',
    'a | b',
    'a; b',
    'a > f',
    'a 2>&1',
    'a < f',
    'a &',
    'X=1 a',
    '(a)',
    'a;',
  ]) {
    test(`the shell runs ${JSON.stringify(command)} whole`, () => {
      assert.deepEqual(planExec(command), { file: '/bin/sh', args: ['-c', command], shell: true });
    });
  }

  for (const [tail, words] of [
    ['--ips=* *.js a?[bc]{d,e}', ['--ips=*', '*.js', 'a?[bc]{d,e}']],
    ['--color #fff next', ['--color', '#fff', 'next']],
    ['pa$word "pa$word" $HOME ${X}', ['pa$word', 'pa$word', '$HOME', '${X}']],
    ['~/data ~', ['~/data', '~']],
    ['a!b ^a$ %', ['a!b', '^a$', '%']],
    ['serve\n  --port\t3000\r\n', ['serve', '--port', '3000']],
    [`'a;b' "c|d" e\\&f`, ['a;b', 'c|d', 'e&f']],
    [`'it'\\''s' "say \\"x\\"" a\\ b "c\\d"`, [`it's`, 'say "x"', 'a b', 'cd']],
    ['$(date +%s) `date +%s` x$(y z)', ['$(date +%s)', '`date +%s`', 'x$(y z)']],
    [`'$(' "(" '\`'`, ['$(', '(', '`']],
    ['--opt=a=b c', ['--opt=a=b', 'c']],
  ] as const) {
    test(`the program gets its words as they are: ${JSON.stringify(tail)}`, () => {
      assert.deepEqual(planExec(`app ${tail}`), { file: 'app', args: [...words], shell: false });
    });
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
    for (const command of ['', '  ', `a 'b`, 'a "b', `a "b\\"`, 'a \\']) {
      assert.throws(() => planExec(command), { code: 'USAGE' });
    }
  });
});
