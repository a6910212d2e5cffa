import { isIP } from 'node:net';

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

const PRIVATE_ADDRESS = /^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|\[?(::1|f[cd]|fe80))/i;

/** Plain HTTP to a host that is neither this machine nor in a private network. A name without a dot is a local one. */
function isOverheard(endpoint: string): boolean {
  const match = /^http:\/\/(\[[^\]]*\]|[^/:?#]*)/i.exec(endpoint);
  if (match === null) return false;
  const host = match[1] ?? '';
  if (isIP(host.replace(/^\[|\]$/g, '')) !== 0) return !PRIVATE_ADDRESS.test(host);
  return host.includes('.') && !/(^|\.)localhost$|\.(internal|local|lan|home\.arpa)$/i.test(host);
}
