import assert from 'node:assert/strict';
import { test } from 'node:test';

import { effectiveConfig, effectiveConfigYaml } from '../../src/config/effective.ts';
import { parse, withReplica } from './support.ts';

const FULL = `
addr: ":9090"
exec: "run --price $$5 '\${QUOTED}'"
access-key-id: TOP
secret-access-key: hunter2
logging: {level: debug, type: json, stderr: true}
dbs:
  - path: /data/a.db
    monitor-interval: 1m30s
    replicas:
      - {name: f, path: "/r/$$x: #1"}
      - {url: "s3://b.s3.fr-par.scw.cloud/x", sync-interval: 500ms}
      - {url: "abs://acc@con/x", account-key: hunter2}
      - {url: "sftp://u:hunter2@h:22/data", retention: 0}
      - {name: e, path: /e, age: {identities: [hunter2, hunter2], recipients: [age1x]}}
  - path: "/data/yes"
`;

test('shows every setting in the keys of the file, and no secret', () => {
  const effective = effectiveConfig(parse(FULL).config);
  const text = JSON.stringify(effective) + effectiveConfigYaml(parse(FULL).config);
  assert.ok(!text.includes('hunter2'));
  assert.deepEqual(effective['logging'], { level: 'debug', type: 'json', stderr: true });
  const [first] = effective['dbs'] as [{ replicas: Record<string, unknown>[]; [key: string]: unknown }];
  const { replicas, ...database } = first;
  assert.deepEqual(database, {
    path: '/data/a.db',
    'meta-path': '/data/.a.db-rivulet',
    'monitor-interval': '1m30s',
    'checkpoint-interval': '1m',
    'min-checkpoint-page-count': 1000,
    'max-checkpoint-page-count': 10000,
    'busy-timeout': '1s',
    'wal-limit': '128MiB',
    'spool-limit': '1GiB',
  });
  assert.deepEqual(replicas[1], {
    type: 's3',
    name: 's3',
    path: 'x',
    retention: '24h',
    'retention-check-interval': '1h',
    'sync-interval': '500ms',
    'snapshot-interval': '0s',
    'validation-interval': '0s',
    'stall-after': '5m',
    'on-stall': 'continue',
    bucket: 'b',
    region: 'fr-par',
    endpoint: 'https://s3.fr-par.scw.cloud',
    'access-key-id': 'TOP',
    'secret-access-key': '********',
    'force-path-style': true,
    'skip-verify': false,
    'max-concurrent-requests': 16,
    'bandwidth-limit': '0',
    'on-auth-failure': 'retry',
    lease: { mode: 'auto', duration: '1m', 'when-held': 'wait', renew: 'active' },
    verify: { 'quick-interval': '5m', interval: '24h', 'max-size': '10GiB' },
  });
  assert.equal(replicas[2]?.['account-key'], '********');
  assert.equal(replicas[3]?.['password'], '********');
  assert.deepEqual(replicas[4]?.['age'], { identities: ['********', '********'], recipients: ['age1x'] });
});

test('the YAML loads to the same configuration, apart from secrets', () => {
  const { config } = parse(FULL);
  const again = parse(effectiveConfigYaml(config));
  assert.deepEqual(again.warnings, []);
  const masked = JSON.stringify(config).replaceAll('hunter2', '********');
  assert.deepEqual(JSON.parse(JSON.stringify(again.config)), JSON.parse(masked));
  const plain = parse(withReplica('path: /r')).config;
  assert.deepEqual(parse(effectiveConfigYaml(plain)).config, plain);
});
