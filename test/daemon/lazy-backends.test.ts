/** Starting is fast and small because nothing loads that the destination at hand does not need. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { Scratch } from '../support/scratch.ts';

const STORES = new URL('../../src/daemon/stores.ts', import.meta.url).href;
const CONFIG = new URL('../../src/config/from-command-line.ts', import.meta.url).href;

/** What a process has loaded after it has opened the destination behind `url`. */
function loadedFor(url: string): string[] {
  using scratch = new Scratch();
  const hooks = scratch.file('hooks.mjs');
  writeFileSync(
    hooks,
    `import { registerHooks } from 'node:module';
     globalThis.loaded = [];
     registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });`,
  );
  const program = scratch.file('program.mjs');
  writeFileSync(
    program,
    `const { configFromCommandLine } = await import(${JSON.stringify(CONFIG)});
     const { openStore } = await import(${JSON.stringify(STORES)});
     const [database] = configFromCommandLine('none', [${JSON.stringify(url)}]).databases;
     const store = await openStore(database.replicas[0]);
     await store.close();
     console.log(JSON.stringify(loaded));`,
  );
  const out = execFileSync(process.execPath, ['--import', pathToFileURL(hooks).href, program], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  return JSON.parse(out) as string[];
}

test('a directory loads no backend of another kind, no credentials, no package', () => {
  const loaded = loadedFor('file:///tmp');
  assert.ok(loaded.some((one) => one.endsWith('/file-object-store.ts')));
  const foreign = loaded.filter((one) =>
    /node_modules|\/credentials\/|\/storage\/(s3|abs|gcs)\/|network-store/.test(one),
  );
  assert.deepEqual(foreign, []);
});

test('each other kind loads its own packages only', () => {
  const packages: Record<string, RegExp> = {
    'sftp://u@h/x': /@aws-sdk|@smithy|@azure|@google-cloud|google-auth/,
    's3://b/x': /ssh2|@azure|@google-cloud|google-auth/,
    'abs://a@c/x': /ssh2|@aws-sdk|@google-cloud|google-auth/,
    'gcs://b/x': /ssh2|@aws-sdk|@azure/,
  };
  for (const [url, foreign] of Object.entries(packages)) {
    assert.deepEqual(
      loadedFor(url).filter((one) => foreign.test(one)),
      [],
      url,
    );
  }
});
