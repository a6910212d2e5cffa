/** What must be on the disk before something has its name, and its name before anybody is told. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { basename } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Scratch } from '../support/scratch.ts';

const SCRIPT = fileURLToPath(new URL('../support/durable-steps.ts', import.meta.url));
/** The script looks up what a descriptor is where Linux shows it. */
const skip = process.platform === 'linux' ? false : 'needs /proc';

/** The steps that concern the file, its temporary names and its folder; `FOLDER` and `TEMPORARY` for those. */
function steps(what: string, name: string): string[] {
  using scratch = new Scratch();
  const out = execFileSync(process.execPath, ['--no-warnings', SCRIPT, what, scratch.path], {
    encoding: 'utf8',
  });
  const folders = new Set(['a', basename(scratch.path)]);
  return (JSON.parse(out) as string[]).map((step) => {
    const [verb = '', of = ''] = step.split(' ');
    if (of === name) return step;
    return `${verb} ${folders.has(of) ? 'FOLDER' : 'TEMPORARY'}`;
  });
}

describe('safe from a power cut', { skip }, () => {
  it('a restored database', () => {
    assert.deepEqual(steps('restore', 'restored'), ['sync TEMPORARY', 'name restored', 'sync FOLDER']);
  });

  it('an object in a directory, new or replaced', () => {
    for (const what of ['object', 'new-object']) {
      const done = steps(what, 'object');
      const named = done.indexOf('name object');
      assert.ok(named > 0, done.join(', '));
      assert.equal(done[named - 1], 'sync TEMPORARY');
      assert.equal(done.at(-1), 'sync FOLDER');
      assert.ok(done.lastIndexOf('sync FOLDER') > named);
    }
  });
});
