import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

const SOURCES = new URL('../../src/', import.meta.url).href;

/** The packages that are loaded when keys of a source are asked for, in a process of its own. */
function packagesFor(settings: object, environment: Readonly<Record<string, string>>): string[] {
  const script = `
    import { registerHooks } from 'node:module';
    const packages = new Set();
    registerHooks({ resolve(specifier, context, next) {
      if (/^[@a-z]/.test(specifier) && !/^(node|file|data):/.test(specifier)) packages.add(specifier);
      return next(specifier, context);
    } });
    const { openSource } = await import('${SOURCES}credentials/open.ts');
    const { systemClock: clock } = await import('${SOURCES}base/clock.ts');
    const { silentLogger: logger } = await import('${SOURCES}base/log.ts');
    const source = openSource(${JSON.stringify(settings)}, { clock, logger, environment: ${JSON.stringify(environment)} });
    await source.fetch(new AbortController().signal).catch(() => undefined);
    console.log(JSON.stringify([...packages]));`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  return JSON.parse(out) as string[];
}

test('sources that need no service of AWS load nothing of its library', () => {
  const keys = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
  assert.deepEqual(packagesFor({ source: 'static', accessKeyId: 'a', secretAccessKey: 'b' }, {}), [
    'string-argv',
  ]);
  assert.deepEqual(packagesFor({ source: 'env-file', path: '/nonexistent' }, {}), ['string-argv']);
  assert.deepEqual(packagesFor({ source: 'auto' }, keys), ['string-argv']);
});

test('and one that does is noticed', () => {
  const settings = { source: 'assume-role', roleArn: 'r', endpoint: 'http://127.0.0.1:1', region: 'x' };
  const base = { source: 'static', accessKeyId: 'a', secretAccessKey: 'b' };
  assert.ok(packagesFor({ ...settings, base }, {}).includes('@aws-sdk/credential-providers'));
});
