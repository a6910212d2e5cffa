import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { isRivuletError } from '../../src/base/errors.ts';
import { effectiveConfigYaml } from '../../src/config/effective.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import type { Config, ReplicaSettings } from '../../src/config/settings.ts';
import { assertEncryption } from '../../src/daemon/encryption.ts';
import { runReplicate } from '../../src/daemon/replicate.ts';
import { openStore } from '../../src/daemon/stores.ts';
import { gather } from '../storage/conformance.ts';
import { type KeyPair, newKeyPair } from '../support/age-keys.ts';
import { LiveDatabase } from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Scratch } from '../support/scratch.ts';

function configOf(scratch: Scratch, age: object | undefined, more: object = {}, path = '/none.db'): Config {
  const replica = { path: scratch.file('replica'), ...(age && { age }), ...more };
  // JSON is YAML.
  return parseConfig(JSON.stringify({ dbs: [{ path, replicas: [replica] }] }), {
    file: 'rivulet.yml',
    environment: {},
  }).config;
}

function replicaOf(config: Config): ReplicaSettings {
  return config.databases[0]?.replicas[0] ?? assert.fail();
}

async function replicateOnce(config: Config): Promise<void> {
  const signals = {
    graceful: new AbortController().signal,
    received: undefined,
    onForce: () => undefined,
    onReload: () => undefined,
  };
  await runReplicate({ config, once: true, logger: new RecordingLogger(), clock: systemClock, signals });
}

describe('an age section', () => {
  let keys: KeyPair;
  let other: KeyPair;

  before(async () => {
    keys = await newKeyPair();
    other = await newKeyPair();
  });

  it('without anybody to encrypt to, or with a key that is none, nothing starts and nothing is stored', async () => {
    using scratch = new Scratch();
    using live = new LiveDatabase();
    const comments = scratch.file('comments.txt');
    writeFileSync(comments, '# nobody yet\n');
    const cases: { age: object; more?: object; code: string; message: RegExp; hint?: string }[] = [
      { age: {}, code: 'CONFIG_INVALID', message: /without recipients/, hint: 'age-keygen' },
      {
        age: { identities: [keys.identity] },
        code: 'CONFIG_INVALID',
        message: /without recipients/,
        hint: keys.recipient,
      },
      {
        age: { 'recipients-file': comments, identities: keys.identity },
        code: 'CONFIG_INVALID',
        message: /without recipients/,
        hint: keys.recipient,
      },
      { age: { recipients: ['# none'] }, code: 'CONFIG_INVALID', message: /without recipients/ },
      { age: { recipients: ['${UNSET:-}'] }, code: 'CONFIG_INVALID', message: /without recipients/ },
      {
        age: { recipients: ['age1x'] },
        code: 'AGE_INVALID',
        message: /^the replica `file` of .*app\.db: age\.recipients, line 1: /,
      },
      {
        age: { recipients: [keys.recipient, keys.recipient.slice(0, -1)] },
        code: 'AGE_INVALID',
        message: /^the replica `file` of .*app\.db: age\.recipients\[1\], line 1: /,
      },
      {
        age: { recipients: [keys.recipient], identities: ['AGE-SECRET-KEY-1SECRET'] },
        code: 'AGE_INVALID',
        message: /^the replica `file` of .*app\.db: age\.identities, line 1: /,
      },
      {
        age: { 'recipients-file': '/no/such/file' },
        code: 'AGE_INVALID',
        message: /the key file \/no\/such\/file cannot be used: ENOENT/,
      },
      {
        age: { recipients: [keys.recipient], 'passphrase-file': '/no/such/file' },
        code: 'AGE_INVALID',
        message: /the key file \/no\/such\/file cannot be used/,
      },
      {
        age: { recipients: [keys.recipient] },
        more: { 'validation-interval': '1h' },
        code: 'CONFIG_INVALID',
        message: /`validation-interval`, and no `age\.identities`/,
      },
    ];
    live.insert(3);
    for (const { age, more, code, message, hint } of cases) {
      const config = configOf(scratch, age, more, live.path);
      for (const start of [assertEncryption, replicateOnce]) {
        await assert.rejects(start(config), (error) => {
          assert.ok(isRivuletError(error), String(error));
          assert.equal(error.code, code, error.message);
          assert.match(error.message, message);
          assert.ok(hint === undefined || error.hint?.includes(hint) === true, error.hint);
          assert.ok(
            !JSON.stringify([error.message, error.hint, error.details]).includes('SECRET'),
            error.message,
          );
          return true;
        });
      }
      assert.ok(!existsSync(scratch.file('replica')), `${JSON.stringify(age)}: something was stored`);
    }
  });

  it('with recipients, from texts and files: what is stored opens with each identity', async () => {
    using scratch = new Scratch();
    using live = new LiveDatabase();
    const file = scratch.file('recipients.txt');
    writeFileSync(file, `# ours\n${other.recipient}\n`);
    live.insert(3);
    await replicateOnce(
      configOf(scratch, { recipients: keys.recipient, 'recipients-file': [file] }, {}, live.path),
    );
    for (const identity of [keys.identity, other.identity]) {
      const store = await openStore(replicaOf(configOf(scratch, { identities: identity })));
      const objects = await gather(store.list('generations/'));
      assert.ok(objects.length >= 3);
      for (const { key } of objects) {
        const stored = readFileSync(scratch.file(`replica/${key}`), 'latin1');
        assert.ok(stored.startsWith('age-encryption.org/v1\n'), key);
        assert.ok((await store.readBytes(key)).length > 0);
      }
      await store.close();
    }
  });

  it('who only looks at names needs no keys', async () => {
    using scratch = new Scratch();
    const replica = replicaOf(configOf(scratch, { 'identities-file': '/no/such/file' }));
    await (await openStore(replica, { namesOnly: true })).close();
    await assert.rejects(openStore(replica), { code: 'AGE_INVALID' });
  });

  it('is shown without secrets', () => {
    using scratch = new Scratch();
    const age = {
      identities: [keys.identity],
      'identities-file': ['/key.txt'],
      recipients: [keys.recipient],
      passphrase: 'hunter2',
    };
    const text = effectiveConfigYaml(configOf(scratch, age));
    assert.ok(!text.includes(keys.identity) && !text.includes('hunter2'), text);
    for (const shown of [keys.recipient, '/key.txt']) assert.ok(text.includes(shown), text);
  });
});
