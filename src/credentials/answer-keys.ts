import type { AwsKeys } from '../storage/aws-keys.ts';

/** The names under which an endpoint gives keys. */
export interface KeyNames {
  readonly id: string;
  readonly secret: string;
  readonly token: string;
  readonly expiration: string;
}

/** As the container and instance endpoints have them. */
export const METADATA_NAMES: KeyNames = {
  id: 'AccessKeyId',
  secret: 'SecretAccessKey',
  token: 'Token',
  expiration: 'Expiration',
};

/** @throws Error with one clause; the answer is never part of it */
export function keysIn(answer: Readonly<Record<string, unknown>>, names: KeyNames): AwsKeys {
  const id = answer[names.id];
  const secret = answer[names.secret];
  const token = answer[names.token];
  const expiration = answer[names.expiration];
  if (typeof id !== 'string' || typeof secret !== 'string' || id === '' || secret === '') {
    throw new Error(`its answer has no ${names.id} and ${names.secret}`);
  }
  const expiresAtMs = typeof expiration === 'string' ? Date.parse(expiration) : undefined;
  if (Number.isNaN(expiresAtMs)) throw new Error(`the ${names.expiration} in its answer is not a time`);
  return {
    accessKeyId: id,
    secretAccessKey: secret,
    sessionToken: typeof token === 'string' && token !== '' ? token : undefined,
    expiresAtMs,
  };
}
