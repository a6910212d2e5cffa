/**
 * What is trusted that should not be: servers that nobody verifies, lines that anybody can listen to, and files of
 * secrets that others can read or write. Told once, at the start and by `check`; what OpenSSH refuses is refused elsewhere.
 */
import { statSync } from 'node:fs';
import {
  type FileOwnership,
  isUnprotectedKey,
  keyExposure,
  modeText,
  openTampering,
  secretExposure,
  tampering,
} from '../base/file-access.ts';
import { isThisMachine } from '../base/private-host.ts';
import { formatReplicaUrl } from '../config/replica-url.ts';
import type { Config, CredentialsSection, NetworkDestination, ReplicaSettings } from '../config/settings.ts';

export interface TrustWarning {
  /** The file, or the destination. */
  readonly subject: string;
  readonly message: string;
  readonly hint: string;
  /** The reader of the configuration tells of it as well, with its line. */
  readonly isToldWhenRead?: true;
}

/** The facts of a file; undefined when it cannot be looked at, which whoever uses it will tell. */
export type LookAtFile = (path: string) => FileOwnership | undefined;

/**
 * Each warning once, however many replicas it is about.
 *
 * @param configFile - the configuration that was read, when there was one: it decides where everything goes
 */
export function trustWarnings(
  replicas: readonly ReplicaSettings[],
  configFile?: string,
  lookAt: LookAtFile = lookAtFile,
): readonly TrustWarning[] {
  const warnings = new Map<string, TrustWarning>();
  const add = (warning: TrustWarning | undefined): void => {
    if (warning !== undefined) warnings.set(`${warning.subject}\n${warning.message}`, warning);
  };
  if (configFile !== undefined) add(fileWarning('config', configFile, lookAt));
  for (const replica of replicas) for (const warning of warningsOf(replica, lookAt)) add(warning);
  return [...warnings.values()];
}

/** As one sentence for a log or standard error. */
export function formatTrustWarning({ subject, message, hint }: TrustWarning): string {
  return `${subject} ${message}. ${hint}`;
}

/** What the start tells: the rest was told when the configuration was read. */
export function warningsAtStart({ databases }: Config, configFile?: string): readonly string[] {
  return trustWarnings(
    databases.flatMap(({ replicas }) => replicas),
    configFile,
  )
    .filter(({ isToldWhenRead }) => isToldWhenRead !== true)
    .map(formatTrustWarning);
}

function* warningsOf(replica: ReplicaSettings, lookAt: LookAtFile): Generator<TrustWarning, void, undefined> {
  const { destination } = replica;
  if (destination.type !== 'file') yield* serverWarnings(destination);
  for (const [use, path] of filesOf(replica)) {
    const warning = fileWarning(use, path, lookAt);
    if (warning !== undefined) yield warning;
  }
}

// ---- servers ---------------------------------------------------------------------------------------------------------

function* serverWarnings(destination: NetworkDestination): Generator<TrustWarning, void, undefined> {
  if (destination.type === 'sftp') {
    if (destination.insecureHostKey) yield anybodyIs(destination);
    return;
  }
  const { endpoint } = destination;
  const subject = endpoint === undefined ? formatReplicaUrl(destination) : `the endpoint ${hostOf(endpoint)}`;
  if (destination.type === 's3' && destination.skipVerify) {
    const message =
      '`skip-verify` takes any certificate: whoever is in between can read and change the backup, and use a session token';
    yield { subject, message, hint: 'Trust its authority with `ca-file` instead.' };
  }
  if (endpoint !== undefined && isPlain(endpoint)) yield plainHttp(destination, subject);
  if (destination.type === 's3') yield* credentialWarnings(destination.credentials);
}

function anybodyIs(destination: NetworkDestination): TrustWarning {
  return {
    subject: formatReplicaUrl(destination),
    message:
      'is not verified (`insecure-host-key`): whoever answers in its place gets the database and the password',
    hint: 'Pin its key with `host-key`.',
    isToldWhenRead: true,
  };
}

const SENT_IN_THE_CLEAR: Readonly<Record<'s3' | 'abs' | 'gcs', string>> = {
  s3: 'whoever is in between can read and change the backup, and a session token',
  abs: 'whoever is in between can read and change the backup, and a SAS token',
  gcs: 'no token of Google is sent there, so nothing will be stored',
};

function plainHttp({ type }: Exclude<NetworkDestination, { type: 'sftp' }>, subject: string): TrustWarning {
  const message = `is another machine and is reached over plain http: ${SENT_IN_THE_CLEAR[type]}`;
  return { subject, message, hint: 'Use an endpoint that begins with https://.' };
}

/** The sources whose answers hold keys; the metadata service of a machine is plain http by design. */
const KEYS_OVER_THE_NET: ReadonlySet<string> = new Set(['assume-role', 'web-identity', 'iot']);

function* credentialWarnings(
  credentials: CredentialsSection | undefined,
): Generator<TrustWarning, void, undefined> {
  if (credentials === undefined) return;
  const { source, endpoint, base } = credentials;
  if (endpoint !== undefined && KEYS_OVER_THE_NET.has(source) && isPlain(endpoint)) {
    const message = 'is another machine and gives keys over plain http: whoever is in between can use them';
    yield {
      subject: `the endpoint ${hostOf(endpoint)} of \`credentials\``,
      message,
      hint: 'Use an endpoint that begins with https://.',
    };
  }
  yield* credentialWarnings(base);
}

function isPlain(endpoint: string): boolean {
  const url = URL.parse(endpoint);
  return url?.protocol === 'http:' && !isThisMachine(url.hostname);
}

function hostOf(endpoint: string): string {
  return URL.parse(endpoint)?.host ?? endpoint;
}

// ---- files -----------------------------------------------------------------------------------------------------------

/** What a file is: an SSH key, another secret, one that says who is trusted, or the configuration. */
type FileUse = keyof typeof EXPOSURES;

const EXPOSURES = {
  key: keyExposure,
  secret: secretExposure,
  trust: tampering,
  config: openTampering,
} as const;

function filesOf(replica: ReplicaSettings): readonly (readonly [FileUse, string])[] {
  const { age, destination } = replica;
  return [
    ...named(destination, DESTINATION_FILES),
    ...credentialFiles('credentials' in destination ? destination.credentials : undefined),
    ...(age === undefined ? [] : named(age, AGE_FILES)),
  ];
}

const STATIC_FILES = {
  accessKeyIdFile: 'secret',
  secretAccessKeyFile: 'secret',
  sessionTokenFile: 'secret',
} as const;

const DESTINATION_FILES: Readonly<Record<string, FileUse>> = {
  ...STATIC_FILES,
  sseCustomerKeyPath: 'secret',
  accountKeyFile: 'secret',
  sasTokenFile: 'secret',
  credentialsFile: 'secret',
  keyPath: 'key',
  keyPassphraseFile: 'secret',
  passwordFile: 'secret',
  knownHosts: 'trust',
  caFile: 'trust',
};

const AGE_FILES: Readonly<Record<string, FileUse>> = {
  identitiesFile: 'secret',
  passphraseFile: 'secret',
  recipientsFile: 'trust',
};

const CREDENTIAL_FILES: Readonly<Record<string, FileUse>> = {
  ...STATIC_FILES,
  credentialsFile: 'secret',
  configFile: 'trust',
  path: 'secret',
  tokenFile: 'secret',
  privateKey: 'secret',
  passphraseFile: 'secret',
  pinFile: 'secret',
  caFile: 'trust',
};

function credentialFiles(section: CredentialsSection | undefined): (readonly [FileUse, string])[] {
  if (section === undefined) return [];
  return [...named(section, CREDENTIAL_FILES), ...credentialFiles(section.base)];
}

/** The paths that the properties hold; a key in an HSM is none. */
function named(section: object, uses: Readonly<Record<string, FileUse>>): (readonly [FileUse, string])[] {
  const values = section as Readonly<Record<string, unknown>>;
  return Object.entries(uses).flatMap(([property, use]) =>
    [values[property]]
      .flat()
      .filter((path): path is string => typeof path === 'string' && path.startsWith('/'))
      .map((path) => [use, path] as const),
  );
}

function fileWarning(use: FileUse, path: string, lookAt: LookAtFile): TrustWarning | undefined {
  const file = lookAt(path);
  if (file === undefined) return undefined;
  const exposure = EXPOSURES[use](file);
  if (exposure === undefined) return undefined;
  const mode = `its permissions are ${modeText(file)}, ${exposure}`;
  if (use === 'key' && isUnprotectedKey(file, process.getuid?.()))
    return { subject: path, message: `is refused as a private key: ${mode}`, hint: `chmod 600 ${path}` };
  if (use === 'trust' || use === 'config')
    return { subject: path, message: `says who is trusted, and ${mode}`, hint: `chmod go-w ${path}` };
  // The key of another owner is given to its group.
  if (use === 'key' && exposure === 'readable by its group') return undefined;
  return { subject: path, message: `holds a secret, and ${mode}`, hint: `chmod go-w,o-r ${path}` };
}

function lookAtFile(path: string): FileOwnership | undefined {
  // Windows has no such permissions.
  if (process.getuid === undefined) return undefined;
  try {
    const stats = statSync(path);
    return stats.isFile() ? stats : undefined;
  } catch {
    return undefined;
  }
}
