import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseConfig } from '../../src/config/parse-config.ts';
import type { Config } from '../../src/config/settings.ts';
import { compareConfigs, isUnchanged, summaryOf } from '../../src/daemon/config-changes.ts';

function configOf(text: string): Config {
  return parseConfig(text, { file: 'rivulet.yml', environment: {} }).config;
}

const BASE = `
addr: :9090
dbs:
  - {path: /a, replicas: [{name: one, path: /r/a1}, {name: two, url: "sftp://u@h/a2", password: x}]}
  - {path: /b, replicas: [{path: /r/b}]}
`;

test('the same text, and the same in another order, is no change', () => {
  assert.ok(isUnchanged(compareConfigs(configOf(BASE), configOf(BASE))));
  const reordered = `
dbs:
  - {path: /b, replicas: [{path: /r/b}]}
  - {path: /a, replicas: [{name: two, url: "sftp://u@h/a2", password: x}, {name: one, path: /r/a1}]}
addr: :9090
`;
  assert.ok(isUnchanged(compareConfigs(configOf(BASE), configOf(reordered))));
});

test('each kind of change is told apart', () => {
  const next = `
addr: :9091
exec: other
logging: {level: debug}
shutdown-timeout: 5s
dbs:
  - {path: /a, replicas: [{name: two, url: "sftp://u@h/a2", password: y}, {name: three, path: /r/a3}]}
  - {path: /b, wal-limit: 1GiB, replicas: [{path: /r/b}]}
  - {path: /c, replicas: [{path: /r/c}]}
`;
  const changes = compareConfigs(configOf(BASE), configOf(next));
  assert.deepEqual(
    changes.added.map(({ path }) => path),
    ['/c'],
  );
  assert.deepEqual(changes.removed, []);
  assert.deepEqual(
    changes.restarted.map(({ path, walLimitBytes }) => [path, walLimitBytes]),
    [['/b', 2 ** 30]],
  );
  const [altered, ...others] = changes.altered;
  assert.deepEqual(others, []);
  assert.equal(altered?.settings.path, '/a');
  assert.deepEqual(
    altered?.replicas.added.map(({ name }) => name),
    ['three'],
  );
  assert.deepEqual(
    altered?.replicas.changed.map(({ name }) => name),
    ['two'],
  );
  assert.deepEqual(altered?.replicas.removed, ['one']);
  assert.deepEqual(summaryOf(changes), {
    databasesAdded: 1,
    databasesRestarted: 1,
    replicasAdded: 1,
    replicasRemoved: 1,
    replicasRestarted: 1,
    addr: true,
    logging: true,
    shutdownTimeout: true,
  });
  assert.ok(changes.exec && !isUnchanged(changes));
});

test('a database that is gone is removed; the summary names no secret', () => {
  const changes = compareConfigs(configOf(BASE), configOf('dbs: [{path: /b, replicas: [{path: /r/b}]}]'));
  assert.deepEqual(changes.removed, ['/a']);
  assert.deepEqual(summaryOf(changes), { databasesRemoved: 1, addr: true });
});

test('a database whose own settings and replicas are both different is restarted as a whole', () => {
  const next = `
addr: :9090
dbs:
  - {path: /a, busy-timeout: 2s, replicas: [{name: one, path: /r/a1}]}
  - {path: /b, replicas: [{path: /r/b}]}
`;
  const changes = compareConfigs(configOf(BASE), configOf(next));
  assert.deepEqual(
    changes.restarted.map(({ path }) => path),
    ['/a'],
  );
  assert.deepEqual(changes.altered, []);
});
