import assert from 'node:assert/strict';
import { appendFileSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { KeyKeeper } from '../../src/credentials/keeper.ts';
import { openKeySource, openSource } from '../../src/credentials/open.ts';
import type { CredentialSettings } from '../../src/credentials/settings.ts';
import type { AwsKeys } from '../../src/storage/aws-keys.ts';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';
import { belongTogether, failureOf, keysNumber } from './support.ts';

const TOOLS = { clock: systemClock, logger: silentLogger };
const { signal } = new AbortController();

function asVariables({ accessKeyId, secretAccessKey, sessionToken }: AwsKeys): string {
  return `AWS_ACCESS_KEY_ID=${accessKeyId}\nAWS_SECRET_ACCESS_KEY=${secretAccessKey}\nAWS_SESSION_TOKEN=${sessionToken}\n`;
}

/** Writes a file that has been left alone for a while. */
function writeOld(path: string, text: string, secondsAgo = 60): void {
  writeFileSync(path, text);
  const then = Date.now() / 1_000 - secondsAgo;
  utimesSync(path, then, then);
}

function open(settings: CredentialSettings, environment: NodeJS.ProcessEnv = {}): KeyKeeper {
  return openKeySource(settings, { ...TOOLS, environment });
}

test('an environment file: keys, token and time of expiry', async () => {
  using scratch = new Scratch();
  const path = scratch.file('rivulet.env');
  writeOld(
    path,
    `${asVariables(keysNumber(1))}AWS_CREDENTIAL_EXPIRATION=2099-01-01T00:00:00Z\nAWS_DEFAULT_REGION=x\n`,
  );
  await using keeper = open({ source: 'env-file', path });
  assert.deepEqual(await keeper.current(), keysNumber(1, Date.parse('2099-01-01T00:00:00Z')));
});

test('an environment file that is replaced is used with the next request, without waiting for its old keys to be refused', async () => {
  using scratch = new Scratch();
  const path = scratch.file('rivulet.env');
  writeOld(path, asVariables(keysNumber(1)));
  await using keeper = open({ source: 'env-file', path });
  await keeper.current();
  writeOld(scratch.file('next'), asVariables(keysNumber(2)));
  renameSync(scratch.file('next'), path);
  assert.equal((await keeper.current()).accessKeyId, 'AKIA-2');
});

test('a file that is rewritten in place, line by line with pauses, never gives a mixture', async () => {
  using scratch = new Scratch();
  const path = scratch.file('rivulet.env');
  writeOld(path, asVariables(keysNumber(0)));
  await using keeper = open({ source: 'env-file', path });
  await keeper.current();
  const state = { writing: true };
  const writer = (async () => {
    for (let number = 1; number <= 4; number++) {
      const lines = asVariables(keysNumber(number)).match(/.+\n/g) ?? [];
      const before = asVariables(keysNumber(number - 1)).match(/.+\n/g) ?? [];
      // The file is complete, readable and wrong in between, for longer than a moment.
      for (let done = 1; done <= 3; done++) {
        writeFileSync(path, [...lines.slice(0, done), ...before.slice(done)].join(''));
        await sleep(140);
      }
      await sleep(160);
    }
    state.writing = false;
  })();
  try {
    while (state.writing) {
      const keys = await keeper.current();
      assert.ok(belongTogether(keys), JSON.stringify(keys));
      await sleep(5);
    }
  } finally {
    await writer;
  }
  await until('the last generation', async () => (await keeper.current()).accessKeyId === 'AKIA-4');
});

test('a file that is cut off in a value is not used until it is whole', async () => {
  using scratch = new Scratch();
  const path = scratch.file('rivulet.env');
  writeOld(path, asVariables(keysNumber(1)));
  await using keeper = open({ source: 'env-file', path });
  await keeper.current();
  const whole = asVariables(keysNumber(2));
  writeFileSync(path, whole.slice(0, -5));
  await sleep(250);
  assert.equal((await keeper.current()).accessKeyId, 'AKIA-1');
  appendFileSync(path, whole.slice(-5));
  await until('the whole file', async () => (await keeper.current()).accessKeyId === 'AKIA-2');
  assert.deepEqual(await keeper.current(), keysNumber(2));
});

test('one corrected value is taken once the service has refused the old ones', async () => {
  using scratch = new Scratch();
  const path = scratch.file('rivulet.env');
  const wrong = { ...keysNumber(1), secretAccessKey: 'mistyped' };
  writeOld(path, asVariables(wrong));
  await using keeper = open({ source: 'env-file', path });
  const used = await keeper.current();
  writeOld(path, asVariables(keysNumber(1)));
  assert.deepEqual(await keeper.current(), used);
  await until('the correction', async () => keeper.renew(used));
  assert.deepEqual(await keeper.current(), keysNumber(1));
});

test('a file that vanishes leaves the keys in use; without keys it is an error that names it', async () => {
  using scratch = new Scratch();
  const path = scratch.file('rivulet.env');
  writeOld(path, asVariables(keysNumber(1)));
  await using keeper = open({ source: 'env-file', path });
  await keeper.current();
  rmSync(path);
  assert.equal((await keeper.current()).accessKeyId, 'AKIA-1');
  await using other = open({ source: 'env-file', path });
  assert.match(
    (await failureOf(other.current())).message,
    /environment file .*rivulet\.env: it does not exist/,
  );
});

test('what is missing in a file is said without what is there', async () => {
  using scratch = new Scratch();
  const path = scratch.file('rivulet.env');
  writeOld(path, 'AWS_ACCESS_KEY_ID=AKIA-1\nAWS_SECRET_KEY=hush\n');
  const source = openSource({ source: 'env-file', path }, TOOLS);
  const { message } = await failureOf(source.fetch(signal));
  assert.match(message, /it has AWS_ACCESS_KEY_ID but not AWS_SECRET_ACCESS_KEY/);
  assert.ok(!message.includes('hush'));
});

test('keys in one file each, as mounted secrets are, are read again when the folder behind the links changes', async () => {
  using scratch = new Scratch();
  const write = (generation: number): string => {
    const { accessKeyId, secretAccessKey, sessionToken } = keysNumber(generation);
    writeOld(scratch.file(`id${generation}`), `${accessKeyId}\n`);
    writeOld(scratch.file(`secret${generation}`), secretAccessKey);
    writeOld(scratch.file(`token${generation}`), sessionToken!);
    return String(generation);
  };
  const link = (generation: string): void => {
    for (const name of ['id', 'secret', 'token']) {
      symlinkSync(scratch.file(`${name}${generation}`), scratch.file('next'));
      renameSync(scratch.file('next'), scratch.file(name));
    }
  };
  link(write(1));
  await using keeper = open({
    source: 'static',
    accessKeyIdFile: scratch.file('id'),
    secretAccessKeyFile: scratch.file('secret'),
    sessionTokenFile: scratch.file('token'),
  });
  assert.ok(belongTogether(await keeper.current()));
  link(write(2));
  assert.equal((await keeper.current()).accessKeyId, 'AKIA-2');
});

test('keys from the configuration, and what is missing there', async () => {
  await using keeper = open({ source: 'static', accessKeyId: 'id', secretAccessKey: 'secret' });
  assert.deepEqual(await keeper.current(), {
    accessKeyId: 'id',
    secretAccessKey: 'secret',
    sessionToken: undefined,
  });
  await using lacking = open({ source: 'static', accessKeyId: 'id' });
  assert.match((await failureOf(lacking.current())).message, /an access key but not its secret/);
});

test('the environment: whole pairs only, AWS before Litestream', async () => {
  const fetch = async (environment: NodeJS.ProcessEnv): Promise<AwsKeys> =>
    openSource({ source: 'environment' }, { ...TOOLS, environment }).fetch(signal);
  const litestream = { LITESTREAM_ACCESS_KEY_ID: 'L', LITESTREAM_SECRET_ACCESS_KEY: 'l' };
  const aws = { AWS_ACCESS_KEY_ID: 'A', AWS_SECRET_ACCESS_KEY: 'a', AWS_SESSION_TOKEN: 't' };
  assert.equal((await fetch({ ...aws, ...litestream })).sessionToken, 't');
  assert.equal((await fetch({ ...litestream, AWS_SESSION_TOKEN: 'of others' })).sessionToken, undefined);
  assert.equal((await fetch({ ...litestream, AWS_ACCESS_KEY_ID: 'A' })).secretAccessKey, 'l');
  assert.match((await failureOf(fetch({ AWS_ACCESS_KEY_ID: 'A' }))).message, /but not AWS_SECRET_ACCESS_KEY/);
});

test('a profile of the shared files, read again when they change', async () => {
  using scratch = new Scratch();
  const credentialsFile = scratch.file('credentials');
  const profile = ({ accessKeyId, secretAccessKey, sessionToken }: AwsKeys): string =>
    `[default]\naws_access_key_id = other\n\n[ work ] ; mine\naws_access_key_id = ${accessKeyId} # a comment\n` +
    `aws_secret_access_key=${secretAccessKey}\naws_session_token = ${sessionToken}\ns3 =\n  max_concurrent_requests = 2\n`;
  writeOld(credentialsFile, profile(keysNumber(1)));
  await using keeper = open(
    { source: 'profile', profile: 'work' },
    { AWS_SHARED_CREDENTIALS_FILE: credentialsFile, AWS_CONFIG_FILE: scratch.file('none') },
  );
  assert.ok(belongTogether(await keeper.current()));
  writeOld(credentialsFile, profile(keysNumber(2)), 50);
  assert.equal((await keeper.current()).accessKeyId, 'AKIA-2');
});

test('a profile may name a process; AWS_PROFILE chooses it', async () => {
  using scratch = new Scratch();
  const config = scratch.file('config');
  const print = scratch.file('print keys.mjs');
  writeFileSync(print, `console.log(JSON.stringify({ Version: 1, AccessKeyId: 'p', SecretAccessKey: 's' }))`);
  writeOld(config, `[profile dev]\ncredential_process = "${process.execPath}" "${print}"\n`);
  await using keeper = open(
    { source: 'profile' },
    { AWS_PROFILE: 'dev', AWS_CONFIG_FILE: config, AWS_SHARED_CREDENTIALS_FILE: scratch.file('none') },
  );
  assert.equal((await keeper.current()).accessKeyId, 'p');
});

test('a profile that is not there, or says nothing', async () => {
  using scratch = new Scratch();
  writeOld(scratch.file('config'), '[profile empty]\nregion = eu-central-1\n');
  const environment = {
    AWS_CONFIG_FILE: scratch.file('config'),
    AWS_SHARED_CREDENTIALS_FILE: scratch.file('none'),
  };
  await using absent = open({ source: 'profile', profile: 'nope' }, environment);
  assert.match((await failureOf(absent.current())).message, /profile nope of .*: there is no such profile/);
  await using empty = open({ source: 'profile', profile: 'empty' }, environment);
  assert.match((await failureOf(empty.current())).message, /has no keys, role, process or SSO/);
});
