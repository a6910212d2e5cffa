/** Places for copies that nobody needs afterwards: those of killed commands do not stay for good. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { makeScratchCopy } from '../../src/restore/scratch-copy.ts';
import { ChildScript } from '../support/child-script.ts';
import { Scratch } from '../support/scratch.ts';

const PREFIX = 'rivulet-test-copy-';
const HOUR_MS = 3_600_000;

/** The one that a process had which was killed. */
async function killedIn(parent: string): Promise<string> {
  const child = new ChildScript('scratch-copy-script.ts', [parent, PREFIX]);
  const path = await child.line();
  await child.kill();
  return dirname(path);
}

describe('a place for a copy', () => {
  it('goes with its command, and with the next one when that was killed', async () => {
    using scratch = new Scratch();
    const left = await killedIn(scratch.path);
    assert.deepEqual(scratch.names(), [basename(left)]);
    assert.ok(readdirSync(left).includes('copy.db'));
    const living = makeScratchCopy(scratch.path, PREFIX, Date.now());
    writeFileSync(living.path, 'a copy');
    assert.deepEqual(scratch.names(), [basename(dirname(living.path))]);
    const another = makeScratchCopy(scratch.path, PREFIX, Date.now());
    assert.equal(scratch.names().length, 2, 'that of a living command stays');
    another[Symbol.dispose]();
    living[Symbol.dispose]();
    assert.deepEqual(scratch.names(), []);
  });

  it('without a lock is old before it counts as left behind; strangers stay', () => {
    using scratch = new Scratch();
    const nowMs = Date.now();
    for (const name of ['young', 'old']) mkdirSync(scratch.file(PREFIX + name), { mode: 0o700 });
    for (const name of ['old', 'young'])
      writeFileSync(join(scratch.file(PREFIX + name), 'copy.db.tmp-0'), 'x');
    for (const [name, hours] of [
      ['old', 25],
      ['young', 23],
    ] as const) {
      const at = new Date(nowMs - hours * HOUR_MS);
      utimesSync(scratch.file(PREFIX + name), at, at);
    }
    writeFileSync(scratch.file(`${PREFIX}file`), 'x');
    mkdirSync(scratch.file('elsewhere'));
    symlinkSync(scratch.file('elsewhere'), scratch.file(`${PREFIX}link`));
    makeScratchCopy(scratch.path, PREFIX, nowMs)[Symbol.dispose]();
    assert.deepEqual(scratch.names(), ['elsewhere', `${PREFIX}file`, `${PREFIX}link`, `${PREFIX}young`]);
  });
});
