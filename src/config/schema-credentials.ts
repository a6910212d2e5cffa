/**
 * The keys of a `credentials` section: where the keys that requests to S3 are signed with come from. Which of them a
 * source has is said by `sources`.
 */
export const CREDENTIALS_KEYS = {
  source: {
    key: 'source',
    kind: 'choice',
    choices: [
      'auto',
      'static',
      'environment',
      'profile',
      'env-file',
      'process',
      'assume-role',
      'web-identity',
      'container',
      'instance',
      'sso',
      'iot',
    ],
    required: true,
    help: 'What is asked for keys; `auto` tries the usual AWS sources in their usual order.',
  },
  accessKeyId: {
    key: 'access-key-id',
    kind: 'text',
    sources: ['static'],
    help: 'S3 access key.',
  },
  accessKeyIdFile: {
    key: 'access-key-id-file',
    kind: 'text',
    sources: ['static'],
    fileOf: 'accessKeyId',
    help: 'File that holds the `access-key-id`; it is read again when it changes.',
  },
  secretAccessKey: {
    key: 'secret-access-key',
    kind: 'text',
    secret: true,
    sources: ['static'],
    help: 'The secret that belongs to `access-key-id`.',
  },
  secretAccessKeyFile: {
    key: 'secret-access-key-file',
    kind: 'text',
    sources: ['static'],
    fileOf: 'secretAccessKey',
    help: 'File that holds the `secret-access-key`; it is read again when it changes.',
  },
  sessionToken: {
    key: 'session-token',
    kind: 'text',
    secret: true,
    sources: ['static'],
    help: 'The token that belongs to a temporary access key.',
  },
  sessionTokenFile: {
    key: 'session-token-file',
    kind: 'text',
    sources: ['static'],
    fileOf: 'sessionToken',
    help: 'File that holds the `session-token`; it is read again when it changes.',
  },
  profile: {
    key: 'profile',
    kind: 'text',
    sources: ['profile', 'sso', 'assume-role'],
    help: 'Profile of the shared AWS files; with `assume-role`, the one whose keys ask for the role.',
    defaultNote: '`AWS_PROFILE`, else `default`',
  },
} as const;
