/** What `rivulet check` prints. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { EXIT_FAILED } from '../../src/cli/exit-codes.ts';
import { runRivulet } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';

test('advice that holds for several steps is given once', async () => {
  const { code, out } = await runRivulet(['check', 'sftp://u:hunter2@127.0.0.1:1/app']);
  assert.equal(code, EXIT_FAILED, out);
  assert.equal(out.match(/FAILED {3}/g)?.length, 3, out);
  assert.equal(out.match(/hint: Nothing listens there/g)?.length, 1, out);
});

test('a configuration without a database does not work', async () => {
  using scratch = new Scratch();
  writeFileSync(scratch.file('rivulet.yml'), 'addr: ":9090"\n');
  const { code, out } = await runRivulet(['check', '-config', scratch.file('rivulet.yml')]);
  assert.equal(code, EXIT_FAILED, out);
  assert.match(
    out,
    /FAILED {3}configuration: 0 databases, 0 replicas \[CONFIG_INVALID\]\n +hint: List databases/,
  );
});

test('a mistake in a URL of a service is not answered with how directories are written', async () => {
  const { code, err } = await runRivulet(['check', 's3://bucket/app?endpont=http://127.0.0.1:1']);
  assert.equal(code, EXIT_FAILED);
  assert.match(err, /did you mean `endpoint`/);
  assert.doesNotMatch(err, /A directory/);
});
