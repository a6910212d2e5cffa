/** Failures below HTTP: names, connections, certificates. */
import { systemCode } from '../base/errors.ts';

export interface NetworkFailure {
  /** Of Node.js or OpenSSL, as in `ECONNRESET`. */
  readonly systemCode: string;
  /** False when only a person can do something about it. */
  readonly retry: boolean;
  readonly hint: string | undefined;
}

const NAME_HINT = 'The name cannot be looked up: is it spelled right, and is DNS reachable from here?';
const UNREACHABLE_HINT =
  'Nothing answers there: are host and port right, is the network up, does a firewall let it through?';
const CERTIFICATE_HINT =
  'The certificate of the server is not trusted: name the file of the authority that signed it as `ca-file` or in SSL_CERT_FILE, and look at the clock of this machine.';

/** What passes by itself, and what people can do when it does not. */
const PASSING: Readonly<Record<string, string | undefined>> = {
  ENOTFOUND: NAME_HINT,
  EAI_AGAIN: NAME_HINT,
  EAI_NODATA: NAME_HINT,
  ECONNREFUSED: UNREACHABLE_HINT,
  EHOSTUNREACH: UNREACHABLE_HINT,
  ENETUNREACH: UNREACHABLE_HINT,
  EHOSTDOWN: UNREACHABLE_HINT,
  ENETDOWN: UNREACHABLE_HINT,
  ETIMEDOUT: UNREACHABLE_HINT,
  ECONNRESET: undefined,
  ECONNABORTED: undefined,
  EPIPE: undefined,
  EADDRNOTAVAIL: undefined,
  EMFILE: 'Too many files are open: raise the limit (ulimit -n).',
  ERR_STREAM_PREMATURE_CLOSE: undefined,
  ERR_STREAM_DESTROYED: undefined,
};

const CERTIFICATE =
  /^(CERT_|ERR_TLS_CERT|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT|UNABLE_TO_|HOSTNAME_MISMATCH)/;
const PROTOCOL = /^(ERR_SSL_|EPROTO|HPE_)/;

/** What `error`, or the failure that caused it, says about the network; undefined when it is about something else. */
export function networkFailureOf(error: unknown): NetworkFailure | undefined {
  const code = codeWithin(error);
  if (code === undefined) return undefined;
  if (Object.hasOwn(PASSING, code)) return { systemCode: code, retry: true, hint: PASSING[code] };
  if (CERTIFICATE.test(code)) return { systemCode: code, retry: false, hint: CERTIFICATE_HINT };
  if (PROTOCOL.test(code)) {
    return {
      systemCode: code,
      retry: true,
      hint: 'Is this the right port, and https or http as it should be?',
    };
  }
  return undefined;
}

/** Clients wrap what happened; several addresses that were tried in turn come as one error that holds all. */
function codeWithin(error: unknown): string | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const code = systemCode(at);
    if (code !== undefined && isKnown(code)) return code;
    const first: unknown = at instanceof AggregateError ? at.errors[0] : undefined;
    if (first !== undefined) return codeWithin(first);
  }
  return undefined;
}

function isKnown(code: string): boolean {
  return Object.hasOwn(PASSING, code) || CERTIFICATE.test(code) || PROTOCOL.test(code);
}
