/** `rivulet verify` on replicas in directories: three outcomes, what is bad, and what to do. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { runCommandLine } from '../../src/cli/run.ts';
import { fillSmallReplica, ReplicaMaker, type ReplicaShape } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(...words: string[]): Promise<Ran> {
  return watched(() => undefined, ...words);
}

/** @param onOutput - told of whatever is printed as a result */
async function watched(onOutput: (text: string) => void, ...words: string[]): Promise<Ran> {
  const text = { out: '', err: '' };
  const write = (chunk: string): void => {
    text.out += chunk;
    onOutput(chunk);
  };
  const code = await runCommandLine(words, {
    stdout: { write },
    stderr: { write: (chunk) => void (text.err += chunk) },
    env: {},
  });
  return { code, ...text };
}

describe('verify', () => {
  let scratch: Scratch;
  let url: string;

  beforeEach(() => {
    scratch = new Scratch();
    url = `file://${scratch.file('replica')}`;
  });
  afterEach(() => scratch[Symbol.dispose]());

  function make(shape: ReplicaShape = {}, more: (maker: ReplicaMaker) => void = () => undefined): string[] {
    using maker = new ReplicaMaker(new MemoryStore(), shape);
    fillSmallReplica(maker);
    more(maker);
    for (const key of maker.store.keys()) {
      const path = join(scratch.file('replica'), key);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, maker.store.bytesOf(key));
      // A moment of its own for each: a fast machine writes many in one millisecond.
      const time = new Date(maker.store.objects.get(key)?.timeMs ?? 0);
      utimesSync(path, time, time);
    }
    return maker.store.keys();
  }

  const pathOf = (key: string): string => join(scratch.file('replica'), key);

  test('proven, at every depth and point', async () => {
    make();
    for (const flags of [
      [],
      ['-quick'],
      ['-full', '-temporary-path', scratch.path],
      ['-all'],
      ['-index', '1'],
    ]) {
      const { code, out, err } = await run('verify', ...flags, url);
      assert.equal(code, 0, out + err);
      assert.match(out, /^proven: /);
      assert.match(out, /restorable until .*: generation 00112233445566aa/);
    }
    const all = await run('verify', '-all', '-full', '-temporary-path', scratch.path, url);
    assert.equal(all.out.match(/^proven: /gm)?.length, 2, 'one for each snapshot');
    assert.equal(all.out.match(/restored and checked by SQLite/g)?.length, 2);
    assert.deepEqual(scratch.names(), ['replica'], 'nothing is left behind');
  });

  test('broken: the object, and a command that restores what can be had', async () => {
    const keys = make();
    const last = keys.findLast((key) => key.endsWith('_00000000.wal.lz4')) ?? '';
    rmSync(pathOf(last));
    const { code, out } = await run('verify', url);
    assert.equal(code, 6, out);
    assert.match(out, /^broken: /);
    assert.ok(out.includes(last), out);
    assert.match(out, / \[CHAIN_BROKEN\]$/m);
    const [, command = ''] = /restore it with: rivulet (.*)/.exec(out) ?? [];
    const words = command.replace('OUTPUT', scratch.file('out')).split(' ');
    assert.equal((await run(...words)).code, 0, command);
    assert.ok(existsSync(scratch.file('out')));
  });

  test('a snapshot that an older one would stand in for is found as well', async () => {
    const [, newest = ''] = make().filter((key) => key.includes('/snapshots/'));
    const bytes = readFileSync(pathOf(newest));
    bytes[bytes.length >>> 1] = (bytes[bytes.length >>> 1] ?? 0) ^ 4;
    writeFileSync(pathOf(newest), bytes);
    const { code, out } = await run('verify', '-json', url);
    assert.equal(code, 6);
    const { outcome, results } = JSON.parse(out);
    assert.equal(outcome, 'broken');
    assert.equal(results[0].key, newest);
    assert.equal(results[0].error.code, 'CHAIN_BROKEN');
    assert.match(results[0].restoreWith, /^rivulet restore -generation \w+ .*-o OUTPUT file:/);
  });

  test('damage in the history is found with -all, and is none to the newest state', async () => {
    const keys = make();
    rmSync(pathOf(keys.filter((key) => key.includes('/wal/'))[1] ?? ''));
    assert.equal((await run('verify', url)).code, 0);
    const { code, out } = await run('verify', '-all', url);
    assert.equal(code, 6, out);
    assert.match(out, /^broken: [^]*^proven: /m);
  });

  test('what retention removes after the listing is neither proven nor broken', async () => {
    const keys = make({}, (maker) => {
      maker.exec('INSERT INTO t (body) VALUES (randomblob(3000))');
      maker.segment();
      maker.snapshot();
      maker.nextIndex();
      maker.exec('INSERT INTO t (body) VALUES (randomblob(4000))');
      maker.segment();
    });
    const snapshots = keys.filter((key) => key.includes('/snapshots/'));
    assert.equal(snapshots.length, 3);
    const kept = (snapshots.at(-1) ?? '').split('/').at(-1)?.slice(0, 8) ?? '';
    const retention = (): void => {
      for (const key of keys) {
        const [index = ''] = key.split('/').at(-1)?.split(/[_.]/) ?? [];
        if (index < kept) rmSync(pathOf(key), { force: true });
      }
    };
    const { code, out, err } = await watched(retention, 'verify', '-all', url);
    assert.equal(code, 7, out + err);
    assert.match(out, /^proven: [^]*^inconclusive: .*\n.*can be restored from index[^]*^proven: /m);
  });

  test('an empty replica is broken, and a destination that cannot be read inconclusive', async () => {
    mkdirSync(scratch.file('replica'));
    assert.equal((await run('verify', url)).code, 6);
    writeFileSync(scratch.file('no-directory'), '');
    const { code, out } = await run('verify', `file://${scratch.file('no-directory')}/below`);
    assert.equal(code, 7, out);
    assert.match(out, /^inconclusive: .*\n.* \[STORAGE_FAILED\]$/m);
  });

  test('what a replica of Litestream cannot prove is said; a full proof decides', async () => {
    make({ annotated: false });
    const quick = await run('verify', url);
    assert.equal(quick.code, 7, quick.out);
    assert.match(quick.out, /cannot be proven: /);
    assert.match(quick.out, /hint: -full/);
    const full = await run('verify', '-full', '-temporary-path', scratch.path, url);
    assert.equal(full.code, 0, full.out);
    assert.match(full.out, /cannot be proven: /);
  });

  test('every replica of the configuration, or one of them', async () => {
    make();
    mkdirSync(scratch.file('empty'));
    const config = scratch.file('rivulet.yml');
    writeFileSync(
      config,
      `dbs:\n  - path: ${scratch.file('app.db')}\n    replicas:\n` +
        `      - {name: good, path: ${scratch.file('replica')}}\n` +
        `      - {name: bad, path: ${scratch.file('empty')}}\n`,
    );
    const all = await run('verify', '-config', config);
    assert.equal(all.code, 6);
    assert.match(all.out, /^proven: .*good[^]*^broken: .*bad/m);
    assert.equal((await run('verify', '-config', config, '-replica', 'good')).code, 0);
    assert.equal(
      (await run('verify', '-config', config, '-replica', 'good', scratch.file('app.db'))).code,
      0,
    );
    assert.equal((await run('verify', '-config', config, '-replica', 'none')).code, 1);
  });

  test('flags that contradict each other, and moments that are not there', async () => {
    make();
    for (const flags of [
      ['-quick', '-full'],
      ['-all', '-index', '1'],
      ['-timestamp', '1999-01-01T00:00:00Z'],
    ]) {
      assert.equal((await run('verify', ...flags, url)).code, 1, flags.join(' '));
    }
  });

  test('the copy needs a place', async () => {
    make();
    const { code, out, err } = await run('verify', '-full', '-temporary-path', scratch.file('none'), url);
    assert.equal(code, 1, out);
    assert.match(err, /cannot be written/);
    assert.deepEqual(readdirSync(scratch.path).sort(), ['replica']);
  });
});
