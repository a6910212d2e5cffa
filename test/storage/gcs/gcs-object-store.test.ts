/** The Google backend against the loopback server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conformance } from '../conformance.ts';
import { gcsScene } from './gcs-scene.ts';

conformance(
  'gcs',
  async () => {
    const scene = await gcsScene();
    return { store: scene.store, dispose: async () => scene[Symbol.asyncDispose]() };
  },
  { bigObjectBytes: 20 * 1024 * 1024 },
);

test('a slash at the beginning of the path is part of the names of objects, as v0.3.13 has it', async () => {
  await using rooted = await gcsScene({ path: '/replicas/app' });
  await using plain = await gcsScene({ path: 'replicas/app', endpoint: rooted.gcs.endpoint });
  await rooted.store.write('a/x', Buffer.from('data'));
  assert.deepEqual(await rooted.store.listFolders(''), ['a']);
  const keys: string[] = [];
  for await (const { key } of rooted.store.list('a/')) keys.push(key);
  assert.deepEqual(keys, ['a/x']);
  assert.deepEqual(await plain.store.listFolders(''), []);
});
