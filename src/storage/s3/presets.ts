/** What is known of services that speak S3: where they differ from AWS in a way that matters here. */
import type { Conditions } from '../object-store.ts';

export interface S3Preset {
  readonly name: string;
  /** Why it differs; for people who read the table. */
  readonly why: string;
  /** Whether the bucket is part of the path rather than of the host. */
  readonly pathStyle: boolean;
  /** The region, where the host tells it or the service has only one. */
  readonly regionOf?: (hostname: string) => string | undefined;
  readonly conditions: Conditions;
  /**
   * Whether the completion of an upload in parts honours conditions by itself. Where that is not sure, the object is
   * looked at just before as well; then two machines that complete the same key in the same milliseconds may both succeed.
   */
  readonly conditionalComplete: boolean;
  /** Content-MD5 instead of a newer checksum on a batch of removals. */
  readonly contentMd5: boolean;
  /** Parts of one upload at once. */
  readonly concurrency?: number;
  /** Parts of one upload at most. */
  readonly maxParts: number;
  /** Whether all parts but the last must have the same size. */
  readonly equalParts: boolean;
  /** Headers of every request. */
  readonly headers: Readonly<Record<string, string>>;
}

const AWS: S3Preset = {
  name: 'AWS',
  why: 'the service that the others resemble',
  pathStyle: false,
  conditions: 'compare-and-swap',
  conditionalComplete: true,
  contentMd5: true,
  maxParts: 10_000,
  equalParts: false,
  headers: {},
};

/** A service that nobody has told us about: nothing optional is expected of it. */
const UNKNOWN: S3Preset = {
  ...AWS,
  name: 'S3-compatible',
  why: 'MinIO, Ceph, Garage, SeaweedFS and others at a host of their own, which seldom has a name for each bucket',
  pathStyle: true,
  conditionalComplete: false,
};

interface HostPreset {
  readonly host: RegExp;
  readonly preset: Partial<S3Preset> & Pick<S3Preset, 'name' | 'why'>;
}

const HOSTS: readonly HostPreset[] = [
  {
    host: /(^|\.)amazonaws\.com(\.cn)?$/,
    preset: {
      name: 'AWS',
      why: 'an endpoint of AWS itself, such as one inside a VPC',
      pathStyle: false,
      conditionalComplete: true,
      regionOf: (host) => /(?:^|\.)s3[.-](?:dualstack\.)?([a-z]{2}-[a-z-]+-\d)\./.exec(host)?.[1],
    },
  },
  {
    host: /^s3\.[^.]+\.backblazeb2\.com$/,
    preset: {
      name: 'Backblaze B2',
      why: 'answers 501 to conditional writes and refuses checksum trailers; the host names the region',
      conditions: 'none',
      regionOf: (host) => host.split('.')[1],
    },
  },
  {
    host: /(^|\.)r2\.cloudflarestorage\.com$/,
    preset: {
      name: 'Cloudflare R2',
      why: 'has the one region "auto", wants all parts but the last of one size, and bears two at once',
      regionOf: () => 'auto',
      concurrency: 2,
      equalParts: true,
    },
  },
  {
    host: /^(fly\.storage\.tigris\.dev|t3\.storage\.dev)$/,
    preset: {
      name: 'Tigris',
      why: 'is consistent over regions only when asked; takes no Content-MD5 on removals; region "auto"',
      pathStyle: false,
      regionOf: () => 'auto',
      contentMd5: false,
      headers: { 'X-Tigris-Consistent': 'true' },
    },
  },
  {
    host: /\.digitaloceanspaces\.com$/,
    preset: {
      name: 'DigitalOcean Spaces',
      why: 'each bucket has a host; signatures are for us-east-1 whatever the host says',
      pathStyle: false,
      regionOf: () => 'us-east-1',
    },
  },
  {
    host: /^s3\.[^.]+\.scw\.cloud$/,
    preset: {
      name: 'Scaleway',
      why: 'takes 1,000 parts of one upload at most; the host names the region',
      pathStyle: false,
      regionOf: (host) => host.split('.')[1],
      maxParts: 1_000,
    },
  },
  {
    host: /\.linodeobjects\.com$/,
    preset: {
      name: 'Linode',
      why: 'the host names the cluster, which stands for the region',
      pathStyle: false,
      regionOf: (host) => host.split('.').at(-3),
    },
  },
  {
    host: /\.your-objectstorage\.com$/,
    preset: {
      name: 'Hetzner',
      why: 'the host names the region',
      pathStyle: false,
      regionOf: (host) => host.split('.').at(-3),
    },
  },
  {
    host: /^s3(\.[^.]+)?\.wasabisys\.com$/,
    preset: {
      name: 'Wasabi',
      why: 'the host names the region; without one it is us-east-1',
      pathStyle: false,
      regionOf: (host) => (host === 's3.wasabisys.com' ? 'us-east-1' : host.split('.')[1]),
    },
  },
  {
    host: /^s3\.filebase\.(com|io)$/,
    preset: {
      name: 'Filebase',
      why: 'has one region; objects are pinned elsewhere, conditions are not among what it promises',
      regionOf: () => 'us-east-1',
      conditions: 'none',
    },
  },
  {
    host: /\.supabase\.(co|in)$/,
    preset: {
      name: 'Supabase',
      why: 'the endpoint has a path of its own, so the bucket must be in the path',
    },
  },
  {
    host: /^storage\.googleapis\.com$/,
    preset: {
      name: 'Google Cloud Storage (XML)',
      why: 'compares generations, not ETags, and ignores If-None-Match on writes; region "auto"',
      regionOf: () => 'auto',
      conditions: 'none',
    },
  },
  {
    host: /(^|\.)storjshare\.io$/,
    preset: {
      name: 'Storj',
      why: 'has one region, whatever gateway answers',
      regionOf: () => 'us-east-1',
    },
  },
];

/** The preset of an endpoint; AWS when there is none. A host with a port is never one of the known services. */
export function presetFor(endpoint: URL | undefined): S3Preset {
  if (endpoint === undefined) return AWS;
  const known = HOSTS.find(({ host }) => host.test(endpoint.hostname));
  return endpoint.port !== '' || known === undefined ? UNKNOWN : { ...UNKNOWN, ...known.preset };
}
