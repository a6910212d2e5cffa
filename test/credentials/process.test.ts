import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';

import { ProcessSource } from '../../src/credentials/process.ts';
import type { AwsKeys } from '../../src/storage/aws-keys.ts';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';
import { failureOf } from './support.ts';

const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

class Script extends Scratch {
  readonly command: string;

  constructor(body: string) {
    super();
    writeFileSync(this.file('it is.mjs'), body);
    this.command = `"${process.execPath}" "${this.file('it is.mjs')}" 'one argument'`;
  }

  async fetch(timeoutMs?: number, signal = new AbortController().signal): Promise<AwsKeys> {
    return new ProcessSource({ command: this.command, timeoutMs }, process.env).fetch(signal);
  }
}

const print = (value: unknown): string => `console.log(${JSON.stringify(JSON.stringify(value))});`;
const GOOD = { Version: 1, AccessKeyId: 'AKIA', SecretAccessKey: SECRET };

test('prints keys, with or without token and expiration; arguments keep their spaces', async () => {
  using lasting = new Script(`if (process.argv[2] === 'one argument') ${print(GOOD)}`);
  assert.deepEqual(await lasting.fetch(), {
    accessKeyId: 'AKIA',
    secretAccessKey: SECRET,
    sessionToken: undefined,
    expiresAtMs: undefined,
  });
  using short = new Script(print({ ...GOOD, SessionToken: 't', Expiration: '2099-01-01T00:00:00+00:00' }));
  assert.equal((await short.fetch()).expiresAtMs, Date.parse('2099-01-01T00:00:00Z'));
});

test('no shell reads the command', async () => {
  using scratch = new Scratch();
  const { signal } = new AbortController();
  const command = `${process.execPath} --version ; touch ${scratch.file('made')}`;
  await failureOf(new ProcessSource({ command }, process.env).fetch(signal));
  assert.ok(!existsSync(scratch.file('made')));
});

const FAILURES: readonly [title: string, body: string, message: RegExp][] = [
  ['prints something else', 'console.log("hello")', /what it printed is not JSON$/],
  ['prints nothing', '', /it printed nothing$/],
  ['prints another version', print({ ...GOOD, Version: 2 }), /has no "Version": 1$/],
  ['prints no secret', print({ Version: 1, AccessKeyId: 'AKIA' }), /has no AccessKeyId and SecretAccessKey$/],
  [
    'prints a strange time',
    print({ ...GOOD, Expiration: 'soon' }),
    /Expiration that it printed is not a time/,
  ],
  ['prints too much', 'for (let i = 0; i < 5e4; i++) console.log("xxxxxxxxxx")', /printed more than 64 KiB/],
  [
    'fails and talks too much',
    `console.error('no session for alice\\nsecret_access_key=${SECRET} token: "abc" ${SECRET}'); process.exit(7)`,
    /exited with status 7, saying: no session for alice secret_access_key=\[hidden\] token: \[hidden\] \[hidden\]$/,
  ],
  ['prints its keys and fails', `${print(GOOD)} process.exit(1)`, /it exited with status 1$/],
];

for (const [title, body, message] of FAILURES) {
  test(`a program that ${title}`, async () => {
    using script = new Script(body);
    const error = await failureOf(script.fetch());
    assert.match(error.message, message);
    assert.ok(!JSON.stringify([error.message, error.stack, error]).includes(SECRET));
  });
}

test('a program that is not there', async () => {
  const source = new ProcessSource({ command: '/nonexistent/creds --password hush' }, process.env);
  const error = await failureOf(source.fetch(new AbortController().signal));
  assert.match(error.message, /credential process \/nonexistent\/creds: it cannot be started \(ENOENT\)/);
  assert.ok(!error.message.includes('hush'));
});

test(
  'a program that hangs is ended with all that it started',
  { skip: process.platform === 'win32' },
  async () => {
    using script = new Script(`
    import { spawn } from 'node:child_process';
    import { readFileSync, writeFileSync } from 'node:fs';
    const { pid } = spawn('sleep', ['3600'], { stdio: 'inherit' });
    writeFileSync(process.argv[1] + '.pid', String(pid));
    setTimeout(() => {}, 1e6);`);
    assert.match((await failureOf(script.fetch(1_500))).message, /did not end within 1\.5 s/);
    const pid = Number(readFileSync(script.file('it is.mjs.pid'), 'utf8'));
    await until('what it started is gone', () => !isAlive(pid));
  },
);

test('a caller that goes away ends the program', async () => {
  using script = new Script('setTimeout(() => {}, 1e6)');
  const cancel = new AbortController();
  const failure = failureOf(script.fetch(undefined, cancel.signal));
  setTimeout(() => cancel.abort(new Error('enough')), 100);
  assert.equal((await failure).message, 'enough');
});
