/**
 * The certificate authorities that TLS connections of this process trust: those of Node.js, those of the system, and the site's own.
 * Node.js alone takes no notice of the system's store, nor of the variables by which other programs find an authority.
 *
 * Trust belongs to the whole process: the libraries for credentials make connections of their own, and so must find it, too.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { messageOf, RivuletError } from './errors.ts';

/** In place of the system's file, and of its directories, with a colon between two of them. */
const FILE_VARIABLE = 'SSL_CERT_FILE';
const DIRECTORIES_VARIABLE = 'SSL_CERT_DIR';
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
/** Debian and Alpine; Fedora and its kin, old and new; SUSE; the BSDs and others. */
const SYSTEM_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];
const SYSTEM_DIRECTORIES = ['/etc/ssl/certs', '/etc/pki/tls/certs'];

type Environment = Readonly<Record<string, string | undefined>>;

export interface AuthorityFile {
  readonly path: string;
  /** Names the file in an error: a key of the configuration or a variable. */
  readonly what: string;
}

/** Since Node.js 24.5; before that, there is NODE_EXTRA_CA_CERTS alone. */
const setDefault: typeof tls.setDefaultCACertificates | undefined = tls.setDefaultCACertificates;

/** In the order in which they came; undefined until the first TLS connection is to be made. */
let trusted: Set<string> | undefined;

/**
 * Sees to it that connections made from now on trust all of them.
 *
 * @param files - PEM files of authorities beside the system's
 * @throws RivuletError `CONFIG_INVALID` for a file that cannot be read or holds no certificate
 */
export function trustAuthorities(files: readonly AuthorityFile[], environment: Environment): void {
  const before = trusted?.size ?? 0;
  const own = files.flatMap(certificatesIn);
  trusted ??= new Set([...tls.getCACertificates('default'), ...systemCertificates(environment)]);
  for (const certificate of own) trusted.add(certificate);
  if (trusted.size > before) setDefault?.([...trusted]);
}

/** Node.js reads the stores of macOS and Windows. Of this one it takes less than other programs do, and complains on standard error. */
function systemCertificates(environment: Environment): string[] {
  const hasOwnStore = process.platform === 'darwin' || process.platform === 'win32';
  if (hasOwnStore) return tls.getCACertificates('system');
  const file = environment[FILE_VARIABLE];
  const directories = environment[DIRECTORIES_VARIABLE]?.split(':').filter((path) => path !== '');
  const files = [
    ...(file ? [file] : SYSTEM_FILES.filter((path) => existsSync(path)).slice(0, 1)),
    ...(directories?.length ? directories : SYSTEM_DIRECTORIES).flatMap(filesIn),
  ];
  const found = new Set(files.flatMap((path) => certificatesIfThere(path)));
  return [...found].filter(isCertificate);
}

/** Without links within the directory: they name a file a second time, by its hash. */
function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .map((name) => join(directory, name))
      .filter((path) => !lstatSync(path).isSymbolicLink() || readlinkSync(path).includes('/'))
      .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
  } catch {
    return [];
  }
}

/** One file in the system's store that nobody can read must not keep the others from being used. */
function certificatesIfThere(path: string): string[] {
  try {
    return readFileSync(path, 'latin1').match(PEM) ?? [];
  } catch {
    return [];
  }
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}

function certificatesIn({ path, what }: AuthorityFile): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    throw unusable(what, path, `cannot be read: ${messageOf(error)}`, error);
  }
  const found = text.match(PEM) ?? [];
  if (found.length === 0) throw unusable(what, path, 'holds no certificate in PEM form');
  const broken = found.findIndex((pem) => !isCertificate(pem));
  if (broken >= 0) throw unusable(what, path, `has a certificate that cannot be read, number ${broken + 1}`);
  return found;
}

function unusable(what: string, path: string, problem: string, cause?: unknown): RivuletError {
  return new RivuletError('CONFIG_INVALID', `\`${what}\`, ${path}, ${problem}`, {
    cause,
    hint: 'Give a file with the certificate of the authority, as in "-----BEGIN CERTIFICATE-----".',
    details: { path },
  });
}
