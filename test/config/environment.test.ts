import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';

import * as fc from 'fast-check';

import { expandVariables, hideBraces, showBraces } from '../../src/config/expand-environment.ts';
import { isRivuletError } from '../../src/base/errors.ts';
import { firstDatabase, firstReplica, parse, problemsOf, withReplica } from './support.ts';

test('replaces $NAME and ${NAME}; $$ is a dollar; other dollars stay', () => {
  const environment = { A: '1', A_B: '2', EMPTY: '', DOLLAR: '$A' };
  const expanded: Record<string, string> = {
    $A: '1',
    '${A}': '1',
    'x${A}y$A_B-$A': 'x1y2-1',
    '$A.db': '1.db',
    $$A: '$A',
    $$$A: '$1',
    $DOLLAR: '$A',
    a$: 'a$',
    'a$ b$1 $-': 'a$ b$1 $-',
    '[$EMPTY]': '[]',
    '[${NOPE}]': '[]',
  };
  for (const [text, result] of Object.entries(expanded)) {
    assert.equal(expandVariables(text, environment).text, result, text);
  }
});

test('hiding braces keeps every position', () => {
  const line = fc.string({ unit: fc.constantFrom('$', '{', '}', 'A', '\n', ' ') });
  fc.assert(
    fc.property(
      line,
      (text) => hideBraces(text).length === text.length && showBraces(hideBraces(text)) === text,
    ),
  );
});

test('variables work wherever a value stands, quoted or not, in flow collections too', () => {
  const environment = { DB: '/a.db', N: '20', S: '5s', FLAG: 'true', BUCKET: 'b', SIZE: '1MB' };
  const text = `
logging: {stderr: $FLAG}
dbs:
  - path: "\${DB}"
    min-checkpoint-page-count: \${N}
    spool-limit: $SIZE
    replicas: [{url: s3://\${BUCKET}/x, sync-interval: \${S}}]   # \${COMMENT}
`;
  const parsed = parse(text, environment);
  assert.deepEqual(parsed.warnings, []);
  assert.equal(parsed.config.logging.stderr, true);
  assert.equal(firstDatabase(parsed).path, '/a.db');
  assert.equal(firstDatabase(parsed).minCheckpointPageCount, 20);
  assert.equal(firstDatabase(parsed).spoolLimitBytes, 1_000_000);
  assert.equal(firstReplica(parsed).syncIntervalMs, 5_000);
});

test('a value can never change the structure or the lines that follow', () => {
  const ugly = [
    '"',
    "'",
    'a: b',
    'x # y',
    '\n  - path: /evil',
    '{',
    '&a',
    '*a',
    '!!int 3',
    '- x',
    '$HOME',
    '%',
    '`',
  ];
  for (const value of ugly) {
    for (const quote of ['', '"', "'"]) {
      const text = withReplica('url: sftp://u@h/x', `password: ${quote}$SECRET${quote}`, 'retention: 1h');
      const { destination, retentionMs } = firstReplica(parse(text, { SECRET: value }));
      assert.equal(destination.type === 'sftp' && destination.password, value);
      assert.equal(retentionMs, 3_600_000);
    }
  }
});

test('an unset variable is a warning with its own line and column', () => {
  const text = 'exec: |\n  run $ONE\n  and ${TWO} $$THREE\nlogging: {level: $LEVEL}\n';
  const { config, warnings } = parse(text);
  assert.equal(config.exec, 'run \nand  $THREE\n');
  assert.equal(config.logging.level, 'info');
  assert.deepEqual(
    warnings.map(({ line, column, message }) => `${line}:${column} ${message}`),
    [
      '2:7 the environment variable ONE is not set',
      '3:7 the environment variable TWO is not set',
      '4:18 the environment variable LEVEL is not set',
    ],
  );
});

test('keys are not expanded, and nothing is when expansion is off', () => {
  const environment = { KEY: 'addr', SECRET: 'x' };
  assert.throws(() => parse('$KEY: :1\n', environment), /\$KEY: unknown key/);
  const text = withReplica('url: sftp://u@h/x', 'password: a$SECRET$$b');
  const { destination } = firstReplica(parse(text, environment, false));
  assert.equal(destination.type === 'sftp' && destination.password, 'a$SECRET$$b');
});

describe('a value that a variable leaves empty', () => {
  const KEYS: readonly (readonly [string, string])[] = [
    ['endpoint', 'type: s3, bucket: b'],
    ['region', 'type: s3, bucket: b'],
    ['access-key-id', 'type: s3, bucket: b, secret-access-key: s'],
    ['sse-customer-key', 'type: s3, bucket: b'],
    ['sse-kms-key-id', 'type: s3, bucket: b'],
    ['profile', 'type: s3, bucket: b'],
    ['path', 'type: s3, bucket: b'],
    ['retention', 'path: /r'],
    ['account-key', 'type: abs, bucket: b, account-name: a'],
    ['credentials-file', 'type: gcs, bucket: b'],
    ['password', 'type: sftp, host: h, user: u, path: /x'],
    ['key-path', 'type: sftp, host: h, user: u, path: /x'],
  ];
  const textOf = (key: string, rest: string, value: string): string =>
    `dbs: [{path: /a.db, replicas: [{${rest}, ${key}: ${value}}]}]`;

  for (const [key, rest] of KEYS) {
    it(`${key}: is an error that names the variable, and none where nothing is meant`, () => {
      for (const [environment, why] of [
        [{}, 'is not set'],
        [{ WHO: '' }, 'is set to nothing'],
      ] as const) {
        for (const value of ['$WHO', '${WHO}']) {
          const problem = problemsOf(textOf(key, rest, value), environment).join('\n');
          assert.match(
            problem,
            new RegExp(`^1:\\d+ dbs\\[0\\]\\.replicas\\[0\\]\\.${key}: .*variable WHO ${why}`, 'm'),
          );
        }
      }
      const meant = textOf(key, rest, '"${WHO:-}"');
      const without = textOf(key, rest, '"${WHO:-}"').replace(`, ${key}: "\${WHO:-}"`, '');
      assert.deepEqual(outcome(meant), outcome(without));
    });
  }

  it('of a key that only tunes is not given', () => {
    const settings = firstReplica(parse(textOf('sync-interval', 'path: /r', '$NOT_SET')));
    assert.equal(
      settings.syncIntervalMs,
      firstReplica(parse('dbs: [{path: /a.db, replicas: [{path: /r}]}]')).syncIntervalMs,
    );
  });

  it('has the text behind `:-`, as in a shell', () => {
    const text = textOf('region', 'type: s3, bucket: b', '"${R:-eu}-west"');
    const regionOf = (environment: NodeJS.ProcessEnv): unknown => {
      const { destination } = firstReplica(parse(text, environment));
      return destination.type === 's3' ? destination.region : undefined;
    };
    assert.deepEqual(
      [regionOf({}), regionOf({ R: '' }), regionOf({ R: 'us' })],
      ['eu-west', 'eu-west', 'us-west'],
    );
  });

  function outcome(text: string): unknown {
    try {
      return firstReplica(parse(text)).destination;
    } catch (error) {
      assert.ok(isRivuletError(error, 'CONFIG_INVALID'));
      return (error.details['list'] as { message: string }[]).map(({ message }) => message);
    }
  }
});
