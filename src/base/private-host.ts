import { BlockList, isIP } from 'node:net';

const PRIVATE_NETS = new BlockList();
PRIVATE_NETS.addSubnet('127.0.0.0', 8);
PRIVATE_NETS.addSubnet('10.0.0.0', 8);
PRIVATE_NETS.addSubnet('172.16.0.0', 12);
PRIVATE_NETS.addSubnet('192.168.0.0', 16);
PRIVATE_NETS.addSubnet('169.254.0.0', 16);
PRIVATE_NETS.addAddress('::1', 'ipv6');
PRIVATE_NETS.addSubnet('fc00::', 7, 'ipv6');
PRIVATE_NETS.addSubnet('fe80::', 10, 'ipv6');

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

/** Whether what is sent there stays on this machine. @param hostname - as in a URL */
export function isThisMachine(hostname: string): boolean {
  return isLocalName(hostname) || isIn(LOOPBACK, hostname);
}

/**
 * Whether an address is one of this machine or of a private network. A name says nothing, except `localhost`.
 *
 * @param hostname - as in a URL, an IPv6 address with or without its brackets
 */
export function isPrivateHost(hostname: string): boolean {
  return isLocalName(hostname) || isIn(PRIVATE_NETS, hostname);
}

function isLocalName(hostname: string): boolean {
  const host = hostname.toLowerCase();
  return host === 'localhost' || host.endsWith('.localhost');
}

function isIn(nets: BlockList, hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '');
  const version = isIP(host);
  return version !== 0 && nets.check(host, version === 6 ? 'ipv6' : 'ipv4');
}
