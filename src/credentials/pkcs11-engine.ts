import { existsSync } from 'node:fs';

/** Where distributions put the engine of the package `libengine-pkcs11-openssl`, `openssl-pkcs11` or `libp11`. */
const FOLDERS = [
  '/usr/lib/x86_64-linux-gnu/engines-3',
  '/usr/lib/aarch64-linux-gnu/engines-3',
  '/usr/lib/arm-linux-gnueabihf/engines-3',
  '/usr/lib/riscv64-linux-gnu/engines-3',
  '/usr/lib64/engines-3',
  '/usr/lib/engines-3',
  '/usr/local/lib64/engines-3',
  '/usr/local/lib/engines-3',
  '/opt/homebrew/lib/engines-3',
];
const NAMES = ['pkcs11.so', 'libpkcs11.so', 'pkcs11.dylib'];

/** Path of OpenSSL's PKCS#11 engine on this machine; undefined when it is in none of the usual places. */
export function findEngine(exists: (path: string) => boolean = existsSync): string | undefined {
  return FOLDERS.flatMap((folder) => NAMES.map((name) => `${folder}/${name}`)).find((path) => exists(path));
}
