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
  endpointHost(region: string): string;
  readonly scheme: 'http' | 'https';
  /** For hosts without a region in their name. */
  readonly region?: string;
}

/** The host forms of v0.3.13. All of them name the bucket in the path. */
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
];

/** AWS's own virtual-host form. v0.3.13 takes all of it as the bucket's name, which can never exist. */
const AWS_HOST = /^(?<bucket>.+)\.s3(?:[.-](?<region>[a-z0-9-]+))?\.amazonaws\.com$/;

/** Reads `host[:port]`. A host of no known form is the name of a bucket at AWS. */
export function parseS3Host(hostAndPort: string): S3Host {
  const [, host = '', port = ''] = /^(.*?)((?::\d+)?)$/.exec(hostAndPort) ?? [];
  for (const form of HOST_FORMS) {
    const groups = form.pattern.exec(host)?.groups;
    if (groups !== undefined) return fromForm(form, groups, port);
  }
  const aws = AWS_HOST.exec(host)?.groups;
  const bucket = aws?.['bucket'] ?? host;
  return { bucket: bucket || undefined, region: aws?.['region'], endpoint: undefined, forcePathStyle: false };
}

function fromForm(form: HostForm, groups: Record<string, string | undefined>, port: string): S3Host {
  const region = groups['region'] ?? form.region;
  const endpoint = `${form.scheme}://${form.endpointHost(region ?? '')}${port}`;
  return { bucket: groups['bucket'], region, endpoint, forcePathStyle: true };
}
