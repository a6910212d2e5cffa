import { GcsObjectStore } from '../../../src/storage/gcs/gcs-object-store.ts';
import type { GcsObjectStoreOptions } from '../../../src/storage/gcs/gcs-object-store.ts';
import type { AuthorizationSource } from '../../../src/storage/gcs/authorization.ts';
import type { RetryPolicy } from '../../../src/storage/retry.ts';
import { recordingTools } from '../../support/backend-tools.ts';
import type { RecordingTools } from '../../support/backend-tools.ts';
import { LoopbackGcs } from '../../support/loopback-gcs.ts';

export interface GcsScene extends AsyncDisposable {
  readonly gcs: LoopbackGcs;
  readonly store: GcsObjectStore;
  readonly tools: RecordingTools;
}

/** A server of its own and a store over it, which end with their scope. */
export async function gcsScene(
  options: Partial<GcsObjectStoreOptions> = {},
  policy: Partial<RetryPolicy> = {},
): Promise<GcsScene> {
  const gcs = await LoopbackGcs.start('bucket');
  const tools = recordingTools(policy);
  const store = new GcsObjectStore(
    {
      bucket: 'bucket',
      path: 'replicas/app',
      endpoint: gcs.endpoint,
      authorization: fixedToken('token-1'),
      ...options,
    },
    tools,
  );
  return {
    gcs,
    store,
    tools,
    async [Symbol.asyncDispose]() {
      await store.close();
      await gcs[Symbol.asyncDispose]();
    },
  };
}

/** Always the same token. */
export function fixedToken(token: string): AuthorizationSource {
  const source = {};
  return {
    current: async () => ({ headers: { authorization: `Bearer ${token}` }, source }),
    accepted: () => undefined,
    renew: () => false,
  };
}
