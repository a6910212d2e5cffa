/** `rivulet check`: every step against stores that misbehave in one way each. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { RivuletError } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/log.ts';
import { check } from '../../src/daemon/check/check.ts';
import { checkCredentials } from '../../src/daemon/check/check-credentials.ts';
import { checkDatabase } from '../../src/daemon/check/check-database.ts';
import { checkDestination, skewOutcome } from '../../src/daemon/check/check-destination.ts';
import type { Finding, Verdict } from '../../src/daemon/check/finding.ts';
import { iamPolicy } from '../../src/daemon/check/iam-policy.ts';
import type { ReloadableKeys } from '../../src/daemon/network-backends.ts';
import type { AwsKeys } from '../../src/storage/aws-keys.ts';
import type { NetworkDestination } from '../../src/config/settings.ts';
import { configFromCommandLine } from '../../src/config/from-command-line.ts';
import type { ObjectInfo, ObjectStore, WriteOptions, WrittenObject } from '../../src/storage/object-store.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';
import { addNewerSyntax } from '../support/strange-schema.ts';

/** A store whose clock is this machine's. */
class PresentStore extends MemoryStore {
  override async write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: WriteOptions = {},
  ): Promise<WrittenObject> {
    this.nowMs = Date.now();
    return super.write(key, body, options);
  }
}

async function findingsOf(store: ObjectStore, readable = true): Promise<Finding[]> {
  const signal = new AbortController().signal;
  const all: Finding[] = [];
  const check = { store, subject: 'it', clock: systemClock, readable, signal };
  for await (const finding of checkDestination(check)) all.push(finding);
  return all;
}

function verdicts(findings: readonly Finding[]): Record<string, Verdict> {
  return Object.fromEntries(findings.map(({ step, verdict }) => [step, verdict]));
}

const ALL_WELL = {
  list: 'ok',
  'missing object': 'ok',
  write: 'ok',
  read: 'ok',
  'conditional write': 'ok',
  clock: 'ok',
  delete: 'ok',
};

describe('check of a destination', () => {
  it('passes a store that does everything, and leaves nothing behind', async () => {
    const store = new PresentStore();
    store.put('generations/0123456789abcdef/snapshots/00000000.snapshot.lz4', Buffer.from('x'));
    const before = store.keys();
    const findings = await findingsOf(store);
    assert.deepEqual(verdicts(findings), ALL_WELL);
    assert.match(findings[0]?.detail ?? '', /^1 generation there$/);
    assert.deepEqual(store.keys(), before);
  });

  it('names what is there instead of a replica, unless it is a lease', async () => {
    const store = new PresentStore();
    store.put('rivulet-lease.json', Buffer.from('x'));
    assert.deepEqual(verdicts(await findingsOf(store)), ALL_WELL);
    store.put('0000/0000000000000001-0000000000000001.ltx', Buffer.from('x'));
    const findings = await findingsOf(store);
    assert.deepEqual(verdicts(findings), { ...ALL_WELL, list: 'warning' });
    assert.match(findings[0]?.detail ?? '', /a replica of Litestream v0\.5/);
  });

  it('goes on after a listing that is refused', async () => {
    const store = new FaultyStore(new PresentStore());
    store.fault = ({ kind }) => (kind === 'listFolders' ? 'fail' : undefined);
    const findings = await findingsOf(store);
    assert.deepEqual(verdicts(findings), { ...ALL_WELL, list: 'failed' });
    assert.equal(findings[0]?.code, 'STORAGE_FAILED');
  });

  it('skips what needs an object when none could be written', async () => {
    const store = new FaultyStore(new PresentStore());
    store.fault = ({ kind }) => (kind === 'write' ? 'fail' : undefined);
    const skipped = { read: 'skipped', 'conditional write': 'skipped', clock: 'skipped', delete: 'skipped' };
    assert.deepEqual(verdicts(await findingsOf(store)), { ...ALL_WELL, write: 'failed', ...skipped });
  });

  it('notices content that comes back changed', async () => {
    class Changing extends PresentStore {
      override async readBytes(key: string): Promise<Uint8Array> {
        const bytes = await super.readBytes(key);
        bytes[7] = (bytes[7] ?? 0) ^ 1;
        return bytes;
      }
    }
    assert.deepEqual(verdicts(await findingsOf(new Changing())), { ...ALL_WELL, read: 'failed' });
  });

  it('warns when conditional writes are ignored or unknown', async () => {
    class Ignoring extends PresentStore {
      override async write(
        key: string,
        body: Uint8Array | AsyncIterable<Uint8Array>,
      ): Promise<WrittenObject> {
        return super.write(key, body);
      }
    }
    assert.equal(verdicts(await findingsOf(new Ignoring()))['conditional write'], 'warning');
  });

  it('takes a refusal that looks like the work of an earlier attempt for a refusal', async () => {
    class LosingAnswers extends PresentStore {
      override async write(
        key: string,
        body: Uint8Array | AsyncIterable<Uint8Array>,
        options: WriteOptions = {},
      ): Promise<WrittenObject> {
        const written = await super.write(key, body);
        return options.onlyIf === undefined ? written : { ...written, foundWritten: true };
      }
    }
    assert.deepEqual(verdicts(await findingsOf(new LosingAnswers())), ALL_WELL);
  });

  it('notices listings that lag behind', async () => {
    class Lagging extends PresentStore {
      override async *list(prefix: string): AsyncGenerator<ObjectInfo> {
        for await (const info of super.list(prefix)) if (!info.key.includes('rivulet-check')) yield info;
      }
    }
    assert.deepEqual(verdicts(await findingsOf(new Lagging())), { ...ALL_WELL, clock: 'failed' });
  });

  it('notices a delete that does nothing, and says which object is left', async () => {
    class Keeping extends PresentStore {
      override async remove(): Promise<void> {}
    }
    const last = (await findingsOf(new Keeping())).at(-1);
    assert.equal(last?.verdict, 'failed');
    assert.match(last?.detail ?? '', /still there: rivulet-check-[0-9a-f]{16}\/(probe|rivulet-lease\.json)$/);
  });

  it('does not ask for what recipients alone cannot read', async () => {
    assert.equal(verdicts(await findingsOf(new PresentStore(), false))['read'], 'skipped');
  });

  it('judges clocks by what a listing can show', () => {
    assert.equal(skewOutcome(1_000_000, 1_000_400, 1_000_600).verdict, 'ok');
    assert.equal(skewOutcome(1_002_000, 1_000_400, 1_000_600).verdict, 'ok');
    const ahead = skewOutcome(1_060_000, 1_000_000, 1_000_100);
    assert.equal(ahead.verdict, 'warning');
    assert.match(ahead.detail, /59s ahead of/);
    const behind = skewOutcome(0, 3_600_000, 3_600_100);
    assert.equal(behind.verdict, 'failed');
    assert.match(behind.detail, /behind/);
  });
});

describe('check of a replica', () => {
  it('ends where nobody is let in: each other step would say the same', async () => {
    for (const code of ['CREDENTIALS_FAILED', 'HOST_KEY_UNVERIFIED'] as const) {
      const store = new FaultyStore(new PresentStore());
      store.fault = () => {
        throw new RivuletError(code, 'refused');
      };
      const replicas = configFromCommandLine('none', ['abs://a@c/x'], { environment: {} }).databases[0]!
        .replicas;
      const signal = new AbortController().signal;
      const openStore = async (): Promise<ObjectStore> => store;
      const steps: string[] = [];
      const options = {
        databases: [],
        replicas,
        openStore,
        clock: systemClock,
        logger: silentLogger,
        signal,
      };
      for await (const { step, verdict } of check(options)) steps.push(`${step} ${verdict}`);
      assert.deepEqual(steps, ['credentials ok', 'list failed']);
    }
  });
});

describe('check of credentials', () => {
  const nowMs = Date.parse('2030-01-01T00:00:00Z');
  const clock = { ...systemClock, now: () => nowMs, monotonicMs: () => 0 };
  const { signal } = new AbortController();
  const destinationAt = (url: string, environment: NodeJS.ProcessEnv = {}): NetworkDestination => {
    const [database] = configFromCommandLine('none', [url], { environment }).databases;
    const destination = database?.replicas[0]?.destination;
    assert.ok(destination !== undefined && destination.type !== 'file');
    return destination;
  };
  const detailOf = async (
    url: string,
    environment?: NodeJS.ProcessEnv,
    given?: Partial<AwsKeys>,
  ): Promise<string> => {
    const keys: ReloadableKeys | undefined = given && {
      status: {
        source: 'the environment',
        expiresAtMs: undefined,
        fetchedAtMs: undefined,
        lastError: undefined,
      },
      current: async () => ({ accessKeyId: 'AKIA', secretAccessKey: 'hunter2', ...given }),
      reload: async () => undefined,
      close: async () => undefined,
    };
    const destination = destinationAt(url, environment);
    const { verdict, detail } = await checkCredentials({ destination, keys, clock, signal });
    assert.equal(verdict, 'ok');
    assert.doesNotMatch(detail, /hunter2/);
    return detail;
  };

  it('says where they come from and how long they live, and no secret', async () => {
    const s3 = 's3://b/x';
    assert.equal(await detailOf(s3, {}, {}), 'from the environment; without an end');
    const temporary = 'from the environment; temporary, and nobody says until when';
    assert.equal(await detailOf(s3, {}, { sessionToken: 'hunter2' }), temporary);
    const rotating = { sessionToken: 'hunter2', expiresAtMs: nowMs + 299_600 };
    assert.equal(await detailOf(s3, {}, rotating), 'from the environment; good for another 5m');
    const sas = { LITESTREAM_AZURE_SAS_TOKEN: '?sv=1&se=2030-01-01T01%3A00%3A00Z&sig=hunter2' };
    assert.equal(await detailOf('abs://a@c/x', sas), 'from a shared access signature; good for another 1h');
    const over = { LITESTREAM_AZURE_SAS_TOKEN: 'se=2029-01-01&sig=hunter2' };
    assert.equal(await detailOf('abs://a@c/x', over), 'from a shared access signature; expired');
    const key = { LITESTREAM_AZURE_ACCOUNT_KEY: 'aHVudGVyMg==' };
    assert.equal(await detailOf('abs://a@c/x', key), 'from the account key');
    assert.equal(await detailOf('abs://a@c/x'), 'from the default identity of this machine');
    assert.equal(await detailOf('gcs://b/x'), 'from the application default credentials');
    assert.equal(await detailOf('sftp://u:hunter2@h/x'), 'from a password');
    const keyFile = import.meta.filename;
    assert.equal(await detailOf(`sftp://u@h/x?key-path=${keyFile}`), `from the key ${keyFile}`);
    assert.equal(await detailOf('sftp://u@h/x'), 'from an ssh-agent');
  });

  it('a file that is not there is no credentials', async () => {
    for (const url of [
      'sftp://u@h/x?key-path=/no/key',
      'sftp://u@h/x?agent=/no/key',
      'gcs://b/x?credentials-file=/no/key',
    ]) {
      await assert.rejects(detailOf(url), {
        code: 'CREDENTIALS_FAILED',
        message: "/no/key cannot be read: ENOENT: no such file or directory, access '/no/key'",
      });
    }
  });

  it('a source that never answers is named, not the destination', async (t) => {
    t.mock.method(AbortSignal, 'timeout', () => AbortSignal.abort());
    const [database] = configFromCommandLine('none', ['s3://b/x'], { environment: {} }).databases;
    const destination = database!.replicas[0]!.destination as NetworkDestination;
    const keys = {
      status: { source: 'the credential process slow' },
      current: async (signal: AbortSignal) => Promise.reject(signal.reason as Error),
    } as unknown as ReloadableKeys;
    const check = { destination, keys, clock: systemClock, signal: new AbortController().signal };
    await assert.rejects(checkCredentials(check), {
      code: 'CREDENTIALS_FAILED',
      message: 'no credentials from the credential process slow: no answer within 10s',
    });
  });
});

describe('check of a database', () => {
  const check = (path: string): Record<string, Verdict> => {
    const [settings] = configFromCommandLine(path, ['file:///nowhere']).databases;
    assert.ok(settings !== undefined);
    return verdicts([...checkDatabase(settings)]);
  };

  it('tells a database, one in rollback mode, none yet, and something else apart', () => {
    using dir = new Scratch();
    const path = join(dir.path, 'app.db');
    assert.equal(check(path)['file'], 'warning');
    const database = new DatabaseSync(path);
    database.exec('CREATE TABLE t(x)');
    assert.deepEqual(check(path), { file: 'ok', permissions: 'ok', 'local state': 'ok', sqlite: 'warning' });
    database.exec('PRAGMA journal_mode=wal');
    assert.equal(check(path)['sqlite'], 'ok');
    database.close();
    addNewerSyntax(path);
    assert.deepEqual([check(path)['sqlite'], check(path)['schema']], ['ok', 'warning']);
    writeFileSync(path, 'this is no database, but long enough to be looked at'.repeat(10));
    assert.equal(check(path)['file'], 'failed');
    mkdirSync(join(dir.path, 'folder'));
    assert.equal(check(join(dir.path, 'folder'))['file'], 'failed');
  });
});

describe('IAM policy', () => {
  it('allows the prefix and no more', () => {
    const policy = iamPolicy({ bucket: 'b', path: 'db/one' });
    assert.deepEqual(policy.Statement.map(({ Action }) => Action).flat(), [
      's3:ListBucket',
      's3:GetObject',
      's3:PutObject',
      's3:DeleteObject',
      's3:AbortMultipartUpload',
    ]);
    assert.deepEqual(
      policy.Statement.map(({ Resource }) => Resource),
      ['arn:aws:s3:::b', 'arn:aws:s3:::b/db/one/*'],
    );
    assert.deepEqual(policy.Statement[0]?.Condition, { StringLike: { 's3:prefix': ['db/one/*'] } });
  });

  it('adds the key of encryption when one is used', () => {
    const [, , useKey] = iamPolicy({ bucket: 'b', path: '', sseKmsKeyId: 'arn:aws:kms:x' }).Statement;
    assert.deepEqual(useKey?.Action, ['kms:GenerateDataKey', 'kms:Decrypt']);
    assert.equal(useKey?.Resource, 'arn:aws:kms:x');
  });
});
