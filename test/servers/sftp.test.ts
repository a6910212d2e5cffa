/** The SFTP backend against OpenSSH, in a chroot as people set it up. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { RivuletError, isRivuletError } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { BackendTools, RequestKind } from '../../src/storage/backend.ts';
import { StorageRetrier } from '../../src/storage/retry.ts';
import { mayRetry } from '../../src/storage/storage-error.ts';
import { connectSftp } from '../../src/storage/sftp/connect.ts';
import { DEFAULT_TIMEOUTS, type SftpStoreOptions } from '../../src/storage/sftp/options.ts';
import { SftpObjectStore } from '../../src/storage/sftp/sftp-object-store.ts';
import { conformance, gather } from '../storage/conformance.ts';
import { OpenSshServer, whyNoOpenSsh } from '../support/openssh.ts';
import { RecordingLogger } from '../support/recording-logger.ts';

const skip = whyNoOpenSsh();
const MIB = 1024 * 1024;

function toolsFor(over: Partial<BackendTools> = {}): BackendTools {
  const clock = systemClock;
  const logger = silentLogger;
  return {
    clock,
    logger,
    onRequest: () => undefined,
    retrier: new StorageRetrier({ clock, logger }),
    ...over,
  };
}

function optionsFor(server: OpenSshServer, over: Partial<SftpStoreOptions> = {}): SftpStoreOptions {
  const { host, port, user, path, keyPath } = server;
  return { host, port, user, path, keyPath, ...over, hostKeys: over.hostKeys ?? [server.hostKey()] };
}

function storeAt(server: OpenSshServer, over: Partial<SftpStoreOptions> = {}): SftpObjectStore {
  return new SftpObjectStore(optionsFor(server, over), toolsFor());
}

/** Gives `run` a store, and closes it. */
async function withStore(
  server: OpenSshServer,
  over: Partial<SftpStoreOptions>,
  run: (store: SftpObjectStore) => Promise<void>,
): Promise<void> {
  const store = storeAt(server, over);
  try {
    await run(store);
  } finally {
    await store.close();
  }
}

/** What a first call is rejected with. */
async function refusal(server: OpenSshServer, over: Partial<SftpStoreOptions>): Promise<RivuletError> {
  let failure: unknown;
  await withStore(server, over, async (store) => {
    failure = await gather(store.list('')).then(
      () => undefined,
      (error: unknown) => error,
    );
  });
  assert.ok(failure instanceof RivuletError, `it was let in, or threw ${String(failure)}`);
  return failure;
}

async function letsIn(server: OpenSshServer, over: Partial<SftpStoreOptions>): Promise<void> {
  await withStore(server, over, async (store) => assert.deepEqual(await store.listFolders('nothing/'), []));
}

async function keysOf(store: SftpObjectStore): Promise<string[]> {
  return (await gather(store.list(''))).map((info) => info.key).sort();
}

/** Waits until `holds`. */
async function until(holds: () => boolean, what: string): Promise<void> {
  for (let i = 0; !holds(); i++) {
    assert.ok(i < 500, `not within 5 s: ${what}`);
    await sleep(10);
  }
}

describe('sftp on OpenSSH', { skip }, () => {
  let server: OpenSshServer;
  let count = 0;

  before(async () => {
    server = await OpenSshServer.start({ hostKeys: ['ed25519', 'ecdsa', 'rsa'] });
  });

  after(async () => {
    await server[Symbol.asyncDispose]();
  });

  conformance('sftp', async () => {
    const store = storeAt(server, { path: `/db/${count++}` });
    return {
      store,
      async dispose() {
        await store.close();
      },
    };
  });

  describe('who the server is', () => {
    for (const type of ['ed25519', 'ecdsa', 'rsa'] as const) {
      it(`a pinned ${type} key is the one that is asked for`, async () => {
        await letsIn(server, { hostKeys: [server.hostKey(type)] });
        await letsIn(server, { hostKeys: [server.knownHostsLine(type)] });
      });

      it(`a fingerprint alone is found among the server's keys: ${type}`, async () => {
        await letsIn(server, { hostKeys: [server.fingerprint(type)] });
      });

      it(`a known-hosts file with the ${type} key, also hashed`, async () => {
        const path = server.file(`known-${type}`);
        writeFileSync(
          path,
          `# a comment\n\nother.example ${server.hostKey('rsa')}\n${server.knownHostsLine(type)}`,
        );
        await letsIn(server, { hostKeys: [], knownHostsPath: path });
        execFileSync('ssh-keygen', ['-H', '-f', path], { stdio: 'pipe' });
        assert.ok(readFileSync(path, 'utf8').includes('|1|'));
        await letsIn(server, { hostKeys: [], knownHostsPath: path });
      });
    }

    it('an unknown key is refused, and the message has what to pin', async () => {
      const path = server.file('known-none');
      writeFileSync(path, '');
      const error = await refusal(server, { hostKeys: [], knownHostsPath: path });
      assert.equal(error.code, 'HOST_KEY_UNVERIFIED');
      assert.equal(mayRetry(error), false);
      assert.ok(error.message.includes(server.fingerprint()), error.message);
      assert.ok(error.hint?.includes(`host-key: "${server.hostKey()}"`), error.hint);
      assert.deepEqual(
        [error.details['keyType'], error.details['fingerprint'], error.details['hostKey']],
        ['ssh-ed25519', server.fingerprint(), server.hostKey()],
      );
      // What the message says to paste works.
      await letsIn(server, { hostKeys: [String(error.details['hostKey'])] });
    });

    it('a key that is not the pinned one, or not the known one any more, is refused before anything is sent', async () => {
      await using other = await OpenSshServer.start();
      const pinned = await refusal(other, { hostKeys: [server.hostKey()] });
      assert.match(pinned.message, /IS NOT THE PINNED ONE: expected .* but the server shows/);
      const path = server.file('known-other');
      writeFileSync(path, `[${other.host}]:${other.port} ${server.hostKey()}\n`);
      const known = await refusal(other, { hostKeys: [], knownHostsPath: path });
      assert.match(known.message, /HAS CHANGED/);
      assert.ok(known.message.includes(`${path}:1`), known.message);
      const fingerprint = await refusal(other, { hostKeys: [server.fingerprint()] });
      assert.match(fingerprint.message, /IS NOT THE PINNED ONE/);
      for (const error of [pinned, known, fingerprint]) assert.equal(error.code, 'HOST_KEY_UNVERIFIED');
      assert.doesNotMatch(other.log, /Accepted|Failed password|Connection closed by authenticating/);
    });

    it('a server with another type of key than the known one is a changed server', async () => {
      await using other = await OpenSshServer.start({ hostKeys: ['ecdsa'] });
      const path = server.file('known-type');
      writeFileSync(path, `[${other.host}]:${other.port} ${server.hostKey('rsa')}\n`);
      assert.match((await refusal(other, { hostKeys: [], knownHostsPath: path })).message, /HAS CHANGED/);
    });

    it('a revoked key is refused', async () => {
      const path = server.file('known-revoked');
      writeFileSync(path, `${server.knownHostsLine()}@revoked * ${server.hostKey()}\n`);
      const error = await refusal(server, { hostKeys: [], knownHostsPath: path });
      assert.match(error.message, /IS REVOKED/);
    });

    it('a file of known hosts that is asked for must be there', async () => {
      const error = await refusal(server, { hostKeys: [], knownHostsPath: server.file('no-such-file') });
      assert.equal(error.code, 'HOST_KEY_UNVERIFIED');
    });

    it('is not verified only when that is asked for, with a warning', async () => {
      const logger = new RecordingLogger();
      const store = new SftpObjectStore(
        optionsFor(server, { hostKeys: [], insecure: true }),
        toolsFor({ logger }),
      );
      assert.deepEqual(await store.listFolders('nothing/'), []);
      await store.close();
      assert.match(logger.messages('warn').join(), /host key .* not verified/);
    });
  });

  describe('who we are', () => {
    it('keys of each kind and format', async () => {
      const kinds: [string, string[]][] = [
        ['rsa', ['-t', 'rsa', '-b', '2048']],
        ['rsa-pem', ['-t', 'rsa', '-b', '2048', '-m', 'PEM']],
        ['ecdsa', ['-t', 'ecdsa']],
        ['ecdsa-pem', ['-t', 'ecdsa', '-b', '384', '-m', 'PEM']],
      ];
      for (const [name, args] of kinds) await letsIn(server, { keyPath: server.addKey(name, args) });
      await letsIn(server, { keyPath: undefined, privateKey: readFileSync(server.keyPath, 'utf8') });
    });

    it('a key with a passphrase; without it, or with a wrong one, the message says so', async () => {
      for (const [name, args] of [
        ['locked', ['-t', 'ed25519']],
        ['locked-pem', ['-t', 'rsa', '-b', '2048', '-m', 'PEM']],
      ] as const) {
        const keyPath = server.addKey(name, args, 'open sesame');
        await letsIn(server, { keyPath, passphrase: 'open sesame' });
        await letsIn(server, { keyPath, passphrase: async () => 'open sesame' });
        const missing = await refusal(server, { keyPath });
        const wrong = await refusal(server, { keyPath, passphrase: 'open barley' });
        assert.match(missing.message, /needs a passphrase/);
        assert.match(wrong.message, /passphrase of the key .* is wrong/);
        for (const error of [missing, wrong]) {
          assert.equal(error.code, 'CREDENTIALS_FAILED');
          assert.ok(!JSON.stringify([error.message, error.details, error.hint]).includes('barley'));
        }
      }
    });

    it('a key that cannot be used', async () => {
      const pkcs8 = server.addKey('pkcs8', ['-t', 'rsa', '-b', '2048', '-m', 'PKCS8']);
      const cases: [string, RegExp][] = [
        [server.file('no-such-key'), /no-such-key cannot be read: ENOENT/],
        [pkcs8, /format that is not supported \(-----BEGIN PRIVATE KEY-----\)/],
        [`${server.keyPath}.pub`, /is a public key/],
        ['/etc/hostname', /format that is not supported/],
      ];
      for (const [keyPath, message] of cases) {
        const error = await refusal(server, { keyPath });
        assert.equal(error.code, 'CREDENTIALS_FAILED');
        assert.match(error.message, message);
      }
    });

    it('a key that the server does not know', async () => {
      const keyPath = server.addKey('stranger', ['-t', 'ed25519'], '', false);
      const error = await refusal(server, { keyPath });
      assert.equal(error.code, 'CREDENTIALS_FAILED');
      assert.match(error.message, /tried key .*stranger; the server offers publickey, password/);
      assert.equal(mayRetry(error), false);
    });

    it('a password', async () => {
      await letsIn(server, { keyPath: undefined, password: server.password });
      const error = await refusal(server, { keyPath: undefined, password: 'hunter2' });
      assert.equal(error.code, 'CREDENTIALS_FAILED');
      assert.match(error.message, /tried password; the server offers/);
      assert.ok(!JSON.stringify([error.message, error.details, error.hint, error.stack]).includes('hunter2'));
    });

    it('a password after a key that is refused', async () => {
      const keyPath = server.addKey('stranger-2', ['-t', 'ed25519'], '', false);
      await letsIn(server, { keyPath, password: server.password });
    });

    it('secrets are read again for each connection', async () => {
      let password = 'old';
      const options = { keyPath: undefined, password: async () => password };
      const first = await refusal(server, options);
      assert.equal(first.code, 'CREDENTIALS_FAILED');
      await withStore(server, { ...options, timeouts: { idleMs: 20 } }, async (store) => {
        password = server.password;
        await store.listFolders('');
        await until(() => server.connections === 0, 'idle connection closed');
        password = 'rotated';
        await assert.rejects(store.listFolders(''), { code: 'CREDENTIALS_FAILED' });
        // A server is not asked again at once with what it has just refused.
        password = server.password;
        await assert.rejects(store.listFolders(''), { code: 'CREDENTIALS_FAILED' });
        await sleep(1_100);
        await store.listFolders('');
      });
    });

    it('what OpenSSH signs by SHA-1 only when it is told to: a host key, and a login', async () => {
      const config = ['HostKeyAlgorithms ssh-rsa'];
      await using weakHost = await OpenSshServer.start({ hostKeys: ['ed25519', 'rsa'], config });
      const host = await refusal(weakHost, {});
      assert.match(`${host.message} ${host.hint}`, /no matching host key format.*SHA-1/);
      await using weakLogin = await OpenSshServer.start({ config: ['PubkeyAcceptedAlgorithms ssh-rsa'] });
      const keyPath = weakLogin.addKey('rsa', ['-t', 'rsa', '-b', '2048']);
      const login = await refusal(weakLogin, { keyPath });
      assert.equal(login.code, 'CREDENTIALS_FAILED');
      assert.match(login.message, /tried key/);
    });

    it('an ssh-agent, named or from the environment', async () => {
      const socket = server.file('agent');
      const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
      const before = process.env['SSH_AUTH_SOCK'];
      try {
        await until(() => existsSync(socket), 'the agent listens');
        const empty = await refusal(server, { keyPath: undefined, agentSocket: socket });
        assert.match(empty.message, /tried agent/);
        for (const path of [server.addKey('in-agent', ['-t', 'rsa', '-b', '2048']), server.keyPath]) {
          const env = { ...process.env, SSH_AUTH_SOCK: socket };
          execFileSync('ssh-add', ['-q', '-D'], { env, stdio: 'pipe' });
          execFileSync('ssh-add', ['-q', path], { env, stdio: 'pipe' });
          await letsIn(server, { keyPath: undefined, agentSocket: socket });
        }
        process.env['SSH_AUTH_SOCK'] = socket;
        await letsIn(server, { keyPath: undefined });
        // Whoever sets a key does not want the agent's.
        const keyPath = server.addKey('stranger-3', ['-t', 'ed25519'], '', false);
        assert.doesNotMatch((await refusal(server, { keyPath })).message, /agent/);
      } finally {
        if (before === undefined) delete process.env['SSH_AUTH_SOCK'];
        else process.env['SSH_AUTH_SOCK'] = before;
        await endOf(agent);
      }
    });

    it('an agent that is not there, and nothing at all', async () => {
      const missing = await refusal(server, { keyPath: undefined, agentSocket: server.file('no-agent') });
      assert.equal(missing.code, 'CREDENTIALS_FAILED');
      assert.match(missing.message, /tried agent .*no-agent \(Failed to connect to agent\)/);
      const before = process.env['SSH_AUTH_SOCK'];
      delete process.env['SSH_AUTH_SOCK'];
      try {
        const nothing = await refusal(server, { keyPath: undefined });
        assert.equal(nothing.code, 'CREDENTIALS_FAILED');
        assert.match(nothing.message, /neither a key nor a password nor an ssh-agent/);
      } finally {
        if (before !== undefined) process.env['SSH_AUTH_SOCK'] = before;
      }
    });
  });

  describe('what the server allows', () => {
    it('a folder that may not be written to', async () => {
      await withStore(server, { path: '/elsewhere' }, async (store) => {
        assert.deepEqual(await keysOf(store), []);
        await assert.rejects(store.write('a', Buffer.from('x')), (error) => {
          assert.ok(isRivuletError(error, 'STORAGE_DENIED'));
          assert.match(error.message, /cannot write \/elsewhere\/a at sftp:.*permission denied/);
          return !mayRetry(error);
        });
      });
    });

    it('a path relative to the login', async () => {
      await withStore(server, { path: 'db/relative' }, async (store) => {
        assert.match(store.location, /\/~\/db\/relative$/);
        await store.write('a/b', Buffer.from('x'));
        assert.deepEqual(await keysOf(store), ['a/b']);
        assert.ok(existsSync(join(server.directory, 'relative/a/b')));
        await store.remove(['a/b']);
        assert.deepEqual(readdirSync(join(server.directory, 'relative')), []);
      });
    });

    it('what cannot be listed is a failure, not an empty replica', async () => {
      writeFileSync(join(server.directory, 'a-file'), 'x');
      symlinkSync('/nowhere', join(server.directory, 'unmounted'));
      for (const path of ['/db/a-file', '/db/a-file/below', '/db/unmounted', '/db/unmounted/below']) {
        const error = await refusal(server, { path });
        assert.equal(error.code, 'STORAGE_FAILED');
        assert.match(error.message, /no folder, or a link on it leads nowhere/);
      }
    });

    it('links to files count as files, links to folders as nothing', async () => {
      await withStore(server, { path: '/db/links' }, async (store) => {
        await store.write('a/real', Buffer.from('12345'));
        symlinkSync('real', join(server.directory, 'links/a/linked'));
        symlinkSync('..', join(server.directory, 'links/a/loop'));
        symlinkSync('nothing', join(server.directory, 'links/a/dangling'));
        assert.deepEqual(
          (await gather(store.list(''))).map(({ key, sizeBytes }) => `${key} ${sizeBytes}`).sort(),
          ['a/linked 5', 'a/real 5'],
        );
      });
    });

    it('a name that is taken by a folder', async () => {
      await withStore(server, { path: '/db/taken' }, async (store) => {
        await store.write('a/b', Buffer.from('x'));
        await assert.rejects(store.write('a', Buffer.from('x')), { code: 'STORAGE_FAILED' });
        await assert.rejects(store.write('a', Buffer.from('x'), { onlyIf: 'absent' }), {
          code: 'STORAGE_EXISTS',
        });
        assert.deepEqual(readdirSync(join(server.directory, 'taken')), ['a']);
      });
    });

    it('what OpenSSH answers to a name that is taken, on which the creation of objects rests', async () => {
      const connection = await connectSftp(
        optionsFor(server),
        DEFAULT_TIMEOUTS,
        systemClock,
        new AbortController().signal,
      );
      try {
        for (const name of ['one', 'two']) {
          const handle = await connection.open(`/db/${name}`, 'wx');
          await connection.write(handle, Buffer.from(name), 0);
          await connection.closeHandle(handle);
        }
        await assert.rejects(connection.link('/db/one', '/db/two'), { status: 'FAILURE' });
        await assert.rejects(connection.rename('/db/one', '/db/two'), { status: 'FAILURE' });
        await assert.rejects(connection.open('/db/two', 'wx'), { status: 'FAILURE' });
        assert.equal(readFileSync(join(server.directory, 'two'), 'utf8'), 'two');
        await connection.renameOver('/db/one', '/db/two');
        assert.equal(readFileSync(join(server.directory, 'two'), 'utf8'), 'one');
      } finally {
        connection.close();
      }
    });

    it('tells its requests by kind', async () => {
      const kinds: RequestKind[] = [];
      const store = new SftpObjectStore(
        optionsFor(server, { path: '/db/kinds' }),
        toolsFor({ onRequest: (kind) => kinds.push(kind) }),
      );
      await store.write('a/b', Buffer.from('x'));
      await store.readBytes('a/b');
      await gather(store.list(''));
      await store.remove(['a/b']);
      await store.close();
      assert.deepEqual(kinds, ['PUT', 'GET', 'LIST', 'LIST', 'DELETE']);
    });
  });

  describe('temporary files', () => {
    it('are never listed, and removed when they are old', async () => {
      await withStore(server, { path: '/db/temporary' }, async (store) => {
        await store.write('a/object', Buffer.from('x'));
        const folder = join(server.directory, 'temporary/a');
        const old = 'object.tmp-0123456789abcdef';
        const young = 'object.tmp-fedcba9876543210';
        const foreign = 'object.tmp';
        for (const name of [old, young, foreign]) writeFileSync(join(folder, name), 'half');
        const hourAgo = new Date(Date.now() - 3_600_000);
        for (const name of [old, foreign]) utimesSync(join(folder, name), hourAgo, hourAgo);
        assert.deepEqual(await keysOf(store), ['a/object']);
        assert.equal(await store.removeStaleTemporaries(60_000, () => true), 1);
        assert.deepEqual(readdirSync(folder).sort(), ['object', 'object.tmp', 'object.tmp-fedcba9876543210']);
      });
    });

    it('are what others see of an object that is being written', async () => {
      await withStore(server, { path: '/db/half' }, async (store) => {
        const seen: string[][] = [];
        const folder = join(server.directory, 'half');
        async function* body(): AsyncGenerator<Uint8Array> {
          for (let i = 0; i < 4; i++) {
            yield randomBytes(100_000);
            await sleep(20);
            seen.push(existsSync(folder) ? readdirSync(folder) : []);
          }
        }
        await store.write('object', body());
        assert.ok(seen.flat().length > 0);
        for (const name of seen.flat()) assert.match(name, /^object\.tmp-[0-9a-f]{16}$/);
        assert.deepEqual(readdirSync(folder), ['object']);
      });
    });
  });

  describe('much at once', () => {
    it('goes over one connection, which is closed after a while of silence', async () => {
      await until(() => server.connections === 0, 'no connection of others');
      await withStore(server, { path: '/db/many', timeouts: { idleMs: 300 } }, async (store) => {
        let most = 0;
        const work = Array.from({ length: 200 }, async (_, i) => {
          await store.write(`${i % 7}/${i}`, Buffer.alloc(i * 100, i));
          most = Math.max(most, server.connections);
          assert.ok(Buffer.from(await store.readBytes(`${i % 7}/${i}`)).equals(Buffer.alloc(i * 100, i)));
        });
        await Promise.all(work);
        assert.equal(most, 1);
        assert.equal((await keysOf(store)).length, 200);
        await until(() => server.connections === 0, 'idle connection closed');
        assert.equal((await keysOf(store)).length, 200);
        assert.equal(server.connections, 1);
      });
      await until(() => server.connections === 0, 'closed with its store');
    });

    it('does not keep a stream from others, and is not kept by a reader that stops', async () => {
      await withStore(server, { path: '/db/streams' }, async (store) => {
        const large = randomBytes(8 * MIB);
        await store.write('large', large);
        const readers = Array.from({ length: 12 }, () => store.read('large')[Symbol.asyncIterator]());
        for (const reader of readers) assert.equal((await reader.next()).done, false);
        // All of them hold what was fetched ahead, and nobody takes it.
        await store.write('small', Buffer.from('x'));
        assert.equal((await store.readBytes('small')).length, 1);
        for (const reader of readers) await reader.return?.(undefined);
      });
    });

    it('200 MiB stream through memory that does not grow with them, both ways', async () => {
      await withStore(server, { path: '/db/big' }, async (store) => {
        const piece = randomBytes(256 * 1024);
        const pieces = 800;
        const before = process.memoryUsage.rss();
        let peak = before;
        async function* body(): AsyncGenerator<Uint8Array> {
          for (let i = 0; i < pieces; i++) {
            peak = Math.max(peak, process.memoryUsage.rss());
            yield piece;
          }
        }
        assert.equal((await store.write('big', body())).sizeBytes, 200 * MIB);
        const twice = Buffer.concat([piece, piece]);
        let at = 0;
        for await (const chunk of store.read('big')) {
          peak = Math.max(peak, process.memoryUsage.rss());
          const from = at % piece.length;
          assert.ok(Buffer.compare(chunk, twice.subarray(from, from + chunk.length)) === 0);
          at += chunk.length;
        }
        assert.equal(at, 200 * MIB);
        // Mostly buffers that were used and wait for the garbage collector.
        const grownMib = Math.round((peak - before) / MIB);
        assert.ok(grownMib < 140, `${grownMib} MiB more than before`);
        await store.remove(['big']);
      });
    });

    it('takes no more of a body than fits into its window while the server does not answer', async () => {
      await withStore(server, { path: '/db/frozen', timeouts: { requestMs: 1_000 } }, async (store) => {
        await store.listFolders('');
        let handedOut = 0;
        async function* body(): AsyncGenerator<Uint8Array> {
          server.freezeConnections();
          for (let i = 0; i < 400; i++) {
            handedOut += 128 * 1024;
            yield Buffer.alloc(128 * 1024);
          }
        }
        const failure = store.write('object', body());
        await assert.rejects(
          failure,
          (error) => mayRetry(error) && /did not answer for 1 s/.test(String(error)),
        );
        server.thawConnections();
        assert.ok(handedOut <= 3 * MIB, `${handedOut}`);
      });
    });
  });
});

describe('sftp on OpenSSH, when things break', { skip }, () => {
  it('a connection that dies in the middle of a body, either way, is made again by the next call', async () => {
    await using server = await OpenSshServer.start();
    await withStore(server, {}, async (store) => {
      const bytes = randomBytes(6 * MIB);
      await store.write('kept', bytes);
      const retryable = (error: unknown): boolean =>
        isRivuletError(error, 'STORAGE_FAILED') && mayRetry(error);
      async function* body(): AsyncGenerator<Uint8Array> {
        yield bytes;
        server.killConnections();
        yield bytes;
      }
      await assert.rejects(store.write('kept', body()), retryable);
      assert.deepEqual(await keysOf(store), ['kept']);
      // The half object has stayed, and goes with the next write.
      assert.equal(readdirSync(server.directory).length, 2);
      assert.ok(Buffer.from(await store.readBytes('kept')).equals(bytes));
      await store.write('next', Buffer.from('x'));
      await until(() => readdirSync(server.directory).length === 2, 'the half object is gone');
      assert.deepEqual(readdirSync(server.directory).sort(), ['kept', 'next']);

      const parts: Uint8Array[] = [];
      await assert.rejects(async () => {
        for await (const chunk of store.read('kept')) {
          if (parts.push(chunk) === 2) server.killConnections();
        }
      }, retryable);
      // What came before was right.
      const got = Buffer.concat(parts);
      assert.ok(got.length < bytes.length && got.equals(bytes.subarray(0, got.length)));
      const rest = Buffer.concat(await gather(store.read('kept', { offsetBytes: got.length })));
      assert.ok(Buffer.concat([got, rest]).equals(bytes));
    });
  });

  it('a server that is killed and started again', async () => {
    await using server = await OpenSshServer.start();
    await withStore(server, {}, async (store) => {
      await store.write('before', Buffer.from('x'));
      await server.stop();
      const errors = await Promise.all(
        Array.from({ length: 10 }, async () =>
          store.write('meanwhile', Buffer.from('x')).catch((error: unknown) => error),
        ),
      );
      for (const error of errors) {
        assert.ok(isRivuletError(error, 'STORAGE_FAILED') && mayRetry(error), String(error));
      }
      const refused = await store.write('meanwhile', Buffer.from('x')).catch((error: unknown) => error);
      assert.match(String(refused), /ECONNREFUSED/);
      await server.start();
      await store.write('after', Buffer.from('x'));
      assert.deepEqual(await keysOf(store), ['after', 'before']);
    });
  });

  it('a server that changes its host key meanwhile gets nothing', async () => {
    await using server = await OpenSshServer.start();
    const path = server.file('known');
    writeFileSync(path, server.knownHostsLine());
    await withStore(server, { hostKeys: [], knownHostsPath: path }, async (store) => {
      await store.write('before', Buffer.from('x'));
      server.changeHostKey();
      await server.stop();
      await server.start();
      await store.write('after', Buffer.from('x')).catch(() => undefined);
      await assert.rejects(store.write('after', Buffer.from('x')), { code: 'HOST_KEY_UNVERIFIED' });
      assert.deepEqual(readdirSync(server.directory), ['before']);
    });
  });

  it('a server that stays silent: requests end, and so does an idle connection, within the time that was said', async () => {
    await using server = await OpenSshServer.start();
    const timeouts = { requestMs: 2_000, keepAliveMs: 500, connectMs: 30_000 };
    await withStore(server, { timeouts }, async (store) => {
      await store.write('object', randomBytes(MIB));
      for (const call of [
        async () => store.readBytes('object'),
        async () => keysOf(store),
        async () => store.write('other', Buffer.from('x')),
        async () => store.remove(['object']),
      ]) {
        await store.listFolders('');
        server.freezeConnections();
        const startMs = performance.now();
        await assert.rejects(call(), (error) => isRivuletError(error, 'STORAGE_FAILED') && mayRetry(error));
        const tookMs = performance.now() - startMs;
        assert.ok(tookMs > 300 && tookMs < 30_000, `${tookMs}`);
        server.killConnections();
      }
      assert.deepEqual(await keysOf(store), ['object']);
    });
    // Keep-alive: nobody calls, and the connection is found dead all the same.
    const patient = { requestMs: 60_000, keepAliveMs: 200, connectMs: 30_000 };
    await withStore(server, { timeouts: patient }, async (store) => {
      assert.deepEqual(await keysOf(store), ['object']);
      server.freezeConnections();
      await sleep(15 * patient.keepAliveMs);
      const startMs = performance.now();
      assert.deepEqual(await keysOf(store), ['object']);
      assert.ok(performance.now() - startMs < patient.requestMs / 2, 'it did not try the dead connection');
      server.killConnections();
    });
  });

  it('a call can be cancelled while the server is silent', async () => {
    await using server = await OpenSshServer.start();
    await withStore(server, {}, async (store) => {
      await store.write('object', randomBytes(MIB));
      for (const call of [
        async (signal: AbortSignal) => store.readBytes('object', { signal }),
        async (signal: AbortSignal) => gather(store.read('object', { signal })),
        async (signal: AbortSignal) => gather(store.list('', { signal })),
        async (signal: AbortSignal) => store.listFolders('', { signal }),
        async (signal: AbortSignal) => store.write('other', Buffer.alloc(5 * MIB), { signal }),
        async (signal: AbortSignal) => store.remove(['object'], { signal }),
      ]) {
        await store.listFolders('');
        server.freezeConnections();
        const reason = new Error('enough');
        const controller = new AbortController();
        setTimeout(() => controller.abort(reason), 50);
        const startMs = performance.now();
        await assert.rejects(call(controller.signal), (error) => error === reason);
        assert.ok(performance.now() - startMs < 1_500);
        server.killConnections();
        await sleep(50);
      }
    });
  });

  it('a disk that is full, and has room again', async () => {
    await using server = await OpenSshServer.start({ diskBytes: 4 * MIB });
    await withStore(server, {}, async (store) => {
      await store.write('first', randomBytes(2 * MIB));
      const isFull = (error: unknown): boolean =>
        isRivuletError(error, 'STORAGE_FAILED') && /the disk of the server is full/.test(error.message);
      await assert.rejects(store.write('second', randomBytes(3 * MIB)), isFull);
      async function* body(): AsyncGenerator<Uint8Array> {
        for (let i = 0; i < 30; i++) yield randomBytes(100_000);
      }
      await assert.rejects(store.write('first', body()), isFull);
      assert.deepEqual(readdirSync(server.directory), ['first']);
      assert.equal((await store.readBytes('first')).length, 2 * MIB);
      await store.remove(['first']);
      await store.write('second', randomBytes(3 * MIB));
      assert.deepEqual(await keysOf(store), ['second']);
    });
  });

  it('a server that wants new session keys every moment', async () => {
    await using server = await OpenSshServer.start({ config: ['RekeyLimit 1M'] });
    await withStore(server, {}, async (store) => {
      const bytes = randomBytes(12 * MIB);
      const all = Array.from({ length: 3 }, async (_, i) => {
        await store.write(`${i}`, bytes);
        assert.ok(Buffer.concat(await gather(store.read(`${i}`))).equals(bytes));
      });
      await Promise.all(all);
      assert.equal(server.connections, 1);
    });
  });

  it('a chroot that sshd does not accept', async () => {
    await using server = await OpenSshServer.start();
    execFileSync('chmod', ['777', server.chroot]);
    const error = await refusal(server, {});
    assert.equal(error.code, 'STORAGE_FAILED');
    assert.match(error.message, /no SFTP session at/);
    assert.match(error.hint ?? '', /must belong to root/);
  });

  it('names that do not exist, ports where nothing or something else listens', async () => {
    await using server = await OpenSshServer.start();
    const unknown = await refusal(server, { host: 'no-such-host.invalid' });
    assert.match(unknown.message, /ENOTFOUND|EAI_AGAIN/);
    const { createServer } = await import('node:net');
    const mute = createServer(() => undefined).listen(0, '127.0.0.1');
    const http = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(
      0,
      '127.0.0.1',
    );
    try {
      await Promise.all([once(mute, 'listening'), once(http, 'listening')]);
      const silent = await refusal(server, { port: portOf(mute), timeouts: { connectMs: 200 } });
      assert.match(silent.message, /cannot agree with .* no answer for 0.2 s/);
      const other = await refusal(server, { port: portOf(http) });
      assert.match(other.message, /cannot agree with/);
      for (const error of [unknown, silent]) assert.ok(mayRetry(error));
    } finally {
      mute.close();
      http.close();
    }
  });
});

function portOf(server: { address(): unknown }): number {
  return (server.address() as { port: number }).port;
}

async function endOf(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill();
  await ended;
}
