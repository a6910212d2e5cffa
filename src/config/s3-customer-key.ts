import { isPrivateHost } from '../base/private-host.ts';
import { problemOf, secretOf } from './destination-parts.ts';
import type { DestinationParts } from './destination-parts.ts';
import type { S3Destination } from './settings.ts';

type CustomerKeySettings = Pick<
  S3Destination,
  'sseCustomerAlgorithm' | 'sseCustomerKey' | 'sseCustomerKeyPath'
>;

/** What S3 calls SSE-C: the key goes along with each request, so it must be whole and must not be overheard. */
export function customerKeySettings(
  parts: DestinationParts,
  endpoint: string | undefined,
): CustomerKeySettings {
  const { sseCustomerAlgorithm: algorithm, sseKmsKeyId } = parts.settled;
  const { value, file } = secretOf(parts, 'sseCustomerKey', 'sseCustomerKeyPath');
  const where = file === undefined ? 'sseCustomerKey' : 'sseCustomerKeyPath';
  if (algorithm !== undefined && algorithm !== 'AES256') {
    problemOf(parts, 'sseCustomerAlgorithm', 'must be AES256, there is no other');
  }
  if (value === undefined) {
    if (algorithm !== undefined && file === undefined) {
      problemOf(parts, 'sseCustomerAlgorithm', 'needs `sse-customer-key` or `sse-customer-key-path`');
    }
  } else if (Buffer.from(value, 'base64').length !== 32 || !/^[A-Za-z0-9+/]{43}=$/.test(value)) {
    problemOf(parts, where, 'is not 32 bytes in base64 (44 characters)');
  } else if (sseKmsKeyId !== undefined) {
    problemOf(parts, where, 'cannot be given beside `sse-kms-key-id`: choose one');
  } else if (endpoint !== undefined && isOverheard(endpoint)) {
    problemOf(parts, where, 'would go over the network in the clear: use https');
  }
  return {
    sseCustomerAlgorithm: value === undefined ? undefined : 'AES256',
    sseCustomerKey: value,
    sseCustomerKeyPath: file,
  };
}

/** Plain HTTP to a host that is neither this machine nor an address of a private network. Other names say nothing. */
function isOverheard(endpoint: string): boolean {
  const host = /^http:\/\/(\[[^\]]*\]|[^/:?#]*)/i.exec(endpoint)?.[1];
  return host !== undefined && !isPrivateHost(host);
}
