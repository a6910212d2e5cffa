import type { AwsKeys } from '../storage/aws-keys.ts';

/** Looks a variable up; an empty one counts as absent. */
export type Variables = (name: string) => string | undefined;

export function fromRecord(record: Readonly<Record<string, string | undefined>>): Variables {
  return (name) => record[name] || undefined;
}

/** The names that AWS SDKs and Litestream read, each pair with what belongs to it. The first whole pair is taken. */
const PAIRS: readonly { id: string; secret: string; token?: string }[] = [
  { id: 'AWS_ACCESS_KEY_ID', secret: 'AWS_SECRET_ACCESS_KEY', token: 'AWS_SESSION_TOKEN' },
  { id: 'AWS_ACCESS_KEY', secret: 'AWS_SECRET_KEY', token: 'AWS_SESSION_TOKEN' },
  { id: 'LITESTREAM_ACCESS_KEY_ID', secret: 'LITESTREAM_SECRET_ACCESS_KEY' },
];

/** Whether any of the variables is there, so that the keys are meant to come from them. */
export function mentionsKeys(variable: Variables): boolean {
  return PAIRS.some(({ id, secret }) => variable(id) !== undefined || variable(secret) !== undefined);
}

/**
 * Keys from variables. A key of one pair is never used with the secret of another.
 *
 * @throws Error with one clause that says what is missing
 */
export function keysFromVariables(variable: Variables): AwsKeys {
  for (const { id, secret, token } of PAIRS) {
    const accessKeyId = variable(id);
    const secretAccessKey = variable(secret);
    if (accessKeyId === undefined || secretAccessKey === undefined) continue;
    const sessionToken =
      token === undefined ? undefined : (variable(token) ?? variable('AWS_SECURITY_TOKEN'));
    return { accessKeyId, secretAccessKey, sessionToken, expiresAtMs: expiryOf(variable) };
  }
  throw new Error(whatIsMissing(variable));
}

/** `AWS_CREDENTIAL_EXPIRATION`, as the AWS tools write it; an unreadable one tells nothing. */
function expiryOf(variable: Variables): number | undefined {
  const text = variable('AWS_CREDENTIAL_EXPIRATION');
  const timeMs = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

function whatIsMissing(variable: Variables): string {
  for (const { id, secret } of PAIRS) {
    if (variable(id) !== undefined) return `it has ${id} but not ${secret}`;
    if (variable(secret) !== undefined) return `it has ${secret} but not ${id}`;
  }
  return 'it has no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY';
}
