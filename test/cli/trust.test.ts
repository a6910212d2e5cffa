/** What should not be trusted is said by `config`, by `check`, and once when replication starts. */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'node:test';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { runRivulet } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';

let scratch = new Scratch();
beforeEach(() => void (scratch = new Scratch()));
afterEach(() => scratch[Symbol.dispose]());

function configure(...replicas: object[]): string[] {
  const path = scratch.file('app.db');
  const database = new DatabaseSync(path);
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (x)');
  database.close();
  const file = scratch.file('rivulet.yml');
  writeFileSync(file, JSON.stringify({ dbs: [{ path, replicas }] }));
  return ['-no-expand-env', '-config', file];
}

function occurrences(text: string, pattern: RegExp): number {
  return text.match(new RegExp(pattern, 'g'))?.length ?? 0;
}

test('an age identity that everybody reads', { skip: process.getuid === undefined }, async () => {
  const identity = await generateX25519Identity();
  const identities = scratch.file('id');
  writeFileSync(identities, `${identity}\n`);
  chmodSync(identities, 0o644);
  const age = { recipients: [await identityToRecipient(identity)], 'identities-file': identities };
  const flags = configure({ path: scratch.file('r'), age });
  const told = /holds a secret, and its permissions are 0644, readable by others/;
  const config = await runRivulet(['config', ...flags]);
  assert.equal(config.code, 0);
  assert.equal(occurrences(config.err, told), 1, config.err);
  assert.doesNotMatch(config.out, told, 'the YAML can still be used');
  const check = await runRivulet(['check', ...flags]);
  assert.equal(check.code, 0, check.out);
  assert.match(check.out, /warning {2}trust: holds a secret/);
  const start = await runRivulet(['replicate', '-once', ...flags]);
  assert.equal(start.code, 0, start.out);
  assert.equal(occurrences(start.out, told), 1, start.out);
  chmodSync(identities, 0o600);
  for (const words of [['config'], ['check'], ['replicate', '-once']]) {
    const { out, err } = await runRivulet([...words, ...flags]);
    assert.doesNotMatch(out + err, /holds a secret/);
  }
});

test('a URL of the command line', async () => {
  configure();
  const url = 's3://bucket/app?endpoint=http://s3.example.invalid&region=us-east-1&skip-verify=true';
  const check = await runRivulet(['check', url]);
  assert.match(check.out, /warning {2}trust: .*plain http/);
  const insecure = await runRivulet(['check', 'sftp://u:p@127.0.0.1:1/x?insecure-host-key=true']);
  assert.match(insecure.out, /warning {2}trust: is not verified/);
});
