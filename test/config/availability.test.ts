import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isRivuletError } from '../../src/base/errors.ts';
import { assertBackendAvailable, assertConfigAvailable } from '../../src/config/availability.ts';
import { firstReplica, parse, withReplica } from './support.ts';

test('file replicas can be used', () => {
  assert.doesNotThrow(() => assertConfigAvailable(parse(withReplica('path: /r')).config));
});

test('the other types are refused by name, without secrets', () => {
  for (const url of ['gcs://b/x']) {
    const parsed = parse(withReplica(`url: ${url}`));
    const type = url.split(':')[0] ?? '';
    for (const refuse of [
      (): void => assertBackendAvailable(firstReplica(parsed).destination),
      (): void => assertConfigAvailable(parsed.config),
    ]) {
      assert.throws(refuse, (error) => {
        assert.ok(isRivuletError(error, 'UNSUPPORTED'));
        assert.match(error.message, new RegExp(`type ${type} are not available in this version`));
        assert.ok(!JSON.stringify([error.message, error.details]).includes('hunter2'));
        return true;
      });
    }
  }
});
