import {
  authorityOf,
  need,
  networkSettings,
  bucketPathOf,
  problemOf,
  secretOf,
  holdsUser,
} from './destination-parts.ts';
import type { DestinationParts, Secret } from './destination-parts.ts';
import type { AbsDestination } from './settings.ts';

/** The identity: a signature, else a shared key, else neither, which means the default identity of the machine. */
export function buildAbs(parts: DestinationParts): AbsDestination | undefined {
  const { given, url, settled } = parts;
  const { endpoint } = settled;
  const accountName = given.accountName ?? url.accountName;
  const bucket = need(parts, 'bucket', given.bucket ?? url.bucket);
  const account = endpoint === undefined ? need(parts, 'accountName', accountName) : '';
  if (bucket === undefined || account === undefined) return undefined;
  if (endpoint !== undefined && holdsUser(endpoint)) problemOf(parts, 'endpoint', 'must not hold a user');
  const { sas, key } = secretsOf(parts);
  return {
    type: 'abs',
    accountName,
    accountKey: key.value,
    accountKeyFile: key.file,
    sasToken: sas.value?.replace(/^\?/, ''),
    sasTokenFile: sas.file,
    bucket,
    path: bucketPathOf(parts),
    endpoint,
    caFile: authorityOf(parts),
    ...networkSettings(parts),
  };
}

const NONE: Secret = { value: undefined, file: undefined };

/** At most one of the two. What is written wins over what the environment has; there, the signature comes first. */
function secretsOf(parts: DestinationParts): { readonly sas: Secret; readonly key: Secret } {
  const { accountKey, accountKeyFile, sasToken, sasTokenFile } = parts.settled;
  const isKeyWritten = accountKey !== undefined || accountKeyFile !== undefined;
  const isSasWritten = sasToken !== undefined || sasTokenFile !== undefined;
  if (isKeyWritten && isSasWritten) {
    const written = sasToken === undefined ? 'sasTokenFile' : 'sasToken';
    problemOf(parts, written, 'cannot be given beside an account key: choose one');
  }
  const sas = isKeyWritten ? NONE : secretOf(parts, 'sasToken', 'sasTokenFile');
  const key = sas.value === undefined ? secretOf(parts, 'accountKey', 'accountKeyFile') : NONE;
  return { sas, key };
}
