/** Real servers that are killed, started again, and run out of disk under a running replication. */
import assert from 'node:assert/strict';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CEPH_KEYS, startCephRgw, whyNoCeph } from '../support/ceph-rgw.ts';
import { OpenSshServer, whyNoOpenSsh } from '../support/openssh.ts';
import { Scene } from './faults/scene.ts';

const MIB = 1024 * 1024;
const DISK_BYTES = 24 * MIB;

describe('Ceph’s gateway', { skip: whyNoCeph() ?? false }, () => {
  it('is killed in the middle of an upload in parts, and under way, and comes back', async () => {
    await using ceph = await startCephRgw();
    await ceph.createBucket('faults');
    const { endpoint, region } = ceph;
    const replica = {
      type: 's3',
      bucket: 'faults',
      path: 'db',
      endpoint,
      region,
      'access-key-id': CEPH_KEYS.accessKeyId,
      'secret-access-key': CEPH_KEYS.secretAccessKey,
    };
    await using scene = new Scene({ replica, seedRows: 600, seedBodyBytes: 100_000 });
    scene.startReplicator();
    await scene.startWriter();
    await scene.until('the beginning', () => scene.lines.some(({ msg }) => msg === 'replicating'));
    await sleep(400);
    await ceph.stop();
    await sleep(1_000);
    await ceph.start();
    await scene.remember();
    for (let round = 0; round < 2; round++) {
      await ceph.stop();
      await sleep(1_500);
      await ceph.start();
      await scene.caughtUp();
    }
    await scene.finish();
  });
});

describe('OpenSSH', { skip: whyNoOpenSsh() }, () => {
  const replicaOf = (server: OpenSshServer): Record<string, unknown> => ({
    url: `sftp://${server.user}@${server.host}:${server.port}${server.path}/app`,
    'key-path': server.keyPath,
    'host-key': server.hostKey(),
  });

  it('has no space on its disk for a while', async () => {
    await using server = await OpenSshServer.start({ diskBytes: DISK_BYTES });
    await using scene = await Scene.start({ replica: replicaOf(server) });
    await scene.remember();
    const filler = join(server.directory, 'filler');
    fillDisk(filler);
    await scene.until('the failure', () => scene.said('the destination failed; trying again') > 0);
    await sleep(2_000);
    rmSync(filler);
    await scene.finish();
    assert.equal(scene.said('the destination works again'), 1);
    assert.equal(scene.said('the destination failed; trying again'), 1);
  });

  it('is killed, its connections break, and it comes back', async () => {
    await using server = await OpenSshServer.start();
    await using scene = await Scene.start({
      replica: replicaOf(server),
      seedRows: 100,
      seedBodyBytes: 50_000,
    });
    await scene.remember();
    for (let round = 0; round < 3; round++) {
      server.killConnections();
      await sleep(300);
      await server.stop();
      await sleep(1_000);
      await server.start();
      await scene.caughtUp();
    }
    await scene.finish();
  });
});

/** Until there is no space at all; others write meanwhile. */
function fillDisk(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (let left = DISK_BYTES; left > 0; left -= writeSync(file, Buffer.alloc(4_096)));
  } catch (error) {
    assert.match(String(error), /ENOSPC/);
  } finally {
    closeSync(file);
  }
}
