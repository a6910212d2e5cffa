/** The Google backend against the loopback server. */
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
