/** The Azure backend against Azurite. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { AbsObjectStore } from '../../src/storage/abs/abs-object-store.ts';
import type { AbsObjectStoreOptions } from '../../src/storage/abs/abs-object-store.ts';
import { conformance } from '../storage/conformance.ts';
import { Azurite, whyNoAzurite } from '../support/azurite.ts';
import { recordingTools } from '../support/backend-tools.ts';

const skip = whyNoAzurite();
const CONTAINER = 'replicas';

describe('Azure Blob Storage on Azurite', { skip }, () => {
  let azurite: Azurite;

  before(async () => {
    azurite = await Azurite.start();
    await azurite.makeContainer(CONTAINER);
  });
  after(async () => azurite[Symbol.asyncDispose]());

  const optionsOf = (given: Partial<AbsObjectStoreOptions> = {}): AbsObjectStoreOptions => ({
    container: CONTAINER,
    endpoint: azurite.endpoint,
    accountKey: azurite.accountKey,
    path: `tests/${randomUUID()}`,
    ...given,
  });

  conformance(
    'abs',
    async () => {
      const store = new AbsObjectStore(optionsOf(), recordingTools());
      return { store, dispose: async () => store.close() };
    },
    { backslashes: false },
  );
});
