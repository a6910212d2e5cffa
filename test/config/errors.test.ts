import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isRivuletError } from '../../src/base/errors.ts';
import { parse, problemList, problemsOf, withReplica } from './support.ts';

interface Case {
  readonly name: string;
  readonly text: string;
  /** `line:column path: message` for each problem. */
  readonly problems: readonly string[];
}

const db = (...lines: string[]): string =>
  ['dbs:', '  - path: /a.db', ...lines.map((line) => `    ${line}`), ''].join('\n');

const CASES: readonly Case[] = [
  {
    name: 'a misspelt key',
    text: withReplica('path: /r', 'retnetion: 1h'),
    problems: ['5:9 dbs[0].replicas[0].retnetion: unknown key; did you mean `retention`?'],
  },
  {
    name: 'a key with underscores',
    text: withReplica('path: /r', 'sync_interval: 1s'),
    problems: ['5:9 dbs[0].replicas[0].sync_interval: unknown key; did you mean `sync-interval`?'],
  },
  {
    name: 'a key of a replica at the top level',
    text: 'retention: 24h\n',
    problems: ['1:1 retention: unknown key; `retention` belongs under a replica: dbs[].replicas[]'],
  },
  {
    name: 'a key of a database under a replica',
    text: withReplica('path: /r', 'monitor-interval: 1s'),
    problems: [
      '5:9 dbs[0].replicas[0].monitor-interval: unknown key; `monitor-interval` belongs under a database: dbs[]',
    ],
  },
  {
    name: 'a misspelt key in the wrong place',
    text: 'retentoin: 24h\n',
    problems: [
      '1:1 retentoin: unknown key; did you mean `retention`, which belongs under a replica: dbs[].replicas[]?',
    ],
  },
  {
    name: 'a key that two sections have',
    text: 'path: /a\n',
    problems: [
      '1:1 path: unknown key; `path` belongs under a database: dbs[] or under a replica: dbs[].replicas[]',
    ],
  },
  {
    name: 'a key of Litestream v0.5',
    text: 'levels: []\n',
    problems: ['1:1 levels: unknown key; it is a key of Litestream v0.5, which works differently: remove it'],
  },
  { name: 'a key nobody knows', text: 'frobnicate: 1\n', problems: ['1:1 frobnicate: unknown key'] },
  {
    name: 'a key written twice',
    text: 'addr: :1\nexec: a\naddr: :2\n',
    problems: ['3:1 : this key is written twice in the same section'],
  },
  {
    name: 'a number without a unit',
    text: withReplica('path: /r', 'sync-interval: 5'),
    problems: [
      '5:24 dbs[0].replicas[0].sync-interval: the number 5 has no unit; write for example 5s (Litestream reads it as nanoseconds)',
    ],
  },
  {
    name: 'a duration that is none',
    text: withReplica('path: /r', 'retention: 7d'),
    problems: [
      '5:20 dbs[0].replicas[0].retention: expected a duration with a unit, for example 5s, 1m30s or 24h, not "7d"',
    ],
  },
  {
    name: 'sync-interval 0',
    text: withReplica('path: /r', 'sync-interval: 0'),
    problems: ['5:24 dbs[0].replicas[0].sync-interval: must be greater than 0, not 0'],
  },
  {
    name: 'a negative sync-interval',
    text: withReplica('path: /r', 'sync-interval: -1s'),
    problems: ['5:24 dbs[0].replicas[0].sync-interval: must be greater than 0, not -1s'],
  },
  {
    name: 'retention-check-interval 0',
    text: withReplica('path: /r', 'retention-check-interval: 0s'),
    problems: ['5:35 dbs[0].replicas[0].retention-check-interval: must be greater than 0, not 0s'],
  },
  {
    name: 'a negative retention',
    text: withReplica('path: /r', 'retention: -1h'),
    problems: ['5:20 dbs[0].replicas[0].retention: must be 0 (keep everything) or more, not -1h'],
  },
  {
    name: 'min-checkpoint-page-count 0',
    text: db('min-checkpoint-page-count: 0'),
    problems: ['3:32 dbs[0].min-checkpoint-page-count: must be greater than 0, not 0'],
  },
  {
    name: 'min-checkpoint-page-count below 0',
    text: db('min-checkpoint-page-count: -5'),
    problems: ['3:32 dbs[0].min-checkpoint-page-count: must be greater than 0, not -5'],
  },
  {
    name: 'a count with decimals',
    text: db('max-checkpoint-page-count: 1.5'),
    problems: ['3:32 dbs[0].max-checkpoint-page-count: expected a whole number, not "1.5"'],
  },
  {
    name: 'max below min',
    text: db('max-checkpoint-page-count: 5', 'min-checkpoint-page-count: 10'),
    problems: [
      '3:32 dbs[0].max-checkpoint-page-count: is 5, less than min-checkpoint-page-count, which is 10; 0 switches it off',
    ],
  },
  {
    name: 'a size that is none',
    text: db('spool-limit: lots'),
    problems: [
      '3:18 dbs[0].spool-limit: expected a size, for example 64MB, 1GiB or a number of bytes, not "lots"',
    ],
  },
  {
    name: 'a boolean that is none',
    text: 'logging:\n  stderr: maybe\n',
    problems: ['2:11 logging.stderr: expected true or false, not "maybe"'],
  },
  {
    name: 'an unknown logging.type',
    text: 'logging:\n  type: jason\n',
    problems: ['2:9 logging.type: expected one of text, json, not "jason"; did you mean `json`?'],
  },
  {
    name: 'an unknown logging.level',
    text: 'logging:\n  level: verbose\n',
    problems: ['2:10 logging.level: expected one of debug, info, warn, error, not "verbose"'],
  },
  {
    name: 'an address without a port',
    text: 'addr: localhost\n',
    problems: ['1:7 addr: expected host:port or :port, not "localhost"'],
  },
  {
    name: 'an address with an impossible port',
    text: 'addr: ":70000"\n',
    problems: ['1:7 addr: expected host:port or :port, not ":70000"'],
  },
  {
    name: 'an empty list',
    text: db('replicas:'),
    problems: ['3:5 dbs[0].replicas: has no value; give it one or remove the key'],
  },
  {
    name: 'an empty section and an empty value',
    text: 'logging:\nexec: ~\naddr: ""\n',
    problems: [
      '1:1 logging: has no value; give it one or remove the key',
      '2:1 exec: has no value; give it one or remove the key',
      '3:7 addr: is empty; give it a value or remove the key',
    ],
  },
  {
    name: 'a section where a list belongs',
    text: 'dbs:\n  path: /a.db\n',
    problems: ['2:3 dbs: expected a list (each element begins with `- `), not a section'],
  },
  {
    name: 'a value where a section belongs',
    text: 'dbs:\n  - /a.db\n',
    problems: ['2:5 dbs[0]: expected a section (`key: value` lines), not a single value'],
  },
  {
    name: 'a list where a value belongs',
    text: 'exec: [a, b]\n',
    problems: ['1:7 exec: expected a single value, not a list'],
  },
  {
    name: 'a file that is a list',
    text: '- a\n',
    problems: ['1:1 : expected a section (`key: value` lines), not a list'],
  },
  {
    name: 'a database without a path',
    text: 'dbs:\n  - replicas: [{path: /r}]\n',
    problems: ['2:5 dbs[0]: the key `path` is missing'],
  },
  {
    name: 'the same database twice',
    text: 'dbs:\n  - path: ~/a.db\n  - path: /home/me/./a.db\n',
    problems: ['3:11 dbs[1].path: the same database as dbs[0]'],
  },
  {
    name: 'the same meta-path twice',
    text: 'dbs:\n  - {path: /a, meta-path: /m}\n  - {path: /b, meta-path: /m/}\n',
    problems: ['3:27 dbs[1].meta-path: the same local state as dbs[0]'],
  },
  {
    name: 'two replicas of one name',
    text: db('replicas:', '  - {name: x, path: /r1}', '  - {name: x, path: /r2}'),
    problems: ['5:16 dbs[0].replicas[1].name: the name `x` is taken by dbs[0].replicas[0]'],
  },
  {
    name: 'two replicas without names',
    text: db('replicas:', '  - path: /r1', '  - path: /r2'),
    problems: [
      '5:9 dbs[0].replicas[1]: the name `file` is taken by dbs[0].replicas[0] (its type, because it has no `name`); give it one',
    ],
  },
  {
    name: 'two replicas of one destination',
    text: db('replicas:', '  - {name: x, path: /r/}', '  - {name: y, url: "file:///r"}'),
    problems: [
      '5:24 dbs[0].replicas[1].url: the same destination as dbs[0].replicas[0] (file:///r); each replica needs its own',
    ],
  },
  {
    name: 'two databases with one destination',
    text: 'dbs:\n  - {path: /a, replica: {url: "s3://b/x"}}\n  - {path: /b, replica: {url: "s3://b/x/"}}\n',
    problems: [
      '3:31 dbs[1].replica.url: the same destination as dbs[0].replica (s3://b/x); each replica needs its own',
    ],
  },
  {
    name: 'replica beside replicas',
    text: db('replica: {path: /r, name: one}', 'replicas: [{path: /q}]'),
    problems: ['3:14 dbs[0].replica: cannot be given beside `replicas`; put it into the list'],
  },
  {
    name: 'a URL as path',
    text: withReplica('path: file:///r'),
    problems: ['4:15 dbs[0].replicas[0].path: is a URL; write it under `url`'],
  },
  {
    name: 'path beside url',
    text: withReplica('url: file:///r', 'path: /r'),
    problems: ['5:15 dbs[0].replicas[0].path: cannot be given beside `url`, which says it already'],
  },
  {
    name: 'bucket beside url',
    text: withReplica('url: s3://b/x', 'bucket: c'),
    problems: ['5:17 dbs[0].replicas[0].bucket: cannot be given beside `url`, which says it already'],
  },
  {
    name: 'host beside url',
    text: withReplica('url: sftp://u@h/x', 'host: i'),
    problems: ['5:15 dbs[0].replicas[0].host: cannot be given beside `url`, which says it already'],
  },
  {
    name: 'an unknown scheme',
    text: withReplica('url: s4://b/x'),
    problems: [
      '4:14 dbs[0].replicas[0].url: unknown kind of replica `s4://`; expected one of file://, s3://, gcs://, abs://, sftp://; did you mean `s3://`?',
    ],
  },
  {
    name: 'something else as URL',
    text: withReplica('url: /r'),
    problems: ['4:14 dbs[0].replicas[0].url: expected a replica URL, for example file:///var/backups/app'],
  },
  {
    name: 'an unknown type',
    text: withReplica('type: ftp', 'path: /r'),
    problems: [
      '4:15 dbs[0].replicas[0].type: expected one of file, s3, gcs, abs, sftp, not "ftp"; did you mean `sftp`?',
    ],
  },
  {
    name: 'a replica with nothing in it',
    text: withReplica('name: x'),
    problems: ['4:9 dbs[0].replicas[0]: a replica of type file needs `path` or a `url`'],
  },
  {
    name: 's3 without a bucket',
    text: withReplica('type: s3', 'path: x'),
    problems: ['4:9 dbs[0].replicas[0]: a replica of type s3 needs `bucket` or a `url`'],
  },
  {
    name: 's3 whose URL names no bucket',
    text: withReplica('url: s3://localhost:9000/'),
    problems: ['4:14 dbs[0].replicas[0].url: names no bucket, which a replica of type s3 needs'],
  },
  {
    name: 'sftp without a user',
    text: withReplica('url: sftp://host/x'),
    problems: ['4:14 dbs[0].replicas[0].url: names no user, which a replica of type sftp needs'],
  },
  {
    name: 'an access key without its secret',
    text: withReplica('url: s3://b/x', 'access-key-id: A'),
    problems: ['4:9 dbs[0].replicas[0]: has `access-key-id` without `secret-access-key`'],
  },
  {
    name: 'a key of another type',
    text: withReplica('path: /r', 'bucket: b', 'password: x'),
    problems: [
      '5:17 dbs[0].replicas[0].bucket: is a key of s3, gcs, abs replicas; this replica is of type file',
      '6:19 dbs[0].replicas[0].password: is a key of sftp replicas; this replica is of type file',
    ],
  },
  {
    name: 'a variable in place of a list',
    text: 'dbs: $DATABASES\n',
    problems: [
      '1:6 dbs: expected a list (each element begins with `- `); a variable can stand for a value only, not for a section',
    ],
  },
  {
    name: 'a variable that leaves nothing of what is needed',
    text: 'dbs:\n  - path: ${DB}\n    replicas:\n      - url: $URL\n      - {name: x, path: $DIR}\n',
    problems: [
      '2:11 dbs[0].path: is empty, because the environment variable DB is not set',
      '4:14 dbs[0].replicas[0].url: is empty, because the environment variable URL is not set; where nothing is meant, write ${URL:-} or remove the key',
      '5:25 dbs[0].replicas[1].path: is empty, because the environment variable DIR is not set; where nothing is meant, write ${DIR:-} or remove the key',
    ],
  },
];

for (const { name, text, problems } of CASES) {
  test(`refuses ${name}`, () => assert.deepEqual(problemsOf(text), problems));
}

test('refuses text that is not YAML, with its line', () => {
  for (const [text, line] of [
    ['addr: :1\ndbs: [\n', 3],
    ['dbs:\n\t- path: /a\n', 2],
    ['a: "x\n', 2],
    ['addr: a: b\n', 1],
    ['exec: a\n---\nexec: b\n', 2],
  ] as const) {
    const [first] = problemList(text);
    assert.equal(first?.line, line, text);
    assert.match(first?.message ?? '', /^not valid YAML: ./);
  }
});

test('a syntax error is not followed by what only follows from it', () => {
  assert.ok(problemsOf('dbs:\n  - path: "/a\n').every((problem) => problem.includes('not valid YAML')));
});

test('reports everything at once, in the order of the file, one line each', () => {
  const text = withReplica('path: /r', 'retentoin: 1h', 'sync-interval: 0').concat('frob: 1\naddr: x\n');
  assert.throws(
    () => parse(text),
    (error) => {
      assert.ok(isRivuletError(error, 'CONFIG_INVALID'));
      assert.deepEqual(
        error.message.split('\n').map((line) => line.split(': ')[0]),
        ['rivulet.yml:5:9', 'rivulet.yml:6:24', 'rivulet.yml:7:1', 'rivulet.yml:8:7'],
      );
      return true;
    },
  );
});

test('a wrong secret is not repeated', () => {
  const text = withReplica('url: s3://b/x', 'secret-access-key: [hunter2]');
  assert.ok(problemsOf(text).every((problem) => !problem.includes('hunter2')));
  const url = withReplica('url: ftp://user:hunter2@host/x');
  assert.ok(problemsOf(url).every((problem) => !problem.includes('hunter2')));
});

test('a map that merges itself ends', () => {
  assert.deepEqual(problemsOf('x-a: &a\n  <<: *a\nlogging:\n  <<: *a\n  kind: x\n'), [
    '5:3 logging.kind: unknown key',
  ]);
});

test('an alias to nothing is an error', () => {
  assert.match(problemsOf('logging: *nothing\n')[0] ?? '', /^1:10 /);
});

test('a variable that is not set stands below the mistake that it makes', () => {
  const keys = ['access-key-id: "$NOT_SET:"', 'secret-access-key: hunter2', 'bucket: b'];
  assert.throws(
    () => parse(withReplica('url: s3://b/x', ...keys)),
    (error) => {
      assert.ok(isRivuletError(error, 'CONFIG_INVALID'));
      const [problem = '', warning = ''] = error.message.split('\n');
      assert.match(problem, /bucket: cannot be given beside `url`/);
      assert.match(warning, /^warning: rivulet\.yml:5:\d+: .*the environment variable NOT_SET is not set$/);
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    },
  );
});
