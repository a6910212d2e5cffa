/** What OpenSSH cannot show: a server that knows version 3 of the protocol only, or behaves oddly. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { systemClock } from '../../../src/base/clock.ts';
import { isRivuletError } from '../../../src/base/errors.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { StorageRetrier } from '../../../src/storage/retry.ts';
import type { SftpStoreOptions } from '../../../src/storage/sftp/options.ts';
import { SftpObjectStore } from '../../../src/storage/sftp/sftp-object-store.ts';
import { mayRetry } from '../../../src/storage/storage-error.ts';
import { type BareServerBehaviour, BareSftpServer } from '../../support/bare-sftp-server.ts';
import { gather } from '../conformance.ts';

async function withServer(
  behaviour: Partial<BareServerBehaviour>,
  run: (store: SftpObjectStore, server: BareSftpServer) => Promise<void>,
  over: Partial<SftpStoreOptions> = {},
): Promise<void> {
  await using server = await BareSftpServer.start(behaviour);
  const { host, port, user, password } = server;
  const clock = systemClock;
  const logger = silentLogger;
  const store = new SftpObjectStore(
    { host, port, user, password, path: '/replica', hostKeys: [server.hostKey], ...over },
    { clock, logger, onRequest: () => undefined, retrier: new StorageRetrier({ clock, logger }) },
  );
  try {
    await run(store, server);
  } finally {
    await store.close();
  }
}

const isRetryable = (error: unknown): boolean => isRivuletError(error, 'STORAGE_FAILED') && mayRetry(error);

describe('sftp without extensions', () => {
  it('writes, replaces, reads, lists and removes', async () => {
    await withServer({}, async (store, server) => {
      const bytes = randomBytes(300_000);
      await store.write('a/b/object', Buffer.from('old'));
      await store.write('a/b/object', bytes);
      assert.ok(Buffer.from(await store.readBytes('a/b/object')).equals(bytes));
      const keys = Array.from({ length: 230 }, (_, i) => `many/${i}`);
      await Promise.all(keys.map(async (key) => store.write(key, Buffer.from(key))));
      const listed = (await gather(store.list(''))).map((info) => info.key);
      assert.deepEqual(listed.toSorted(), ['a/b/object', ...keys].toSorted());
      await store.remove(listed);
      assert.deepEqual(readdirSync(server.directory), ['replica']);
      assert.deepEqual(readdirSync(join(server.directory, 'replica')), []);
      assert.equal(server.connectionsMade, 1);
    });
  });

  for (const rename of ['refuses', 'replaces'] as const) {
    it(`creates, and refuses what exists, where rename ${rename}`, async () => {
      await withServer({ rename }, async (store, server) => {
        await store.write('object', Buffer.from('first'), { onlyIf: 'absent' });
        const second = store.write('object', Buffer.from('second'), { onlyIf: 'absent' });
        await assert.rejects(second, { code: 'STORAGE_EXISTS' });
        assert.equal(Buffer.from(await store.readBytes('object')).toString(), 'first');
        await store.write('object', Buffer.from('third'));
        assert.equal(Buffer.from(await store.readBytes('object')).toString(), 'third');
        assert.deepEqual(readdirSync(join(server.directory, 'replica')), ['object']);
      });
    });
  }

  it('goes on reading where an answer was shorter than asked for', async () => {
    await withServer({ readBytesMax: 7_001 }, async (store) => {
      const bytes = randomBytes(500_000);
      await store.write('object', bytes);
      assert.ok(Buffer.from(await store.readBytes('object')).equals(bytes));
      assert.ok(Buffer.from(await store.readBytes('object', { sizeHintBytes: 500_000 })).equals(bytes));
      const parts = Buffer.concat(
        await gather(store.read('object', { offsetBytes: 100, lengthBytes: 300_000 })),
      );
      assert.ok(parts.equals(bytes.subarray(100, 300_100)));
    });
  });
});

describe('sftp with a server that fails', () => {
  it('notices a write that was confirmed and lost', async () => {
    await withServer(
      { onRequest: (name, count) => (name === 'WRITE' && count > 2 ? 'lose' : 'answer') },
      async (store, server) => {
        const failure = store.write('object', randomBytes(200_000));
        await assert.rejects(failure, /the server has \d+ bytes of 200000/);
        assert.deepEqual(readdirSync(join(server.directory, 'replica')), []);
      },
    );
  });

  it('a refused write is a failure that may pass, and leaves nothing', async () => {
    await withServer(
      { onRequest: (name, count) => (name === 'WRITE' && count === 3 ? 'fail' : 'answer') },
      async (store, server) => {
        await assert.rejects(store.write('object', randomBytes(4_000_000)), isRetryable);
        assert.deepEqual(readdirSync(join(server.directory, 'replica')), []);
        await store.write('object', randomBytes(4_000_000));
      },
    );
  });

  it('a file that becomes shorter while it is read is a failure, never a short object', async () => {
    let cut = (): void => undefined;
    await withServer(
      {
        onRequest: (name) => {
          if (name === 'READ') cut();
          return 'answer';
        },
      },
      async (store, server) => {
        await store.write('object', randomBytes(400_000));
        cut = (): void => writeFileSync(join(server.directory, 'replica/object'), 'short');
        await assert.rejects(gather(store.read('object')), /it ends at byte/);
      },
    );
  });

  for (const name of ['WRITE', 'READ', 'OPEN', 'RENAME', 'READDIR', 'REMOVE']) {
    it(`a connection that is dropped at ${name} costs that call, not the next`, async () => {
      let isArmed = false;
      await withServer(
        {
          onRequest: (request, count) => {
            if (!isArmed || request !== name || (request === 'WRITE' && count < 10)) return 'answer';
            isArmed = false;
            return 'drop-connection';
          },
        },
        async (store, server) => {
          const bytes = randomBytes(600_000);
          await store.write('a/kept', bytes);
          const call: () => Promise<unknown> =
            name === 'READ'
              ? async () => gather(store.read('a/kept'))
              : name === 'READDIR'
                ? async () => gather(store.list(''))
                : name === 'REMOVE'
                  ? async () => store.remove(['a/kept'])
                  : async () => store.write('a/kept', bytes);
          isArmed = true;
          await assert.rejects(call(), isRetryable);
          await call();
          assert.equal(server.connectionsMade, 2);
        },
      );
    });
  }

  for (const name of ['OPEN', 'FSTAT', 'CLOSE', 'RENAME']) {
    it(`a request that is never answered (${name}) ends with its time`, async () => {
      let isArmed = true;
      await withServer(
        {
          onRequest: (request) => {
            if (!isArmed || request !== name) return 'answer';
            isArmed = false;
            return 'ignore';
          },
        },
        async (store) => {
          await assert.rejects(store.write('object', randomBytes(100_000)), /did not answer for 1 s/);
          await store.write('object', Buffer.from('x'));
          assert.deepEqual(
            (await gather(store.list(''))).map((info) => info.key),
            ['object'],
          );
        },
        { timeouts: { requestMs: 1_000 } },
      );
    });
  }

  it('one request that is forgotten among others that are answered ends too', async () => {
    let isArmed = true;
    await withServer(
      {
        onRequest: (request) => {
          if (!isArmed || request !== 'FSTAT') return 'answer';
          isArmed = false;
          return 'ignore';
        },
      },
      async (store) => {
        const others = new AbortController();
        const forgotten = store.write('forgotten', Buffer.from('x')).finally(() => others.abort());
        const ending = assert.rejects(forgotten, isRetryable);
        for (let i = 0; !others.signal.aborted; i++) {
          assert.ok(i < 500, 'it never ends');
          await store.listFolders('').catch(() => undefined);
          await systemClock.sleep(10);
        }
        await ending;
      },
      { timeouts: { requestMs: 50 } },
    );
  });
});

/** Passes on what clients send, so many bytes a second: what comes later waits behind it. */
async function slowUplink(port: number, bytesPerSecond: number): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const listener = createServer({ noDelay: true }, (client) => {
    const server = connect(port, '127.0.0.1');
    for (const socket of [client, server]) sockets.add(socket.on('error', () => undefined));
    server.pipe(client);
    client.on('close', () => server.destroy());
    client.on('data', (bytes) => {
      client.pause();
      server.write(bytes);
      setTimeout(() => client.resume(), (bytes.length / bytesPerSecond) * 1000);
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    port: (listener.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}

describe('sftp over a slow line', () => {
  it('is not taken for dead while pieces are confirmed, though keep-alive waits behind them', async () => {
    await using server = await BareSftpServer.start();
    await using line = await slowUplink(server.port, 1_500_000);
    const { host, user, password } = server;
    const clock = systemClock;
    const store = new SftpObjectStore(
      {
        host,
        port: line.port,
        user,
        password,
        path: '/replica',
        hostKeys: [server.hostKey],
        timeouts: { keepAliveMs: 60 },
      },
      {
        clock,
        logger: silentLogger,
        onRequest: () => undefined,
        retrier: new StorageRetrier({ clock, logger: silentLogger }),
      },
    );
    try {
      const written = await store.write('object', randomBytes(2_000_000));
      assert.equal(written.sizeBytes, 2_000_000);
    } finally {
      await store.close();
    }
  });
});

describe('sftp logins that OpenSSH was not built with', () => {
  it('a password that the server asks for', async () => {
    await withServer({ logins: ['keyboard-interactive'] }, async (store) => {
      await store.write('object', Buffer.from('x'));
    });
  });

  it('a wrong one is refused, whichever way', async () => {
    const logins = ['password', 'keyboard-interactive'] as const;
    const run = async (store: SftpObjectStore): Promise<void> => {
      await assert.rejects(store.listFolders(''), (error) => {
        assert.ok(isRivuletError(error, 'CREDENTIALS_FAILED'));
        assert.match(
          error.message,
          /tried password, keyboard-interactive; the server offers password, keyboard-/,
        );
        return !error.message.includes('hunter2') && !mayRetry(error);
      });
    };
    await withServer({ logins }, run, { password: 'hunter2' });
  });

  it('a secret that cannot be read', async () => {
    const password = async (): Promise<string> => readFileSync('/no/such/file', 'utf8');
    const run = async (store: SftpObjectStore, server: BareSftpServer): Promise<void> => {
      await assert.rejects(store.listFolders(''), (error) => {
        assert.ok(isRivuletError(error, 'CREDENTIALS_FAILED'));
        return /the password cannot be read: ENOENT/.test(error.message);
      });
      assert.equal(server.connectionsMade, 0);
    };
    await withServer({}, run, { password });
  });
});
