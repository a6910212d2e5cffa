/** X.509 certificates for tests, made with nothing but Node.js (RFC 5280, ECDSA on P-256). */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

export interface Identity {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  readonly privateKey: KeyObject;
  readonly name: string;
}

export interface IdentityOptions {
  readonly name: string;
  /** Who signs it; itself when absent. */
  readonly issuer?: Identity;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

const DAY_MS = 24 * 3_600_000;

/** A new key with its certificate, good for `localhost` and `127.0.0.1`, and for signing others. */
export function makeIdentity({
  name,
  issuer,
  notBefore = new Date(Date.now() - DAY_MS),
  notAfter = new Date(Date.now() + DAY_MS),
}: IdentityOptions): Identity {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_SHA256,
    commonName(issuer?.name ?? name),
    sequence(time(notBefore), time(notAfter)),
    commonName(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(alternativeNames(), basicConstraints(issuer === undefined))),
  );
  const signature = sign('sha256', body, issuer?.privateKey ?? privateKey);
  const certificate = sequence(
    body,
    ECDSA_SHA256,
    tagged(0x03, Buffer.concat([Buffer.from([0]), signature])),
  );
  return {
    certificate: pem(certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    privateKey,
    name,
  };
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 128) return Buffer.concat([Buffer.from([tag, length]), content]);
  const bytes = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...bytes]), content]);
}

function sequence(...parts: Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes);
}

function objectId(...body: number[]): Buffer {
  return tagged(0x06, Buffer.from(body));
}

const ECDSA_SHA256 = sequence(objectId(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));

function commonName(name: string): Buffer {
  const attribute = sequence(objectId(0x55, 0x04, 0x03), tagged(0x0c, Buffer.from(name)));
  return sequence(tagged(0x31, attribute));
}

/** GeneralizedTime. */
function time(date: Date): Buffer {
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, '');
  return tagged(0x18, Buffer.from(text));
}

function alternativeNames(): Buffer {
  const names = sequence(tagged(0x82, Buffer.from('localhost')), tagged(0x87, Buffer.from([127, 0, 0, 1])));
  return sequence(objectId(0x55, 0x1d, 0x11), tagged(0x04, names));
}

function basicConstraints(isAuthority: boolean): Buffer {
  const content = isAuthority ? sequence(tagged(0x01, Buffer.from([0xff]))) : sequence();
  return sequence(objectId(0x55, 0x1d, 0x13), tagged(0x01, Buffer.from([0xff])), tagged(0x04, content));
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
