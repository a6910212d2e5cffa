/** Where keys come from, as the configuration settles it: one shape for each source. Every path is absolute. */

export type CredentialSettings =
  | AutoSettings
  | StaticSettings
  | EnvironmentSettings
  | ProfileSettings
  | EnvFileSettings
  | ProcessSettings
  | AssumeRoleSettings
  | WebIdentitySettings
  | ContainerSettings
  | InstanceSettings
  | SsoSettings
  | IotSettings;

export type CredentialSourceName = CredentialSettings['source'];

/** The usual AWS sources in their usual order. */
export interface AutoSettings {
  readonly source: 'auto';
  readonly profile?: string | undefined;
  /** For sources that ask the STS service. */
  readonly region?: string | undefined;
}

/** Each value as text, or as a file that is read again when it changes; a file wins over a text. */
export interface StaticSettings {
  readonly source: 'static';
  readonly accessKeyId?: string | undefined;
  readonly accessKeyIdFile?: string | undefined;
  readonly secretAccessKey?: string | undefined;
  readonly secretAccessKeyFile?: string | undefined;
  readonly sessionToken?: string | undefined;
  readonly sessionTokenFile?: string | undefined;
}

/** `AWS_*` and `LITESTREAM_*` variables of this process. */
export interface EnvironmentSettings {
  readonly source: 'environment';
}

/** A profile of the shared AWS files, whatever it says: keys, a role, a process, SSO. */
export interface ProfileSettings {
  readonly source: 'profile';
  /** `AWS_PROFILE`, else `default`, when absent. */
  readonly profile?: string | undefined;
  /** `AWS_SHARED_CREDENTIALS_FILE`, else `~/.aws/credentials`, when absent. */
  readonly credentialsFile?: string | undefined;
  /** `AWS_CONFIG_FILE`, else `~/.aws/config`, when absent. */
  readonly configFile?: string | undefined;
  readonly region?: string | undefined;
}

/** A file in the format of systemd's `EnvironmentFile`. */
export interface EnvFileSettings {
  readonly source: 'env-file';
  readonly path: string;
}

/** A program that prints keys, as `credential_process` of the shared AWS files does. */
export interface ProcessSettings {
  readonly source: 'process';
  /** Program and arguments; `"` and `'` quote; no shell reads it. */
  readonly command: string;
  /** 1 minute when absent. */
  readonly timeoutMs?: number | undefined;
}

/** A role, with the keys of another source. */
export interface AssumeRoleSettings {
  readonly source: 'assume-role';
  readonly roleArn: string;
  /** Two characters at least; `rivulet` when absent. */
  readonly sessionName?: string | undefined;
  readonly externalId?: string | undefined;
  /** How long the keys shall live, in seconds; the service's default (an hour) when absent. */
  readonly durationSeconds?: number | undefined;
  /** URL of another STS service than AWS's. */
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  /** Whose keys ask for the role; `auto` when absent. */
  readonly base?: CredentialSettings | undefined;
}

/** A role, with a token in a file that somebody else keeps fresh (EKS, OIDC). */
export interface WebIdentitySettings {
  readonly source: 'web-identity';
  /** `AWS_ROLE_ARN` when absent. */
  readonly roleArn?: string | undefined;
  /** `AWS_WEB_IDENTITY_TOKEN_FILE` when absent; read again each time. */
  readonly tokenFile?: string | undefined;
  /** `AWS_ROLE_SESSION_NAME`, else `rivulet`, when absent. */
  readonly sessionName?: string | undefined;
  readonly durationSeconds?: number | undefined;
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
}

/** The endpoint that ECS and EKS (pod identity) give to a container. */
export interface ContainerSettings {
  readonly source: 'container';
  /** What `AWS_CONTAINER_CREDENTIALS_FULL_URI` or `_RELATIVE_URI` say, when absent. */
  readonly url?: string | undefined;
  /** `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` when absent; read again each time. */
  readonly tokenFile?: string | undefined;
}

/** The instance metadata service of EC2, version 2. */
export interface InstanceSettings {
  readonly source: 'instance';
  /** `AWS_EC2_METADATA_SERVICE_ENDPOINT`, else `http://169.254.169.254`, when absent. */
  readonly endpoint?: string | undefined;
  /** For each request; 1 s when absent, so that a machine elsewhere does not hang. */
  readonly timeoutMs?: number | undefined;
}

/** A profile with `sso_*` keys, after `aws sso login`. */
export interface SsoSettings {
  readonly source: 'sso';
  readonly profile?: string | undefined;
}

/** The credentials endpoint of AWS IoT: the device shows its certificate. */
export interface IotSettings {
  readonly source: 'iot';
  /** `host`, `host:port`, or `https://host:port`. */
  readonly endpoint: string;
  readonly roleAlias: string;
  readonly thingName?: string | undefined;
  /** PEM; read again at each connection, as all files here. */
  readonly certificateFile: string;
  /** Path of a PEM file, or a `pkcs11:` URI for a key that never leaves its HSM. */
  readonly privateKey: string;
  readonly passphrase?: string | undefined;
  /** File that holds the passphrase. */
  readonly passphraseFile?: string | undefined;
  /** File that holds the PIN of the HSM; wins over `pin-value` and `pin-source` in the URI. */
  readonly pinFile?: string | undefined;
  /** OpenSSL's PKCS#11 engine; looked for in the usual places when absent. */
  readonly engine?: string | undefined;
  /** The HSM's PKCS#11 library; `PKCS11_MODULE_PATH`, else the engine's own choice, when absent. One for the process. */
  readonly pkcs11Module?: string | undefined;
  /** PEM of who signed the endpoint's certificate; what the system and Node.js trust when absent. */
  readonly caFile?: string | undefined;
  /** For the whole exchange; 10 s when absent. */
  readonly timeoutMs?: number | undefined;
}
