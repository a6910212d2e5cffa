/** Real servers, each looked at past Rivulet: with the client of its maker, or as files. */
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { Azurite, whyNoAzurite } from '../../support/azurite.ts';
import { startCephRgw, whyNoCeph } from '../../support/ceph-rgw.ts';
import { OpenSshServer, whyNoOpenSsh } from '../../support/openssh.ts';

const BUCKET = 'proofs';

export interface Place extends AsyncDisposable {
  /** A replica in that folder, as a configuration has it. */
  replica(folder: string): Readonly<Record<string, unknown>> & { readonly url: string };
  /** What commands need to know beside it. */
  readonly env: Readonly<Record<string, string>>;
  /** Keys of the folder's objects without the folder, in order. */
  keys(folder: string): Promise<string[]>;
  read(folder: string, key: string): Promise<Uint8Array>;
  /** Replaces what is there. */
  write(folder: string, key: string, bytes: Uint8Array): Promise<void>;
  remove(folder: string, key: string): Promise<void>;
  /** From now on nobody listens there. */
  stop(): Promise<void>;
  /** Listens again, with what it held; undefined where that is lost. */
  readonly start: (() => Promise<void>) | undefined;
}

export interface PlaceKind {
  readonly name: string;
  readonly skip: string | false;
  readonly begin: () => Promise<Place>;
}

export const PLACES: readonly PlaceKind[] = [
  { name: 'Ceph RGW', skip: whyNoCeph() ?? false, begin: onCeph },
  { name: 'OpenSSH', skip: whyNoOpenSsh(), begin: onOpenSsh },
  { name: 'Azurite', skip: whyNoAzurite(), begin: onAzurite },
];

async function onCeph(): Promise<Place> {
  const ceph = await startCephRgw();
  await ceph.createBucket(BUCKET);
  const client = ceph.client();
  const at = (folder: string, key: string): { Bucket: string; Key: string } => ({
    Bucket: BUCKET,
    Key: `${folder}/${key}`,
  });
  return {
    replica: (folder) => ({ url: `s3://${BUCKET}/${folder}?endpoint=${ceph.endpoint}` }),
    env: { AWS_ACCESS_KEY_ID: ceph.keys.accessKeyId, AWS_SECRET_ACCESS_KEY: ceph.keys.secretAccessKey },
    keys: async (folder) => {
      const { Contents = [] } = await client.send(
        new ListObjectsV2Command({ Bucket: BUCKET, Prefix: `${folder}/` }),
      );
      return Contents.map(({ Key = '' }) => Key.slice(folder.length + 1)).sort();
    },
    read: async (folder, key) => {
      const { Body } = await client.send(new GetObjectCommand(at(folder, key)));
      return (await Body?.transformToByteArray()) ?? new Uint8Array();
    },
    write: async (folder, key, bytes) => {
      await client.send(new PutObjectCommand({ ...at(folder, key), Body: bytes }));
    },
    remove: async (folder, key) => {
      await client.send(new DeleteObjectCommand(at(folder, key)));
    },
    stop: async () => ceph.stop(),
    start: async () => ceph.start(),
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      await ceph[Symbol.asyncDispose]();
    },
  };
}

async function onOpenSsh(): Promise<Place> {
  const server = await OpenSshServer.start();
  const pathOf = (folder: string, key: string): string => join(server.directory, folder, key);
  return {
    replica: (folder) => ({
      url: `sftp://${server.user}@${server.host}:${server.port}${server.path}/${folder}`,
      'key-path': server.keyPath,
      'host-key': server.hostKey(),
    }),
    env: {},
    keys: async (folder) =>
      existsSync(pathOf(folder, ''))
        ? globSync('generations/**/*.*', { cwd: pathOf(folder, '') }).sort()
        : [],
    read: async (folder, key) => readFileSync(pathOf(folder, key)),
    write: async (folder, key, bytes) => {
      mkdirSync(dirname(pathOf(folder, key)), { recursive: true });
      writeFileSync(pathOf(folder, key), bytes);
    },
    remove: async (folder, key) => rmSync(pathOf(folder, key)),
    stop: async () => server.stop(),
    start: async () => server.start(),
    [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
  };
}

async function onAzurite(): Promise<Place> {
  const azurite = await Azurite.start();
  const container = await azurite.makeContainer(BUCKET);
  const blob = (folder: string, key: string) => container.getBlockBlobClient(`${folder}/${key}`);
  return {
    replica: (folder) => ({
      url: `abs://${azurite.accountName}@${BUCKET}/${folder}?endpoint=${azurite.endpoint}`,
    }),
    env: { LITESTREAM_AZURE_ACCOUNT_KEY: azurite.accountKey },
    keys: async (folder) => {
      const keys: string[] = [];
      for await (const { name } of container.listBlobsFlat({ prefix: `${folder}/` }))
        keys.push(name.slice(folder.length + 1));
      return keys.sort();
    },
    read: async (folder, key) => blob(folder, key).downloadToBuffer(),
    write: async (folder, key, bytes) => {
      await blob(folder, key).uploadData(bytes);
    },
    remove: async (folder, key) => {
      await blob(folder, key).delete();
    },
    stop: async () => azurite.stop(),
    // It keeps everything in memory.
    start: undefined,
    [Symbol.asyncDispose]: async () => azurite[Symbol.asyncDispose](),
  };
}
