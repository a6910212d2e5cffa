import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isRivuletError } from '../../src/base/errors.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { openStore } from '../../src/daemon/stores.ts';
import { Scratch } from '../support/scratch.ts';

it('a want of credentials is told within ten seconds to somebody who waits', async () => {
  using scratch = new Scratch();
  const text = `dbs: [{path: a.db, replicas: [{url: "s3://bucket/app?endpoint=http://127.0.0.1:1", credentials:
    {source: env-file, path: ${scratch.file('never-written.env')}}}]}]`;
  const { config } = parseConfig(text, { file: 'x.yml', environment: {} });
  const store = await openStore(config.databases[0]!.replicas[0]!, { personWaits: true });
  await using _closing = { [Symbol.asyncDispose]: async () => store.close() };
  const startedMs = performance.now();
  await assert.rejects(store.readBytes('a'), (error) => {
    assert.ok(isRivuletError(error, 'CREDENTIALS_FAILED'), String(error));
    assert.match(error.message, /never-written\.env: it does not exist \(\d attempts in \d s\)$/);
    return true;
  });
  const took = performance.now() - startedMs;
  assert.ok(took > 1_000 && took < 10_000, `${took} ms`);
});
