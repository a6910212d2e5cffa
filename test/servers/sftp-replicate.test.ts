/** The commands themselves, ours and the real Litestream v0.3.13, with a replica on OpenSSH in a chroot. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemCode } from '../../src/base/errors.ts';
import { Application, assertShipped } from '../compat/support/application.ts';
import { contentsOf } from '../compat/support/contents.ts';
import { Running, TOOLS, type Tool, run, skip as withoutLitestream } from '../compat/support/tools.ts';
import { OpenSshServer, whyNoOpenSsh } from '../support/openssh.ts';
import { Scratch } from '../support/scratch.ts';

const skip = whyNoOpenSsh() || withoutLitestream;

/** The file that both tools read, and one with what only ours knows. */
function configurations(
  server: OpenSshServer,
  scratch: Scratch,
  path: string,
  common: object = {},
): Readonly<Record<Tool, string>> {
  const { user, host, port, keyPath } = server;
  const replica = {
    url: `sftp://${user}@${host}:${port}/db/fruits`,
    'key-path': keyPath,
    'sync-interval': '20ms',
    ...common,
  };
  const write = (name: string, more: object): string => {
    const dbs = [{ path, 'monitor-interval': '20ms', replicas: [{ ...replica, ...more }] }];
    writeFileSync(scratch.file(name), JSON.stringify({ dbs }));
    return scratch.file(name);
  };
  return {
    litestream: write('litestream.yml', {}),
    rivulet: write('rivulet.yml', { 'host-key': server.hostKey() }),
  };
}

function filesBelow(directory: string): string[] {
  if (!existsSync(directory)) return [];
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    // A folder that went away meanwhile: whoever is looked at removes what is old.
    if (systemCode(error) === 'ENOENT') return filesBelow(directory);
    throw error;
  }
}

function countObjects(server: OpenSshServer): number {
  return filesBelow(server.directory).filter((name) => name.endsWith('.lz4')).length;
}

/** Logs of which later segments are there, and the first is not. */
function headlessLogs(server: OpenSshServer): string[] {
  const segments = filesBelow(server.directory).filter((name) => name.endsWith('.wal.lz4'));
  const logs = new Set(segments.map((name) => name.slice(0, name.lastIndexOf('_'))));
  return [...logs].filter((log) => !segments.includes(`${log}_00000000.wal.lz4`));
}

async function restored(tool: Tool, config: string, path: string, scratch: Scratch): Promise<string> {
  const output = scratch.file(`restored-by-${tool}.db`);
  rmSync(output, { force: true });
  const { code, out, err } = await run(tool, ['restore', '-config', config, '-o', output, path]);
  assert.equal(code, 0, out + err);
  return contentsOf(output).rows;
}

describe('replicas on OpenSSH', { skip }, () => {
  it('both tools by turns, each restores what the other wrote', async () => {
    await using server = await OpenSshServer.start();
    using scratch = new Scratch();
    const path = scratch.file('fruits.db');
    const config = configurations(server, scratch, path);
    using application = new Application(path);
    for (const tool of ['rivulet', 'litestream', 'rivulet'] as const) {
      const before = countObjects(server);
      await using replicator = new Running(tool, ['replicate', '-config', config[tool]]);
      await replicator.until('something stored', () => countObjects(server) > before);
      for (let change = 0; change < 3; change++) {
        const known = countObjects(server);
        application.write(8);
        await replicator.settle(() => countObjects(server) > known);
      }
      await replicator.stop();
      for (const reader of TOOLS) {
        assertShipped(tool, await restored(reader, config[reader], path, scratch), application);
      }
      application.write(8);
    }
    const names = filesBelow(server.directory).filter((name) => name.includes('.tmp'));
    assert.deepEqual(names, []);
  });

  it('both list alike, both snapshot and let go of what is old', async () => {
    await using server = await OpenSshServer.start();
    using scratch = new Scratch();
    const path = scratch.file('fruits.db');
    const often = { 'snapshot-interval': '1s', retention: '2s', 'retention-check-interval': '500ms' };
    const config = configurations(server, scratch, path, often);
    using application = new Application(path);
    for (const tool of ['rivulet', 'litestream', 'rivulet'] as const) {
      const known = new Set(filesBelow(server.directory));
      const headlessBefore = headlessLogs(server);
      await using replicator = new Running(tool, ['replicate', '-config', config[tool]]);
      const ownSnapshots = (): string[] =>
        filesBelow(server.directory).filter((name) => name.includes('/snapshots/') && !known.has(name));
      const write = (): true => {
        application.write(40);
        return true;
      };
      await replicator.until('a first snapshot', () => write() && ownSnapshots().length > 0);
      const [first = ''] = ownSnapshots();
      await replicator.until('retention', () => write() && !filesBelow(server.directory).includes(first));
      await replicator.stop();
      const headless = headlessLogs(server);
      if (tool === 'rivulet')
        assert.deepEqual(
          headless.filter((log) => !headlessBefore.includes(log)),
          [],
        );
      for (const reader of TOOLS) {
        // What v0.3.13 leaves when it ends while it removes, it does not restore itself.
        if (reader === 'litestream' && headless.length > 0) continue;
        assertShipped(tool, await restored(reader, config[reader], path, scratch), application);
      }
    }
    for (const command of ['generations', 'snapshots', 'wal']) {
      const rows = async (tool: Tool): Promise<string[]> => {
        const { code, out, err } = await run(tool, [command, '-config', config[tool], path]);
        assert.equal(code, 0, err);
        // The lag of a generation goes on between the two, and columns are as wide as it.
        return out
          .replaceAll(/ +-?(?:[\d.]+(?:ms|[smh]))+\b/g, '')
          .replaceAll(/ +/g, ' ')
          .split('\n')
          .toSorted();
      };
      assert.deepEqual(await rows('rivulet'), await rows('litestream'), command);
    }
  });

  it('half-written files of a day ago go away while a database is replicated', async () => {
    await using server = await OpenSshServer.start();
    using scratch = new Scratch();
    const path = scratch.file('fruits.db');
    const config = configurations(server, scratch, path);
    using application = new Application(path);
    application.write(3);
    let folder = server.directory;
    for (const name of ['fruits', 'generations', 'a'.repeat(16), 'snapshots']) {
      folder = join(folder, name);
      mkdirSync(folder, { mode: 0o777 });
      chmodSync(folder, 0o777);
    }
    const half = (name: string, end: number): string => join(folder, `${name}.tmp-${'0'.repeat(15)}${end}`);
    const [old, young] = [half('00000000.snapshot.lz4', 0), half('00000000.snapshot.lz4', 1)];
    const foreign = join(server.directory, 'fruits', `object.tmp-${'0'.repeat(16)}`);
    for (const file of [old, young, foreign]) writeFileSync(file, 'half');
    const before = new Date(Date.now() - 25 * 3_600_000);
    for (const file of [old, foreign]) utimesSync(file, before, before);
    await using replicator = new Running('rivulet', ['replicate', '-config', config.rivulet]);
    await replicator.until('the old one is gone', () => !existsSync(old));
    assert.deepEqual([existsSync(young), existsSync(foreign)], [true, true]);
    await replicator.until('something stored', () => countObjects(server) > 0);
    await replicator.stop();
  });

  it('a server that goes away and comes back, again and again, while the application writes', async () => {
    await using server = await OpenSshServer.start();
    using scratch = new Scratch();
    const path = scratch.file('fruits.db');
    const config = configurations(server, scratch, path);
    using application = new Application(path);
    await using replicator = new Running('rivulet', ['replicate', '-config', config.rivulet]);
    await replicator.until('something stored', () => countObjects(server) > 0);
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 10; i++) {
        application.write(40);
        if (i % 3 === round) server.killConnections();
        await sleep(10);
      }
      await server.stop();
      for (let i = 0; i < 10; i++) application.write(40);
      await sleep(300);
      await server.start();
    }
    const known = countObjects(server);
    application.write(3);
    await replicator.until('it goes on', () => countObjects(server) > known);
    await replicator.stop();
    for (const reader of TOOLS) {
      assert.equal(await restored(reader, config[reader], path, scratch), application.rows);
    }
  });

  it('a server that nobody has pinned gets nothing, and the log says what to pin', async () => {
    await using server = await OpenSshServer.start();
    using scratch = new Scratch();
    const path = scratch.file('fruits.db');
    const config = configurations(server, scratch, path);
    using application = new Application(path);
    application.write(3);
    await using replicator = new Running('rivulet', ['replicate', '-config', config.litestream]);
    await replicator.until('it says so', () => replicator.log.includes('HOST_KEY_UNVERIFIED'));
    assert.ok(replicator.log.includes(server.fingerprint()), replicator.log);
    assert.ok(replicator.log.includes(server.hostKey()), replicator.log);
    assert.deepEqual(readdirSync(join(server.directory)), []);
  });
});
