/**
 * Clients of Google's library for the credentials that a file holds. The library's own way, which takes whatever the file
 * says, is on its way out and writes warnings to the console.
 */
import { readFile } from 'node:fs/promises';

type Library = typeof import('google-auth-library');

/** How the library makes its requests. */
export interface TransporterOptions {
  readonly fetchImplementation: typeof fetch;
  readonly retryConfig: { readonly retry: number; readonly noResponseRetries: number };
}

/** What a client is given beside the credentials. */
export interface ClientOptions {
  readonly scopes: string[];
  readonly transporterOptions: TransporterOptions;
}

/** The one method of the library's clients that is used. */
export interface TokenClient {
  getRequestHeaders(url?: string): Promise<Headers>;
}

type AwsOptions = ConstructorParameters<Library['AwsClient']>[0];
type PluggableOptions = ConstructorParameters<Library['PluggableAuthClient']>[0];
type PoolOptions = ConstructorParameters<Library['IdentityPoolClient']>[0];
type Json = Readonly<Record<string, unknown>>;

/** @throws what reading the file throws; Error when it holds something else */
export async function clientFromFile(
  library: Library,
  path: string,
  options: ClientOptions,
): Promise<TokenClient> {
  const json = parsed(await readFile(path, 'utf8'));
  const { scopes, transporterOptions } = options;
  switch (json['type']) {
    case 'service_account':
      return new library.JWT({
        email: need(json, 'client_email'),
        key: need(json, 'private_key'),
        keyId: need(json, 'private_key_id'),
        scopes,
        transporterOptions,
      });
    case 'authorized_user':
      return new library.UserRefreshClient({
        clientId: need(json, 'client_id'),
        clientSecret: need(json, 'client_secret'),
        refreshToken: need(json, 'refresh_token'),
        transporterOptions,
      });
    case 'external_account':
      return external(library, { ...json, transporterOptions }, scopes);
    default:
      throw new Error(
        `its type is ${JSON.stringify(json['type'])}, not one of service_account, external_account and authorized_user`,
      );
  }
}

/** Where the identity comes from decides which client exchanges it. */
function external(library: Library, json: Json, scopes: string[]): TokenClient {
  const source = json['credential_source'];
  if (typeof source !== 'object' || source === null) throw new Error('it has no credential_source');
  const client =
    'environment_id' in source
      ? new library.AwsClient(json as unknown as AwsOptions)
      : 'executable' in source
        ? new library.PluggableAuthClient(json as unknown as PluggableOptions)
        : new library.IdentityPoolClient(json as unknown as PoolOptions);
  client.scopes = scopes;
  return client;
}

function parsed(text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // What the parser says repeats the text, which is a secret.
    throw new Error('it is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw new Error('it is not a JSON object');
  return value as Json;
}

function need(json: Json, name: string): string {
  const value = json[name];
  if (typeof value !== 'string' || value === '') throw new Error(`it has no ${name}`);
  return value;
}
