/** The shared suite without a server to install. */
import { conformance } from '../conformance.ts';
import type { StoreUnderTest } from '../conformance.ts';
import { LoopbackS3 } from '../../support/loopback-s3.ts';
import { openS3 } from '../../support/s3-store.ts';

const MIB = 1024 * 1024;

async function makeStore(): Promise<StoreUnderTest> {
  const server = await LoopbackS3.start();
  server.comparesEtags = 'quoted';
  server.listing.pageKeys = 100;
  const { store } = openS3({ endpoint: server.endpoint, path: 'replica', partSizeBytes: 5 * MIB });
  const dispose = async (): Promise<void> => {
    await store.close();
    await server[Symbol.asyncDispose]();
  };
  return { store, dispose };
}

conformance('s3 on loopback', makeStore, {
  manyKeys: 250,
  bigObjectBytes: 12 * MIB,
  writeTimeToleranceMs: 2_000,
});
