import assert from 'node:assert/strict';
import { test } from 'node:test';

import { firstDatabase, firstReplica, parse, problemsOf, withReplica } from './support.ts';

const VERIFY = {
  quickIntervalMs: 300_000,
  intervalMs: 86_400_000,
  temporaryPath: undefined,
  maxSizeBytes: 10 * 2 ** 30,
};
const LEASE = { mode: 'auto', durationMs: 60_000, whenHeld: 'wait', renew: 'active' };

test('the defaults are those of Litestream v0.3.13', () => {
  const parsed = parse(withReplica('path: /r'));
  assert.deepEqual(parsed, {
    config: {
      addr: undefined,
      exec: undefined,
      shutdownTimeoutMs: 30_000,
      socket: { enabled: true, path: undefined, permissions: 0o600 },
      logging: { level: 'info', type: 'text', stderr: false },
      databases: [
        {
          path: '/a.db',
          metaPath: '/.a.db-rivulet',
          monitorIntervalMs: 1_000,
          checkpointIntervalMs: 60_000,
          minCheckpointPageCount: 1_000,
          maxCheckpointPageCount: 10_000,
          busyTimeoutMs: 1_000,
          walLimitBytes: 134_217_728,
          spoolLimitBytes: 1_073_741_824,
          replicas: [
            {
              name: 'file',
              retentionMs: 86_400_000,
              retentionCheckIntervalMs: 3_600_000,
              syncIntervalMs: 1_000,
              snapshotIntervalMs: 0,
              validationIntervalMs: 0,
              stallAfterMs: 300_000,
              onStall: 'continue',
              age: undefined,
              lease: LEASE,
              verify: VERIFY,
              destination: { type: 'file', path: '/r' },
            },
          ],
        },
      ],
    },
    warnings: [],
  });
});

test('an empty file, a file of comments and an empty list are configurations without databases', () => {
  for (const text of ['', '\n', '# nothing\n', '---\n', 'dbs: []\n', '\uFEFFdbs: []\r\n']) {
    assert.deepEqual(parse(text).config.databases, [], JSON.stringify(text));
  }
});

test('reads every value that differs from its default', () => {
  const text = `
addr: ":9090"
exec: "myapp --flag"
shutdown-timeout: 1m
socket: {enabled: no, path: run/r.sock, permissions: 0660}
logging: {level: WARNING, type: JSON, stderr: yes}
dbs:
  - path: a.db
    meta-path: ~/state
    monitor-interval: 250ms
    checkpoint-interval: 0
    min-checkpoint-page-count: 20
    max-checkpoint-page-count: 0
    busy-timeout: 0
    wal-limit: 1MB
    spool-limit: 0
    replica:
      name: one
      path: ~/r
      verify: {interval: 1h, quick-interval: 0, temporary-path: ~/tmp, max-size: 10MB}
      retention: 0
      retention-check-interval: 2h
      sync-interval: 1m30s
      snapshot-interval: 720h
      validation-interval: 6h
      stall-after: 0
      on-stall: exit
      age:
        identities: ["AGE-SECRET-KEY-1\\nAGE-SECRET-KEY-2"]
        recipients: [age1a, age1b]
`;
  const { config } = parse(text);
  assert.equal(config.addr, ':9090');
  assert.equal(config.exec, 'myapp --flag');
  assert.equal(config.shutdownTimeoutMs, 60_000);
  assert.deepEqual(config.socket, { enabled: false, path: '/srv/dir/run/r.sock', permissions: 0o660 });
  assert.deepEqual(config.logging, { level: 'warn', type: 'json', stderr: true });
  assert.deepEqual(config.databases, [
    {
      path: '/srv/dir/a.db',
      metaPath: '/home/me/state',
      monitorIntervalMs: 250,
      checkpointIntervalMs: 0,
      minCheckpointPageCount: 20,
      maxCheckpointPageCount: 0,
      busyTimeoutMs: 0,
      walLimitBytes: 1_000_000,
      spoolLimitBytes: 0,
      replicas: [
        {
          name: 'one',
          retentionMs: 0,
          retentionCheckIntervalMs: 7_200_000,
          syncIntervalMs: 90_000,
          snapshotIntervalMs: 2_592_000_000,
          validationIntervalMs: 21_600_000,
          stallAfterMs: 0,
          onStall: 'exit',
          age: {
            identities: ['AGE-SECRET-KEY-1\nAGE-SECRET-KEY-2'],
            identitiesFile: [],
            recipients: ['age1a', 'age1b'],
            recipientsFile: [],
            passphrase: undefined,
            passphraseFile: undefined,
          },
          lease: LEASE,
          verify: {
            quickIntervalMs: 0,
            intervalMs: 3_600_000,
            temporaryPath: '/home/me/tmp',
            maxSizeBytes: 10_000_000,
          },
          destination: { type: 'file', path: '/home/me/r' },
        },
      ],
    },
  ]);
});

test('retention is checked at least once in its own length', () => {
  assert.equal(
    firstReplica(parse(withReplica('path: /r', 'retention: 10m'))).retentionCheckIntervalMs,
    600_000,
  );
});

test('a checkpoint limit that is not given yields to the one that is', () => {
  const high = firstDatabase(parse('dbs: [{path: /a, min-checkpoint-page-count: 20000}]'));
  assert.deepEqual([high.minCheckpointPageCount, high.maxCheckpointPageCount], [20_000, 20_000]);
  const low = firstDatabase(parse('dbs: [{path: /a, max-checkpoint-page-count: 500}]'));
  assert.deepEqual([low.minCheckpointPageCount, low.maxCheckpointPageCount], [500, 500]);
});

test('an age section asks for encryption even when it has no keys', () => {
  const none = {
    identities: [],
    identitiesFile: [],
    recipients: [],
    recipientsFile: [],
    passphrase: undefined,
    passphraseFile: undefined,
  };
  assert.deepEqual(firstReplica(parse(withReplica('path: /r', 'age: {}'))).age, none);
  const emptied = parse(withReplica('path: /r', 'age: {recipients: [${NOBODY:-}]}'));
  assert.deepEqual(firstReplica(emptied).age, none);
});

test('files of keys are one or several, with absolute paths; a passphrase has one form', () => {
  const age = 'age: {identities-file: ~/key, recipients-file: [a.txt, /b.txt], passphrase-file: p}';
  assert.deepEqual(firstReplica(parse(withReplica('path: /r', age))).age, {
    identities: [],
    identitiesFile: ['/home/me/key'],
    recipients: [],
    recipientsFile: ['/srv/dir/a.txt', '/b.txt'],
    passphrase: undefined,
    passphraseFile: '/srv/dir/p',
  });
  const [problem] = problemsOf(withReplica('path: /r', 'age: {passphrase: x, passphrase-file: p}'));
  assert.match(problem ?? '', /passphrase-file: cannot be given beside `passphrase`$/);
});

test('numbers and words that YAML would read otherwise stay the text that was written', () => {
  const text = withReplica('{type: s3, bucket: 0123, path: 1e3, region: no}');
  const { destination } = firstReplica(parse(text));
  assert.ok(destination.type === 's3');
  assert.deepEqual([destination.bucket, destination.path, destination.region], ['0123', '1e3', 'no']);
});

test('anchors, aliases and merge keys work; x- keys at the top level hold them', () => {
  const text = `
x-common: &common
  sync-interval: 5s
  retention: 1h
dbs:
  - path: /a
    replicas:
      - {<<: *common, path: /r1, name: a}
      - {<<: [*common], path: /r2, name: b, retention: 2h}
`;
  const [a, b] = firstDatabase(parse(text)).replicas;
  assert.deepEqual([a?.syncIntervalMs, a?.retentionMs], [5_000, 3_600_000]);
  assert.deepEqual([b?.syncIntervalMs, b?.retentionMs], [5_000, 7_200_000]);
});

test('a type that the URL contradicts is not used, with a warning', () => {
  const parsed = parse(withReplica('type: s3', 'url: file:///r'));
  assert.deepEqual(firstReplica(parsed).destination, { type: 'file', path: '/r' });
  assert.deepEqual(parsed.warnings, [
    {
      file: 'rivulet.yml',
      line: 4,
      column: 15,
      path: 'dbs[0].replicas[0].type',
      message: 'the URL says file, so the type s3 is not used',
    },
  ]);
});
