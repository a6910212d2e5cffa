import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, test } from 'node:test';

import type { Health } from '../../src/server/answers.ts';
import { startStatusServer } from '../../src/server/http.ts';
import type { StatusServer } from '../../src/server/http.ts';
import { createMetrics } from '../../src/server/metrics.ts';

const METRICS = { contentType: 'text/plain', render: async () => 'x 1\n' };

async function serve(health: () => Health = () => ({ ok: true })): Promise<StatusServer> {
  return startStatusServer({ addr: ':0', metrics: METRICS, health });
}

async function get(server: StatusServer, path: string, method = 'GET'): Promise<[number, string]> {
  const response = await fetch(`http://127.0.0.1:${server.address.port}${path}`, { method });
  return [response.status, await response.text()];
}

describe('the status server', () => {
  test('answers metrics to this machine alone, and nothing but its two paths', async () => {
    await using server = await serve();
    assert.equal(server.address.host, '127.0.0.1');
    assert.deepEqual(await get(server, '/metrics'), [200, 'x 1\n']);
    assert.deepEqual(await get(server, '/metrics?x=1'), [200, 'x 1\n']);
    assert.deepEqual(await get(server, '/metrics', 'HEAD'), [200, '']);
    assert.equal((await get(server, '/'))[0], 404);
    assert.equal((await get(server, '/metrics/x'))[0], 404);
    assert.equal((await get(server, '/metrics', 'POST'))[0], 405);
  });

  test('health is 200 or 503 with the facts, and 500 when asking fails', async () => {
    let state: Health | Error = { ok: true, databases: 2 };
    await using server = await serve(() => {
      if (state instanceof Error) throw state;
      return state;
    });
    assert.deepEqual(await get(server, '/healthz'), [200, '{"ok":true,"databases":2}\n']);
    state = { ok: false };
    assert.deepEqual(await get(server, '/healthz'), [503, '{"ok":false}\n']);
    state = new Error('broken');
    assert.deepEqual(await get(server, '/healthz'), [500, 'broken\n']);
  });

  test('an address that is none is refused', async () => {
    for (const addr of ['', '9090', 'localhost', ':x', ':70000', 'http://x:1']) {
      const starting = startStatusServer({ addr, metrics: METRICS, health: () => ({ ok: true }) });
      await assert.rejects(starting, { code: 'CONFIG_INVALID' });
    }
  });

  test('a port in use is a clear error', async () => {
    await using server = await serve();
    const { port } = server.address;
    await assert.rejects(
      startStatusServer({ addr: `:${port}`, metrics: METRICS, health: () => ({ ok: true }) }),
      {
        code: 'CONFIG_INVALID',
        message: `cannot listen on addr 127.0.0.1:${port}: another process listens there already`,
      },
    );
  });

  test('closes although a client keeps its connection open, and twice', async () => {
    const server = await serve();
    const socket = connect(server.address.port, '127.0.0.1');
    const ended = new Promise((resolve) => socket.on('close', resolve).on('error', () => undefined));
    await new Promise((resolve) => socket.once('connect', resolve));
    await server.close();
    await server.close();
    await ended;
  });
});

/** Names, types and labels of Litestream v0.3.13, and ours. */
const EXPECTED: readonly (readonly [string, string, string])[] = [
  ['litestream_db_size', 'gauge', 'db'],
  ['litestream_wal_size', 'gauge', 'db'],
  ['litestream_total_wal_bytes', 'counter', 'db'],
  ['litestream_shadow_wal_index', 'gauge', 'db'],
  ['litestream_shadow_wal_size', 'gauge', 'db'],
  ['litestream_sync_count', 'counter', 'db'],
  ['litestream_sync_error_count', 'counter', 'db'],
  ['litestream_sync_seconds', 'counter', 'db'],
  ['litestream_checkpoint_count', 'counter', 'db,mode'],
  ['litestream_checkpoint_error_count', 'counter', 'db,mode'],
  ['litestream_checkpoint_seconds', 'counter', 'db,mode'],
  ['litestream_replica_wal_bytes', 'counter', 'db,name'],
  ['litestream_replica_wal_index', 'gauge', 'db,name'],
  ['litestream_replica_wal_offset', 'gauge', 'db,name'],
  ['litestream_replica_validation_total', 'counter', 'db,name,status'],
  ['litestream_replica_operation_total', 'counter', 'replica_type,operation'],
  ['litestream_replica_operation_bytes', 'counter', 'replica_type,operation'],
  ['rivulet_lease_held', 'gauge', 'db,name'],
  ['rivulet_lease_lost', 'gauge', 'db,name'],
  ['rivulet_replica_lag_seconds', 'gauge', 'db,name'],
  ['rivulet_replica_lag_bytes', 'gauge', 'db,name'],
  ['rivulet_replica_confirmed_index', 'gauge', 'db,name'],
  ['rivulet_replica_confirmed_offset', 'gauge', 'db,name'],
];

describe('metrics', () => {
  test('have the names, types and labels that dashboards expect', async () => {
    const metrics = createMetrics();
    const database = metrics.database('/db');
    database.setSizes({ databaseBytes: 1, walBytes: 2 });
    database.setPosition({ index: 3, offsetBytes: 4 });
    const replica = metrics.replica('/db', 'r');
    replica.setConfirmed({ index: 5, offsetBytes: 6 });
    replica.setLag({ lagMs: 1500, lagBytes: 7, lagCommits: 2 });
    replica.setLease('parked');
    metrics.addOperation('file', 'PUT', 100);
    const text = await metrics.render();
    for (const [name, type, labels] of EXPECTED) {
      assert.match(text, new RegExp(`^# TYPE ${name} ${type}$`, 'm'));
      const sample = new RegExp(`^${name}\\{(.*)\\} `, 'm').exec(text)?.[1] ?? '';
      const names = [...sample.matchAll(/(\w+)="/g)].map((match) => match[1]);
      assert.equal(names.join(','), labels, name);
    }
    assert.match(text, /^process_cpu_seconds_total /m);
    assert.match(text, /^rivulet_replica_lag_seconds\{db="\/db",name="r"\} 1.5$/m);
    assert.match(text, /^rivulet_lease_held\{db="\/db",name="r"\} 1$/m);
    assert.match(text, /^rivulet_lease_lost\{db="\/db",name="r"\} 0$/m);
    assert.match(text, /^litestream_replica_wal_offset\{db="\/db",name="r"\} 6$/m);
    assert.match(text, /^rivulet_replica_confirmed_index\{db="\/db",name="r"\} 5$/m);
  });

  test('counters start at zero and count', async () => {
    const metrics = createMetrics();
    const database = metrics.database('/db');
    const failures = 'litestream_sync_error_count{db="/db"}';
    assert.ok((await metrics.render()).includes(`${failures} 0\n`));
    database.addSync({ elapsedMs: 500, failed: true });
    database.addSync({ elapsedMs: 250, failed: false });
    database.addCheckpoint({ mode: 'PASSIVE', elapsedMs: 100, failed: false });
    metrics.replica('/db', 'r').addValidation('error');
    metrics.addOperation('file', 'GET', 10);
    metrics.addOperation('file', 'LIST');
    const text = await metrics.render();
    for (const line of [
      `${failures} 1`,
      'litestream_sync_count{db="/db"} 2',
      'litestream_sync_seconds{db="/db"} 0.75',
      'litestream_checkpoint_count{db="/db",mode="PASSIVE"} 1',
      'litestream_checkpoint_error_count{db="/db",mode="PASSIVE"} 0',
      'litestream_replica_validation_total{db="/db",name="r",status="error"} 1',
      'litestream_replica_validation_total{db="/db",name="r",status="ok"} 0',
      'litestream_replica_operation_total{replica_type="file",operation="LIST"} 1',
      'litestream_replica_operation_bytes{replica_type="file",operation="GET"} 10',
    ]) {
      assert.ok(text.includes(`${line}\n`), line);
    }
    assert.ok(!text.includes('litestream_replica_operation_bytes{replica_type="file",operation="LIST"}'));
  });

  test('a removed database leaves no series', async () => {
    const metrics = createMetrics();
    metrics.database('/gone').addCheckpoint({ mode: 'FULL', elapsedMs: 1, failed: true });
    metrics.replica('/gone', 'r').addValidation('ok');
    metrics.database('/kept');
    metrics.removeDatabase('/gone', ['r']);
    const text = await metrics.render();
    assert.ok(!text.includes('/gone'));
    assert.ok(text.includes('/kept'));
  });
});
