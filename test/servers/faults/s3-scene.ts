/** The scene with a destination on the S3 server that misbehaves as tests say. */
import { LoopbackS3 } from '../../support/loopback-s3.ts';
import { Scene, type SceneOptions } from './scene.ts';

export const KEYS = { 'access-key-id': 'AKIATEST', 'secret-access-key': 'secretsecret' };

export interface S3Scene extends AsyncDisposable {
  readonly server: LoopbackS3;
  readonly scene: Scene;
}

/** Keys of a replica on a server of this address. */
export function replicaAt(endpoint: string): Record<string, unknown> {
  return { type: 's3', bucket: 'bucket', path: 'db', endpoint, region: 'us-east-1', ...KEYS };
}

/** @param prepare - what the server does from the first request on */
export async function openS3Scene(
  options: Partial<SceneOptions> & { readonly server?: LoopbackS3 } = {},
  prepare: (server: LoopbackS3) => void = () => undefined,
): Promise<S3Scene> {
  const server = options.server ?? (await LoopbackS3.start());
  try {
    prepare(server);
    const replica = { ...replicaAt(server.endpoint), ...options.replica };
    const scene = await Scene.start({ ...options, replica });
    return {
      server,
      scene,
      async [Symbol.asyncDispose]() {
        await scene[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}
