/** From the keys of an s3 replica to what the sources of credentials are told. */
import type { CredentialSettings, CredentialSourceName } from '../credentials/settings.ts';
import type { CredentialsSection, S3Destination, StaticKeyName } from './settings.ts';

/** Where the keys of `destination` come from: its keys, its profile, its section, or the usual AWS sources. */
export function credentialSettings(destination: S3Destination): CredentialSettings {
  const { credentials, profile, endpoint } = destination;
  // A service of its own address has regions of its own, which say nothing about where STS is.
  const region = endpoint === undefined ? destination.region : undefined;
  if (credentials !== undefined) return ofSection(credentials, region);
  if (profile !== undefined) return { source: 'profile', profile, region };
  const { accessKeyId, accessKeyIdFile } = destination;
  if (accessKeyId === undefined && accessKeyIdFile === undefined) return { source: 'auto', region };
  return staticSettings(destination);
}

function staticSettings(keys: Pick<CredentialsSection, StaticKeyName>): CredentialSettings {
  const { accessKeyId, accessKeyIdFile, secretAccessKey, secretAccessKeyFile } = keys;
  const { sessionToken, sessionTokenFile } = keys;
  const key = { accessKeyId, accessKeyIdFile, secretAccessKey, secretAccessKeyFile };
  return { source: 'static', ...key, sessionToken, sessionTokenFile };
}

function ofSection(section: CredentialsSection, ownRegion: string | undefined): CredentialSettings {
  return OF_SOURCE[section.source]({ ...section, region: section.region ?? ownRegion });
}

type OfSource = (section: CredentialsSection) => CredentialSettings;

/** What a source needs was demanded when the file was read: an empty text stands for what cannot be missing. */
const OF_SOURCE: Readonly<Record<CredentialSourceName, OfSource>> = {
  auto: ({ profile, region }) => ({ source: 'auto', profile, region }),
  static: staticSettings,
  environment: () => ({ source: 'environment' }),
  profile: ({ profile, credentialsFile, configFile, region }) => ({
    source: 'profile',
    profile,
    credentialsFile,
    configFile,
    region,
  }),
  'env-file': ({ path = '' }) => ({ source: 'env-file', path }),
  process: ({ command = '', timeoutMs }) => ({ source: 'process', command, timeoutMs }),
  'assume-role': (section) => {
    const { roleArn = '', externalId, base, region } = section;
    const asking = base === undefined ? undefined : ofSection(base, region);
    return { source: 'assume-role', roleArn, externalId, base: asking, ...roleSettings(section) };
  },
  'web-identity': (section) => {
    const { roleArn, tokenFile } = section;
    return { source: 'web-identity', roleArn, tokenFile, ...roleSettings(section) };
  },
  container: ({ url, tokenFile }) => ({ source: 'container', url, tokenFile }),
  instance: ({ endpoint, timeoutMs }) => ({ source: 'instance', endpoint, timeoutMs }),
  sso: ({ profile }) => ({ source: 'sso', profile }),
  iot: iotSettings,
};

function roleSettings({ sessionName, durationMs, endpoint, region }: CredentialsSection) {
  const durationSeconds = durationMs === undefined ? undefined : Math.max(1, Math.round(durationMs / 1000));
  return { sessionName, durationSeconds, endpoint, region };
}

function iotSettings(section: CredentialsSection): CredentialSettings {
  const { thingName, passphrase, passphraseFile, pinFile, engine, pkcs11Module, caFile, timeoutMs } = section;
  return {
    source: 'iot',
    endpoint: section.endpoint ?? '',
    roleAlias: section.roleAlias ?? '',
    certificateFile: section.certificateFile ?? '',
    privateKey: section.privateKey ?? '',
    thingName,
    passphrase,
    passphraseFile,
    pinFile,
    engine,
    pkcs11Module,
    caFile,
    timeoutMs,
  };
}
