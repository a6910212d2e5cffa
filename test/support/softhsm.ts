/** A hardware security module in software: SoftHSM with a token of its own, for keys that never leave it. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { findEngine } from '../../src/credentials/pkcs11-engine.ts';

const LIBRARIES = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
];
const INSTALL = 'apt-get install -y --no-install-recommends softhsm2 libengine-pkcs11-openssl';
const COMMAND_TIMEOUT_MS = 30_000;

/** Undefined when SoftHSM can be used here; otherwise why not, and how to install it. */
export function whyNoSoftHsm(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const missing = [
    ...(folders.some((folder) => existsSync(join(folder, 'softhsm2-util'))) ? [] : ['softhsm2-util']),
    ...(library() === undefined ? ['libsofthsm2.so'] : []),
    ...(findEngine() === undefined ? ["OpenSSL's PKCS#11 engine"] : []),
  ];
  if (missing.length === 0) return undefined;
  return `SoftHSM is not installed (no ${missing.join(', ')}); to install it: ${INSTALL}`;
}

function library(): string | undefined {
  return LIBRARIES.find((path) => existsSync(path));
}

/** One token with the label `dev`. Its files go with its scope. */
export class SoftHsm implements Disposable {
  readonly pin = '739164';
  readonly module: string;
  /** For processes that use the token. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #directory: string;
  #keys = 0;

  constructor() {
    const why = whyNoSoftHsm();
    const module = library();
    if (why !== undefined || module === undefined) throw new Error(why);
    this.module = module;
    this.#directory = mkdtempSync(join(tmpdir(), 'rivulet-hsm-'));
    const tokens = join(this.#directory, 'tokens');
    mkdirSync(tokens);
    const configuration = join(this.#directory, 'softhsm2.conf');
    writeFileSync(
      configuration,
      `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`,
    );
    this.environment = { SOFTHSM2_CONF: configuration };
    this.#run('--init-token', '--free', '--label', 'dev', '--pin', this.pin, '--so-pin', this.pin);
  }

  /** Puts a key (PEM, PKCS #8) into the token; its name there. */
  import(label: string, key: string): string {
    const path = join(this.#directory, 'import.key');
    writeFileSync(path, key);
    const id = String(++this.#keys).padStart(2, '0');
    this.#run('--import', path, '--token', 'dev', '--label', label, '--id', id, '--pin', this.pin);
    rmSync(path);
    return `pkcs11:token=dev;object=${label};type=private`;
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #run(...args: string[]): void {
    execFileSync('softhsm2-util', args, {
      env: { ...process.env, ...this.environment },
      stdio: 'pipe',
      timeout: COMMAND_TIMEOUT_MS,
    });
  }
}
