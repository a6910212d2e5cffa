/**
 * Every fault in every object of a replica that v0.3.13 wrote. Such a replica has no annotations, so a lost end cannot
 * always be seen; but what Rivulet restores is always sound, and what it refuses it explains.
 */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Scratch } from '../support/scratch.ts';
import { Application } from './support/application.ts';
import { writeConfiguration } from './support/configuration.ts';
import { contentsOf } from './support/contents.ts';
import { countObjects, objectsOf, restoreWith, urlOf } from './support/replica-files.ts';
import { run, Running, skip } from './support/tools.ts';

const ROUNDS = 8;
const AT_ONCE = 2;

type Fault = (path: string) => void;

/** Keeps the file's time: a fault is not a new upload. */
function rewrite(path: string, change: (bytes: Buffer) => Buffer): void {
  const { atime, mtime } = statSync(path);
  writeFileSync(path, change(readFileSync(path)));
  utimesSync(path, atime, mtime);
}

function flipBitAt(share: number): Fault {
  return (path) =>
    rewrite(path, (bytes) => {
      const at = Math.min(bytes.length - 1, Math.floor(bytes.length * share));
      bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at);
      return bytes;
    });
}

function cutTo(share: number): Fault {
  return (path) => {
    const { atime, mtime, size } = statSync(path);
    truncateSync(path, Math.floor(size * share));
    utimesSync(path, atime, mtime);
  };
}

const FAULTS: readonly (readonly [string, Fault])[] = [
  ['deleted', (path) => rmSync(path)],
  ['emptied', cutTo(0)],
  ['without its last byte', (path) => rewrite(path, (bytes) => bytes.subarray(0, -1))],
  ['with a bit flipped in its head', flipBitAt(0)],
  ['with a bit flipped in the middle', flipBitAt(0.5)],
  ['with a bit flipped at its end', flipBitAt(1)],
];

type Verdict = 'exact' | 'older state' | 'other sound state' | 'refused';

describe('a damaged replica of v0.3.13', { skip }, () => {
  const scratch = new Scratch();
  const application = new Application(scratch.file('app.db'));
  const replicaPath = scratch.file('replica');
  const verdicts = new Map<string, number>();
  let exact = '';

  before(async () => {
    const database = { 'min-checkpoint-page-count': 20 };
    const replica = { 'snapshot-interval': '500ms' };
    const entry = { path: application.path, replicaPath, database, replica };
    const config = writeConfiguration(scratch.file('config.yml'), [entry]);
    await using replicator = new Running('litestream', ['replicate', '-config', config]);
    await replicator.until('a first snapshot', () => countObjects(replicaPath) > 0);
    for (let round = 0; round < ROUNDS; round += 1) {
      const known = countObjects(replicaPath);
      application.write(12);
      await replicator.settle(() => countObjects(replicaPath) > known);
      await delay(60);
    }
    await replicator.stop();
    exact = (await restoreWith('litestream', replicaPath)).contents.rows;
  });
  after(() => {
    application[Symbol.dispose]();
    scratch[Symbol.dispose]();
  });

  async function judge(key: string, fault: Fault): Promise<Verdict> {
    using place = new Scratch();
    const [damaged, output] = [place.file('replica'), place.file('out.db')];
    cpSync(replicaPath, damaged, { recursive: true, preserveTimestamps: true });
    fault(join(damaged, key));
    const { code, out, err } = await run('rivulet', ['restore', '-o', output, urlOf(damaged)]);
    if (code !== 0) {
      assert.deepEqual(place.names(), ['replica'], 'something was left');
      assert.equal(code, 1, err);
      return whyRefused(key, err);
    }
    assert.deepEqual(place.names(), ['out.db', 'replica']);
    const { rows } = contentsOf(output);
    if (rows === exact) return 'exact';
    assert.match(out, /integrity check: quick/, 'a chain that proves nothing needs the check');
    return application.states.includes(rows) ? 'older state' : 'other sound state';
  }

  /** The object is named, or, where only the result shows that something is wrong, the check. */
  function whyRefused(key: string, err: string): Verdict {
    assert.ok(err.includes(basename(key)) || /quick_check|integrity/.test(err), err);
    return 'refused';
  }

  for (const [name, fault] of FAULTS) {
    test(`each object ${name}`, async (t) => {
      const queue = objectsOf(replicaPath).map(({ key }) => key);
      assert.ok(queue.length > ROUNDS / 2);
      const worker = async (): Promise<void> => {
        for (let key = queue.shift(); key !== undefined; key = queue.shift()) {
          const verdict = await judge(key, fault).catch((error: unknown) => {
            throw new Error(`${key} ${name}`, { cause: error });
          });
          if (name !== 'deleted')
            assert.ok(verdict === 'exact' || verdict === 'refused', `${key}: ${verdict}`);
          verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      t.diagnostic(`so far ${[...verdicts].map(([verdict, count]) => `${verdict}: ${count}`).join(', ')}`);
    });
  }
});
