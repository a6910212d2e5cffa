/** What goes wrong between a device and the credentials endpoint of AWS IoT, in words that say what to do. */
import { networkProblem, saidBy } from './http.ts';
import type { EndpointAnswer } from './http.ts';
import { redact } from './redact.ts';

export interface Problem {
  readonly why: string;
  readonly hint?: string | undefined;
}

const CLOCK_HINT = 'Check the date and time of this machine.';
/** A clock that is further off than this makes signatures of S3 requests fail as well. */
const CLOCK_OFF_MS = 5 * 60_000;

/** A failure before there was an answer. */
export function tlsProblem(error: { readonly code?: string | undefined; readonly text: string }): Problem {
  const { code = '', text } = error;
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return { why: `its certificate is not valid at this time (${code})`, hint: CLOCK_HINT };
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return { why: 'its certificate is for another host name', hint: 'Check the endpoint.' };
  }
  if (/SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|CERT_/.test(code)) {
    return {
      why: `its certificate is not trusted here (${code})`,
      hint: 'Give the authority that signed it as CA file.',
    };
  }
  if (/ALERT/i.test(code) || /\balert\b/i.test(text)) {
    return { why: `it refused the device's certificate (${code || redact(text)})`, hint: CERTIFICATE_HINT };
  }
  const network = networkProblem(Object.assign(new Error(text), { code }));
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    return { why: `${network}, perhaps because it refused the device's certificate`, hint: CERTIFICATE_HINT };
  }
  return { why: network };
}

const CERTIFICATE_HINT =
  'Is the certificate registered, active, and signed by an authority that the endpoint knows?';

/** An answer that is not keys. */
export function refusal(answer: EndpointAnswer, roleAlias: string, nowMs: number): Problem {
  const why = saidBy(answer);
  const offMs = answer.dateMs === undefined ? 0 : nowMs - answer.dateMs;
  if (Math.abs(offMs) > CLOCK_OFF_MS) {
    const minutes = Math.round(Math.abs(offMs) / 60_000);
    return {
      why: `${why}; this machine's clock is ${minutes} min ${offMs > 0 ? 'ahead' : 'behind'}`,
      hint: CLOCK_HINT,
    };
  }
  if (answer.status === 403) {
    return {
      why,
      hint:
        `Is the certificate active, does its policy allow iot:AssumeRoleWithCertificate on the role alias ${roleAlias}, ` +
        'and may credentials.iot.amazonaws.com assume the role?',
    };
  }
  if (answer.status === 404) {
    return {
      why,
      hint: 'Check the role alias, and the endpoint: aws iot describe-endpoint --endpoint-type iot:CredentialProvider',
    };
  }
  return { why };
}

export type HsmProblem = Problem & { readonly pinRefused: boolean };

/**
 * A failure of the HSM or of the way to it; undefined when it is something else.
 *
 * @param text - OpenSSL's errors and what the engine printed; it may hold the PIN, so it is only looked at
 * @param module - the PKCS#11 library that was to be used, if one was named
 */
export function hsmProblem(
  text: string,
  key: string,
  engine: string,
  module: string | undefined,
): HsmProblem | undefined {
  const problem = (why: string, hint?: string, pinRefused = false): HsmProblem => ({ why, hint, pinRefused });
  if (/PIN locked/i.test(text)) {
    return problem(
      'the HSM is locked after too many wrong PINs',
      "Unlock it with the security officer's PIN.",
      true,
    );
  }
  if (/PIN (?:incorrect|invalid|len range|expired)/i.test(text)) {
    return problem(
      'the HSM refused the PIN',
      'It is not tried again, so that the HSM does not lock itself: correct the PIN, then send SIGHUP.',
      true,
    );
  }
  if (/Unable to load (?:PKCS#11 )?module/i.test(text)) {
    return problem(
      `the PKCS#11 library ${module ?? "(the engine's own choice)"} cannot be loaded`,
      "Give the path of the HSM's PKCS#11 library, for example /usr/lib/softhsm/libsofthsm2.so.",
    );
  }
  if (/could not load the shared library|dso not found|no such engine/i.test(text)) {
    return problem(`OpenSSL's PKCS#11 engine ${engine} cannot be loaded`, ENGINE_HINT);
  }
  if (/No PIN code was entered|processing error/i.test(text)) {
    return problem(
      'the HSM asks for a PIN and there is none',
      'Give it in a PIN file, or as pin-value in the URI.',
    );
  }
  if (/No matching initialized token|token was not found/i.test(text)) {
    return problem(`no token that is plugged in is the one of ${key}`, LIST_HINT);
  }
  if (/not a valid PKCS#11 URI|invalid id/i.test(text))
    return problem(`${key} is not a valid pkcs11: URI (RFC 7512)`);
  if (/object not found|private key was not found/i.test(text)) {
    return problem(`the HSM has no private key ${key}`, LIST_HINT);
  }
  if (/PKCS#11|pkcs11|engine routines/i.test(text)) return problem(`the HSM failed: ${reason(text)}`);
  return undefined;
}

export const ENGINE_HINT = 'Install it (Debian: apt-get install libengine-pkcs11-openssl), or give its path.';
const LIST_HINT = 'See what is there: pkcs11-tool --module LIBRARY --login --list-objects';

/** OpenSSL's words for the first failure: `error:418000E0:PKCS#11 module::Token not present` and so on. */
function reason(text: string): string {
  const found = /error:[0-9A-F]+:([^:;]*):[^:;]*:([^;]*)/i.exec(text);
  return redact(found === null ? 'unknown reason' : `${found[2]} (${found[1]})`);
}
