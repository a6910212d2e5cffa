import assert from 'node:assert/strict';
import { test } from 'node:test';

import { credentialSettings } from '../../src/config/credential-settings.ts';
import { effectiveConfig, effectiveConfigYaml } from '../../src/config/effective.ts';
import { CREDENTIALS_KEYS } from '../../src/config/schema-credentials.ts';
import type { KeySpec } from '../../src/config/key-spec.ts';
import { firstReplica, parse, problemsOf, withReplica } from './support.ts';

/** What the sources are told, without what is undefined. */
function told(text: string, environment: NodeJS.ProcessEnv = {}): unknown {
  const { destination } = firstReplica(parse(text, environment));
  assert.ok(destination.type === 's3');
  return JSON.parse(JSON.stringify(credentialSettings(destination)));
}

const URL_LINE = 'url: s3://b/x';

function ofSection(section: string): unknown {
  return told(withReplica(URL_LINE, `credentials: ${section}`));
}

test('every source is told what is written for it', () => {
  const iot =
    '{source: iot, endpoint: e, role-alias: a, thing-name: t, certificate-file: c.pem, ' +
    'private-key: "pkcs11:token=dev?pin-value=1234", pin-file: pin, engine: /e.so, pkcs11-module: /m.so, ' +
    'ca-file: ca.pem, passphrase: p, timeout: 3s}';
  const cases: readonly (readonly [string, object])[] = [
    ['{source: auto, profile: p, region: r}', { source: 'auto', profile: 'p', region: 'r' }],
    ['{source: environment}', { source: 'environment' }],
    [
      '{source: profile, profile: p, credentials-file: ~/c, config-file: d}',
      { source: 'profile', profile: 'p', credentialsFile: '/home/me/c', configFile: '/srv/dir/d' },
    ],
    ['{source: env-file, path: k.env}', { source: 'env-file', path: '/srv/dir/k.env' }],
    [
      '{source: process, command: "a b", timeout: 5s}',
      { source: 'process', command: 'a b', timeoutMs: 5000 },
    ],
    [
      '{source: web-identity, role-arn: a, token-file: t, session-name: sn, duration: 15m}',
      {
        source: 'web-identity',
        roleArn: 'a',
        tokenFile: '/srv/dir/t',
        sessionName: 'sn',
        durationSeconds: 900,
      },
    ],
    [
      '{source: container, url: "http://c", token-file: t}',
      { source: 'container', url: 'http://c', tokenFile: '/srv/dir/t' },
    ],
    [
      '{source: instance, endpoint: "http://i", timeout: 2s}',
      { source: 'instance', endpoint: 'http://i', timeoutMs: 2000 },
    ],
    ['{source: sso, profile: p}', { source: 'sso', profile: 'p' }],
    [
      '{source: static, access-key-id: A, secret-access-key-file: s, session-token: T}',
      { source: 'static', accessKeyId: 'A', secretAccessKeyFile: '/srv/dir/s', sessionToken: 'T' },
    ],
    [
      '{source: assume-role, role-arn: a, external-id: x, endpoint: "http://sts", base: {source: env-file, path: /k}}',
      {
        source: 'assume-role',
        roleArn: 'a',
        externalId: 'x',
        endpoint: 'http://sts',
        base: { source: 'env-file', path: '/k' },
      },
    ],
    [
      iot,
      {
        source: 'iot',
        endpoint: 'e',
        roleAlias: 'a',
        thingName: 't',
        certificateFile: '/srv/dir/c.pem',
        privateKey: 'pkcs11:token=dev?pin-value=1234',
        pinFile: '/srv/dir/pin',
        engine: '/e.so',
        pkcs11Module: '/m.so',
        caFile: '/srv/dir/ca.pem',
        passphrase: 'p',
        timeoutMs: 3000,
      },
    ],
  ];
  const missing = new Set<string>(CREDENTIALS_KEYS.source.choices);
  for (const [section, expected] of cases) {
    assert.deepEqual(ofSection(section), expected);
    missing.delete((expected as { source: string }).source);
  }
  assert.deepEqual([...missing], []);
});

test('every key of a section reaches its source', () => {
  const sources = Object.entries<KeySpec>(CREDENTIALS_KEYS).flatMap(
    ([property, { sources: own = [], kind }]) => own.map((source) => ({ property, source, kind })),
  );
  for (const { property, source, kind } of sources) {
    const spec: KeySpec = CREDENTIALS_KEYS[property as keyof typeof CREDENTIALS_KEYS];
    const value = kind === 'duration' ? '7s' : kind === 'section' ? '{source: environment}' : '/marker';
    const needed = Object.values<KeySpec>(CREDENTIALS_KEYS)
      .filter(({ neededBy, key }) => neededBy?.includes(source) === true && key !== spec.key)
      .map(({ key }) => `${key}: other`);
    if (source === 'static') needed.push(...partners(spec.key));
    const lines = [`source: ${source}`, `${spec.key}: ${value}`, ...needed].join(', ');
    const text = JSON.stringify(ofSection(`{${lines}}`));
    assert.match(text, /marker|7000|"durationSeconds":7|environment/, `${source} ${spec.key}: ${text}`);
  }
});

/** What a static key cannot do without. */
function partners(key: string): string[] {
  const pair = ['access-key-id', 'secret-access-key'];
  return pair.filter((one) => !key.startsWith(one)).map((one) => `${one}: other`);
}

test('keys of another source, missing ones and both forms of one are errors', () => {
  const problem = (section: string): string =>
    problemsOf(withReplica(URL_LINE, `credentials: ${section}`)).join('\n');
  assert.match(
    problem('{source: env-file, path: /p, command: x}'),
    /command: is a key of the source process/,
  );
  assert.match(problem('{source: env-file}'), /the source env-file needs `path`/);
  assert.match(problem('{source: iot}'), /needs `role-alias`/);
  assert.match(problem('{path: /p}'), /the key `source` is missing/);
  assert.match(problem('{source: envfile}'), /did you mean `env-file`\?/);
  assert.match(problem('{source: static, access-key-id: A}'), /without `secret-access-key`/);
  assert.match(
    problem('{source: static, access-key-id: A, access-key-id-file: f, secret-access-key: hunter2}'),
    /access-key-id-file: cannot be given beside `access-key-id`/,
  );
  assert.match(
    problem('{source: assume-role, role-arn: a, base: {source: env-file}}'),
    /base: the source env-file needs/,
  );
  assert.ok(!problem('{source: static, secret-access-key: hunter2}').includes('hunter2'));
});

test('of one level, keys, profile and section exclude each other', () => {
  const problem = (...lines: string[]): string => problemsOf(withReplica(URL_LINE, ...lines)).join();
  const keys = ['access-key-id: A', 'secret-access-key: S'];
  assert.match(problem(...keys, 'profile: p'), /profile: cannot be given beside `access-key-id`/);
  assert.match(problem(...keys, 'credentials: {source: auto}'), /credentials: cannot be given beside/);
  assert.match(problem('profile: p', 'credentials: {source: auto}'), /beside `profile`/);
  assert.match(problem('session-token: T'), /`session-token` without `access-key-id`/);
  const top = 'access-key-id: A\nsecret-access-key: S\ncredentials: {source: auto}\n';
  assert.match(problemsOf(top).join(), /credentials: cannot be given beside keys/);
});

test('the nearest wins: replica, top level, Litestream’s variables, AWS', () => {
  const litestream = { LITESTREAM_ACCESS_KEY_ID: 'L', LITESTREAM_SECRET_ACCESS_KEY: 'LS' };
  const section = 'credentials: {source: env-file, path: /top}\n';
  const keys = 'access-key-id: TOP\nsecret-access-key: TS\nsession-token: TT\n';
  const plain = withReplica(URL_LINE);
  const own = withReplica(URL_LINE, 'credentials: {source: env-file, path: /own}');
  const ownKeys = withReplica(URL_LINE, 'access-key-id: OWN', 'secret-access-key: OS');
  assert.deepEqual(told(plain), { source: 'auto' });
  assert.deepEqual(told(plain, litestream), { source: 'static', accessKeyId: 'L', secretAccessKey: 'LS' });
  assert.deepEqual(told(section + plain, litestream), { source: 'env-file', path: '/top' });
  assert.deepEqual(told(keys + plain, litestream), {
    source: 'static',
    accessKeyId: 'TOP',
    secretAccessKey: 'TS',
    sessionToken: 'TT',
  });
  assert.deepEqual(told(keys + own, litestream), { source: 'env-file', path: '/own' });
  assert.deepEqual(told(section + own), { source: 'env-file', path: '/own' });
  assert.deepEqual(told(keys + ownKeys), { source: 'static', accessKeyId: 'OWN', secretAccessKey: 'OS' });
  assert.deepEqual(told(section + ownKeys), { source: 'static', accessKeyId: 'OWN', secretAccessKey: 'OS' });
  const profile = withReplica(URL_LINE, 'profile: p', 'region: eu');
  assert.deepEqual(told(keys + profile), { source: 'profile', profile: 'p', region: 'eu' });
});

test('the effective configuration shows the source and hides what is secret', () => {
  const text = withReplica(
    URL_LINE,
    'credentials: {source: assume-role, role-arn: a, base: {source: iot, endpoint: e, role-alias: r, ' +
      'certificate-file: /c, private-key: "pkcs11:token=d?pin-value=hunter2&x=y", passphrase: hunter2}}',
  );
  const { config } = parse(text);
  const shown = JSON.stringify(effectiveConfig(config));
  assert.ok(!shown.includes('hunter2'), shown);
  assert.match(shown, /"credentials":\{"source":"assume-role","role-arn":"a","base":\{"source":"iot"/);
  assert.match(shown, /pin-value=\*{8}&x=y/);
  const again = parse(effectiveConfigYaml(config)).config;
  const masked = JSON.stringify(config).replaceAll('hunter2', '********');
  assert.deepEqual(JSON.parse(JSON.stringify(again)), JSON.parse(masked));
});
