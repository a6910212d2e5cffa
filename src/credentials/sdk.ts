/**
 * Sources that need a service of AWS (STS, SSO) are asked through its own library, which is loaded when one of them is first used: it
 * takes some 60 ms and 30 MB.
 */
import type { NodeHttpHandler } from '@smithy/node-http-handler';

import { isRivuletError } from '../base/errors.ts';
import { orAbort } from '../storage/abandon.ts';
import type { AwsKeys } from '../storage/aws-keys.ts';
import { credentialsFailed } from './credentials-failed.ts';
import { networkProblem } from './http.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 15_000;
/** The keeper tries again; a second attempt here only bridges a connection that was closed. */
const ATTEMPTS_MAX = 2;

/** As the library gives keys. */
export interface SdkKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

export interface SdkClientConfig {
  region?: string;
  endpoint?: string;
  requestHandler: NodeHttpHandler;
  maxAttempts: number;
}

export type Providers = typeof import('@aws-sdk/credential-providers');

/**
 * Asks one of the library's providers once, with connections that end with it.
 *
 * @param make - from the loaded library and the settings of its client to a provider
 * @throws RivuletError `CREDENTIALS_FAILED`, or the signal's reason
 */
export async function askSdk(
  source: string,
  where: { readonly region?: string | undefined; readonly endpoint?: string | undefined },
  signal: AbortSignal,
  make: (providers: Providers, client: SdkClientConfig) => () => Promise<SdkKeys>,
): Promise<AwsKeys> {
  const [providers, { NodeHttpHandler: Handler }] = await Promise.all([
    import('@aws-sdk/credential-providers'),
    import('@smithy/node-http-handler'),
  ]);
  signal.throwIfAborted();
  const requestHandler = new Handler({
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    throwOnRequestTimeout: true,
  });
  const client: SdkClientConfig = {
    requestHandler,
    maxAttempts: ATTEMPTS_MAX,
    ...(where.region === undefined ? {} : { region: where.region }),
    ...(where.endpoint === undefined ? {} : { endpoint: where.endpoint }),
  };
  try {
    // The library's providers know no signal; what they began ends with their connections.
    return fromSdk(await orAbort(make(providers, client)(), signal));
  } catch (error) {
    signal.throwIfAborted();
    if (isRivuletError(error, 'CREDENTIALS_FAILED')) throw error;
    throw credentialsFailed(source, sdkProblem(error));
  } finally {
    requestHandler.destroy();
  }
}

export function fromSdk({ accessKeyId, secretAccessKey, sessionToken, expiration }: SdkKeys): AwsKeys {
  return { accessKeyId, secretAccessKey, sessionToken, expiresAtMs: expiration?.getTime() };
}

export function toSdk({ accessKeyId, secretAccessKey, sessionToken, expiresAtMs }: AwsKeys): SdkKeys {
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    ...(expiresAtMs === undefined ? {} : { expiration: new Date(expiresAtMs) }),
  };
}

/** The name of the service's error belongs to it (`AccessDenied`, `ExpiredToken`), and the status where it says nothing else. */
function sdkProblem(error: unknown): string {
  const text = networkProblem(error);
  if (!(error instanceof Error)) return text;
  const said = ['Error', 'CredentialsProviderError', text].includes(error.name)
    ? text
    : `${error.name}: ${text}`;
  const { httpStatusCode: status } = (error as { $metadata?: { httpStatusCode?: number } }).$metadata ?? {};
  return status === undefined ? said : `${said} (status ${status})`;
}
