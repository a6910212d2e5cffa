/** What the host of an `s3://HOST/path` URL says about the service. */
export interface S3Host {
  /** Undefined when the host names a service but no bucket in it. */
  readonly bucket: string | undefined;
  readonly region: string | undefined;
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
}

interface HostForm {
  /** Groups: `bucket`, and `region` where the host has one. */
  readonly pattern: RegExp;
  endpointHost(region: string, account: string): string;
  readonly scheme: 'http' | 'https';
  /** For hosts without a region in their name. */
  readonly region?: string;
  /** The bucket has to be named in the host of requests, not in their path. */
  readonly virtualHost?: true;
}

/** The host forms of v0.3.13, and those of services that came later. Nearly all name the bucket in the path. */
const HOST_FORMS: readonly HostForm[] = [
  {
    pattern: /^(?:(?<bucket>.+)\.)?localhost$/,
    endpointHost: () => 'localhost',
    scheme: 'http',
    region: 'us-east-1',
  },
  {
    pattern: /^(?:(?<bucket>.+)\.)?s3\.(?<region>[^.]+)\.backblazeb2\.com$/,
    endpointHost: (region) => `s3.${region}.backblazeb2.com`,
    scheme: 'https',
  },
  {
    pattern: /^(?:(?<bucket>.+)\.)?s3\.filebase\.com$/,
    endpointHost: () => 's3.filebase.com',
    scheme: 'https',
  },
  {
    pattern: /^(?:(?<bucket>.+)\.)?(?<region>[^.]+)\.digitaloceanspaces\.com$/,
    endpointHost: (region) => `${region}.digitaloceanspaces.com`,
    scheme: 'https',
  },
  {
    pattern: /^(?:(?<bucket>.+)\.)?s3\.(?<region>[^.]+)\.scw\.cloud$/,
    endpointHost: (region) => `s3.${region}.scw.cloud`,
    scheme: 'https',
  },
  {
    pattern: /^(?:(?<bucket>.+)\.)?(?<region>[^.]+)\.linodeobjects\.com$/,
    endpointHost: (region) => `${region}.linodeobjects.com`,
    scheme: 'https',
  },
  {
    pattern: /^(?:(?<bucket>.+)\.)?s3\.(?<region>[^.]+)\.wasabisys\.com$/,
    endpointHost: (region) => `s3.${region}.wasabisys.com`,
    scheme: 'https',
  },
  {
    pattern: /^(?:(?<bucket>.+)\.)?s3\.wasabisys\.com$/,
    endpointHost: () => 's3.wasabisys.com',
    scheme: 'https',
    region: 'us-east-1',
  },
  {
    // The account, and for some of them the jurisdiction where their data stays.
    pattern:
      /^(?:(?<bucket>.+)\.)?(?<account>[0-9a-f]{32}(?:\.(?:eu|fedramp))?)\.r2\.cloudflarestorage\.com$/,
    endpointHost: (_region, account) => `${account}.r2.cloudflarestorage.com`,
    scheme: 'https',
    region: 'auto',
  },
  {
    pattern: /^(?:(?<bucket>.+)\.)?fly\.storage\.tigris\.dev$/,
    endpointHost: () => 'fly.storage.tigris.dev',
    scheme: 'https',
    region: 'auto',
    virtualHost: true,
  },
  {
    pattern: /^(?:(?<bucket>.+)\.)?t3\.storage\.dev$/,
    endpointHost: () => 't3.storage.dev',
    scheme: 'https',
    region: 'auto',
    virtualHost: true,
  },
  {
    pattern: /^(?:(?<bucket>.+)\.)?(?<region>[^.]+)\.your-objectstorage\.com$/,
    endpointHost: (region) => `${region}.your-objectstorage.com`,
    scheme: 'https',
  },
];

/** AWS's own forms. v0.3.13 takes all of it as the bucket's name, which can never exist. */
const AWS_HOST =
  /^(?:(?<bucket>.+)\.)?s3(?:[.-](?:dualstack\.)?(?<region>[a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?$/;

/** @param host - without a port, in lower case */
export function isAwsHost(host: string): boolean {
  return AWS_HOST.test(host);
}

const IP_ADDRESS = /^(?:(?<bucket>.+)\.)?(?<server>\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:.]+\])$/;

/**
 * Reads `host[:port]`. A host of no known form is the name of a bucket at AWS; with a port, or as an address, it is a
 * server of one's own, whose first part before a dot is the bucket.
 */
export function parseS3Host(hostAndPort: string): S3Host {
  const [, host = '', port = ''] = /^(.*?)((?::\d+)?)$/.exec(hostAndPort) ?? [];
  for (const form of HOST_FORMS) {
    const groups = form.pattern.exec(host)?.groups;
    if (groups !== undefined) return fromForm(form, groups, port);
  }
  const aws = AWS_HOST.exec(host)?.groups;
  if (aws !== undefined) return atAws(aws['bucket'], aws['region']);
  const own = IP_ADDRESS.exec(host)?.groups ?? (port === '' ? undefined : namedServer(host));
  if (own !== undefined) return atOwnServer(own['bucket'], `${own['server'] ?? ''}${port}`);
  return atAws(host || undefined, undefined);
}

/** True for a service whose buckets do not answer when they are named in the path. */
export function wantsVirtualHost(hostAndPort: string): boolean {
  const host = hostAndPort.replace(/:\d+$/, '');
  return HOST_FORMS.some(({ pattern, virtualHost }) => virtualHost === true && pattern.test(host));
}

function namedServer(host: string): Record<string, string | undefined> {
  return /^(?:(?<bucket>[^.]{3,})\.)?(?<server>.+)$/.exec(host)?.groups ?? {};
}

function atAws(bucket: string | undefined, region: string | undefined): S3Host {
  return { bucket, region, endpoint: undefined, forcePathStyle: false };
}

function atOwnServer(bucket: string | undefined, server: string): S3Host {
  const scheme = server.endsWith(':443') ? 'https' : 'http';
  return { bucket, region: 'us-east-1', endpoint: `${scheme}://${server}`, forcePathStyle: true };
}

function fromForm(form: HostForm, groups: Record<string, string | undefined>, port: string): S3Host {
  const region = groups['region'] ?? form.region;
  const endpoint = `${form.scheme}://${form.endpointHost(region ?? '', groups['account'] ?? '')}${port}`;
  return { bucket: groups['bucket'], region, endpoint, forcePathStyle: form.virtualHost !== true };
}
