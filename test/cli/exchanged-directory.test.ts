/** The data directory is exchanged while it is replicated, the local state with it: as applications restore, and as deployments do. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { systemCode } from '../../src/base/errors.ts';
import { runRivulet, type Started, startRivulet } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';

const COPY_ATTEMPTS = 20;

let scratch = new Scratch();
let running: Started | undefined;
beforeEach(() => {
  scratch = new Scratch();
  mkdirSync(scratch.file('data'));
  write(database(), 1);
});
afterEach(async () => {
  running?.process.kill('SIGKILL');
  await running?.ended;
  running = undefined;
  scratch[Symbol.dispose]();
});

const database = (): string => scratch.file('data/app.db');
const state = (): string => scratch.file('data/.app.db-rivulet');

function write(path: string, value: number): void {
  const app = new DatabaseSync(path, { timeout: 10_000 });
  app.exec(`PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (${value})`);
  app.close();
}

function configure(replica: string, socket: object = {}): string {
  const file = scratch.file(`${replica}.yml`);
  const dbs = [{ path: database(), 'monitor-interval': '50ms', replicas: [{ path: scratch.file(replica) }] }];
  // So that what is watched is looked at each 100 ms.
  dbs.forEach((one) => Object.assign(one.replicas[0] ?? {}, { 'stall-after': '2s' }));
  writeFileSync(file, JSON.stringify({ socket, dbs }));
  return file;
}

async function start(config: string): Promise<Started> {
  running = startRivulet(['replicate', '-config', config]);
  await running.said('snapshot written');
  return running;
}

/** The process writes its notes under other names first, and these may vanish while the directory is copied. */
function copyWhole(from: string, to: string): void {
  for (let left = COPY_ATTEMPTS; ; left--) {
    try {
      cpSync(from, to, { recursive: true });
      return;
    } catch (error) {
      if (systemCode(error) !== 'ENOENT' || left === 0) throw error;
      rmSync(to, { recursive: true, force: true });
    }
  }
}

/** The process is found, and replicates what is there; a second one is refused. */
async function assertAllIsWell(config: string, started: Started, value: number): Promise<void> {
  write(database(), value);
  const wanted = new RegExp(`app\\.db: following \\(process ${started.process.pid},`);
  let last = '';
  await until(
    'rivulet status',
    async () => {
      const { code, out, err } = await runRivulet(['status', '-config', config]);
      last = out + err;
      return code === 0 && wanted.test(out);
    },
    () => last,
  );
  await until(
    'the note',
    () => noteIn(state()) === started.process.pid,
    () => readdirSync(scratch.file('data')).join(),
  );
  const second = await runRivulet(['replicate', '-once', '-config', configure('second')]);
  assert.match(second.err, /DB_IN_USE/);
  started.process.kill('SIGTERM');
  assert.equal((await started.ended).code, 0);
  const output = scratch.file('restored.db');
  assert.equal((await runRivulet(['restore', '-o', output, `file://${scratch.file('replica')}`])).code, 0);
  const restored = new DatabaseSync(output);
  assert.equal(restored.prepare('SELECT max(x) AS x FROM t').get()?.['x'], value);
  restored.close();
}

function noteIn(metaPath: string): unknown {
  const path = join(metaPath, 'daemon.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as { pid: unknown }).pid : undefined;
}

describe('after the data directory was exchanged', () => {
  it('by a deployment that has no local state', async () => {
    const config = configure('replica');
    const started = await start(config);
    mkdirSync(scratch.file('next'));
    write(scratch.file('next/app.db'), 2);
    renameSync(scratch.file('data'), scratch.file('former'));
    renameSync(scratch.file('next'), scratch.file('data'));
    await started.said('was removed or replaced; it is taken again');
    await assertAllIsWell(config, started, 3);
    assert.equal(
      noteIn(scratch.file('former/.app.db-rivulet')),
      started.process.pid,
      'nothing is changed there',
    );
  });

  it('by an application that moves its files away and a copy of them back, local state and all', async () => {
    const config = configure('replica');
    const started = await start(config);
    copyWhole(scratch.file('data'), scratch.file('copy'));
    for (const [from, to] of [
      ['data', 'away'],
      ['copy', 'data'],
    ] as const) {
      mkdirSync(scratch.file(to), { recursive: true });
      for (const name of readdirSync(scratch.file(from)))
        renameSync(scratch.file(`${from}/${name}`), scratch.file(`${to}/${name}`));
    }
    await assertAllIsWell(config, started, 4);
  });

  it('the local state alone was removed', async () => {
    const config = configure('replica');
    const started = await start(config);
    renameSync(state(), scratch.file('removed'));
    await started.said('was removed or replaced; it is taken again');
    await assertAllIsWell(config, started, 5);
  });

  it('with a socket in it, which is made again', async () => {
    const socket = { path: scratch.file('data/rivulet.sock') };
    const config = configure('replica', socket);
    const started = await start(config);
    await until('the socket', () => existsSync(socket.path));
    mkdirSync(scratch.file('next'));
    write(scratch.file('next/app.db'), 2);
    renameSync(scratch.file('data'), scratch.file('former'));
    renameSync(scratch.file('next'), scratch.file('data'));
    await until('the socket', () => existsSync(socket.path));
    await assertAllIsWell(config, started, 6);
  });

  it('a directory of the database that is removed for good is not made again', async () => {
    const config = configure('replica');
    const started = await start(config);
    renameSync(scratch.file('data'), scratch.file('former'));
    await started.said('removed');
    started.process.kill('SIGTERM');
    await once(started.process, 'exit');
    assert.equal(existsSync(scratch.file('data')), false);
  });
});
