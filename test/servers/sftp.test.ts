/** The SFTP backend against OpenSSH, in a chroot as people set it up. */
import { after, before, describe } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { BackendTools } from '../../src/storage/backend.ts';
import type { SftpStoreOptions } from '../../src/storage/sftp/options.ts';
import { SftpObjectStore } from '../../src/storage/sftp/sftp-object-store.ts';
import { StorageRetrier } from '../../src/storage/retry.ts';
import { conformance } from '../storage/conformance.ts';
import { OpenSshServer, whyNoOpenSsh } from '../support/openssh.ts';

const skip = whyNoOpenSsh();

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
  return { host, port, user, path, keyPath, hostKeys: [server.hostKey()], ...over };
}

function storeAt(server: OpenSshServer, over: Partial<SftpStoreOptions> = {}): SftpObjectStore {
  return new SftpObjectStore(optionsFor(server, over), toolsFor());
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
});
