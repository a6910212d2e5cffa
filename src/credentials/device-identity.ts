/** What a device shows to an endpoint that asks for a certificate; all of it is read from its files again each time. */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { messageOf } from '../base/errors.ts';
import type { IotSettings } from './settings.ts';

export interface DeviceCertificate {
  readonly pem: string;
  /** The first one in the file: the device's own. */
  readonly certificate: X509Certificate;
}

/** @throws Error with one clause */
export async function readCertificate(path: string, nowMs: number): Promise<DeviceCertificate> {
  const pem = await readPem('certificate', path);
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch {
    throw new Error(`the certificate file ${path} holds no certificate in PEM`);
  }
  assertInTime(certificate, path, nowMs);
  return { pem, certificate };
}

function assertInTime(certificate: X509Certificate, path: string, nowMs: number): void {
  const { validToDate, validFromDate } = certificate;
  const now = new Date(nowMs).toISOString();
  if (validToDate.getTime() < nowMs) {
    throw new Error(
      `the certificate ${path} was valid until ${validToDate.toISOString()}, and it is ${now} by this machine's clock`,
    );
  }
  if (validFromDate.getTime() > nowMs) {
    throw new Error(
      `the certificate ${path} is valid from ${validFromDate.toISOString()}, and it is ${now} by this machine's clock`,
    );
  }
}

/** The key from a file. @throws Error with one clause */
export async function readPrivateKey(settings: IotSettings, certificate: X509Certificate): Promise<string> {
  const pem = await readPem('private key', settings.privateKey);
  const passphrase = await readSecretFile('passphrase', settings.passphraseFile, settings.passphrase);
  const key = decode(pem, passphrase, settings.privateKey);
  if (!certificate.checkPrivateKey(key)) {
    throw new Error(
      `the private key ${settings.privateKey} does not belong to the certificate ${settings.certificateFile}`,
    );
  }
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function decode(pem: string, passphrase: string | undefined, path: string): KeyObject {
  try {
    return createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    throw new Error(whyNoKey(pem, passphrase, path), { cause: error });
  }
}

function whyNoKey(pem: string, passphrase: string | undefined, path: string): string {
  if (!pem.includes('ENCRYPTED')) return `the private key file ${path} holds no private key in PEM`;
  if (passphrase === undefined) return `the private key ${path} is encrypted and there is no passphrase`;
  return `the passphrase does not open the private key ${path}`;
}

export async function readPem(what: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new Error(`the ${what} file cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** The first line of a file, or else the text from the settings. @throws Error with one clause */
export async function readSecretFile(
  what: string,
  path: string | undefined,
  text: string | undefined,
): Promise<string | undefined> {
  if (path === undefined) return text;
  return (await readPem(what, path)).split(/\r?\n/, 1)[0];
}
