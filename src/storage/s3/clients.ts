/** One client of the SDK for each set of keys and region; all of them share the connections. */
import { createHash } from 'node:crypto';
import { S3Client } from '@aws-sdk/client-s3';
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { HttpHandler } from './http-handler.ts';
import { type AwsKeys, sameKeys } from '../aws-keys.ts';
import type { S3Profile } from './options.ts';

/** The client signs with the keys it was made with: so it is known which keys a refused request had used. */
interface Made {
  readonly keys: AwsKeys;
  readonly region: string;
  readonly client: S3Client;
}

/** Old and new keys may be in flight at once, never many more. */
const CLIENTS_KEPT = 4;

export class S3Clients {
  readonly #profile: S3Profile;
  readonly #handler: HttpHandler;
  #made: readonly Made[] = [];

  constructor(profile: S3Profile) {
    this.#profile = profile;
    this.#handler = new HttpHandler(profile);
  }

  for(keys: AwsKeys, region: string): S3Client {
    const known = this.#made.find((made) => made.region === region && sameKeys(made.keys, keys));
    if (known !== undefined) return known.client;
    const systemClockOffset = this.#made[0]?.client.config.systemClockOffset ?? 0;
    const client = makeClient(this.#profile, this.#handler, keys, region, systemClockOffset);
    this.#made = [{ keys, region, client }, ...this.#made].slice(0, CLIENTS_KEPT);
    return client;
  }

  /** How far the service's clock is from this machine's, as its answers have told. */
  clockOffsetMs(): number {
    return this.#made[0]?.client.config.systemClockOffset ?? 0;
  }

  destroy(): void {
    this.#handler.destroy();
  }
}

function makeClient(
  profile: S3Profile,
  handler: HttpHandler,
  keys: AwsKeys,
  region: string,
  systemClockOffset: number,
): S3Client {
  const { accessKeyId, secretAccessKey, sessionToken } = keys;
  const client = new S3Client({
    region,
    credentials: {
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
    },
    ...(profile.endpoint === undefined ? {} : { endpoint: profile.endpoint.href }),
    forcePathStyle: profile.forcePathStyle,
    requestHandler: handler as unknown as NonNullable<S3ClientConfig['requestHandler']>,
    // An access point is where its ARN says.
    useArnRegion: true,
    systemClockOffset,
    maxAttempts: 1,
    // Look-alikes refuse checksums that they do not know, and trailers altogether.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // A round trip before each larger body, which some look-alikes never answer.
    expectContinueHeader: false,
  });
  adjust(client, profile);
  return client;
}

/** When the service answered, by its clock; for outputs of a client made here. */
export function answeredAt(output: object): Date | undefined {
  return ANSWERED_AT.get(output);
}

const ANSWERED_AT = new WeakMap<object, Date>();

interface Headed {
  readonly headers: Record<string, string>;
  readonly body?: unknown;
}

function adjust(client: S3Client, profile: S3Profile): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const { headers } = args.request as Headed;
      Object.assign(headers, profile.preset.headers);
      // A hash of the body is signed unless the header is there already.
      if (!profile.signPayload) headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
      return next(args);
    },
    { step: 'build', name: 'rivuletHeaders', priority: 'low' },
  );
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const date = Date.parse((result.response as Headed).headers['date'] ?? '');
      const output: unknown = result.output;
      if (!Number.isNaN(date) && typeof output === 'object' && output !== null)
        ANSWERED_AT.set(output, new Date(date));
      return result;
    },
    { step: 'deserialize', name: 'rivuletAnsweredAt', priority: 'high' },
  );
  if (profile.contentMd5) useContentMd5(client);
}

/** What is older than all checksums is what every look-alike knows. The SDK would send a CRC32 where one is required. */
function useContentMd5(client: S3Client): void {
  const replace =
    (next: (args: Building) => Promise<unknown>, context: { readonly commandName?: string }) =>
    async (args: Building): Promise<unknown> => {
      if (context.commandName === 'DeleteObjectsCommand') replaceChecksum(args.request);
      return next(args);
    };
  client.middlewareStack.addRelativeTo(
    // One of a union of shapes, which the type of the stack cannot tell apart.
    replace as unknown as Parameters<typeof client.middlewareStack.addRelativeTo>[0],
    // After the SDK has added its own, and before the request is signed, which comes after this.
    { relation: 'before', toMiddleware: 'retryMiddleware', name: 'rivuletContentMd5' },
  );
}

interface Building {
  readonly request: Headed;
}

function replaceChecksum({ headers, body }: Headed): void {
  for (const name of Object.keys(headers))
    if (/^x-amz-(sdk-)?checksum-/.test(name.toLowerCase())) delete headers[name];
  const bytes = typeof body === 'string' || body instanceof Uint8Array ? body : '';
  headers['content-md5'] = createHash('md5').update(bytes).digest('base64');
}
