/**
 * Completes package-lock.json with the optional packages of other platforms. A registry that mirrors only some
 * platforms makes npm leave the others out, and then `npm ci` refuses the lock everywhere. The entries need no more
 * than a version and the platform that the package's name tells. Run it after each change of dependencies.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = fileURLToPath(new URL('../package-lock.json', import.meta.url));
const SYSTEMS = [
  'darwin',
  'linux',
  'win32',
  'freebsd',
  'android',
  'openharmony',
  'netbsd',
  'openbsd',
  'sunos',
  'aix',
];
const PROCESSORS = ['arm64', 'x64', 'ia32', 'arm', 'ppc64', 'riscv64', 's390x', 'loong64', 'mips64el'];

function words(name) {
  return name.split(/[/-]/);
}

function platformOf(name) {
  const parts = words(name);
  const os = parts.find((part) => SYSTEMS.includes(part)) ?? (parts.includes('win') ? 'win32' : undefined);
  const cpu =
    parts.find((part) => PROCESSORS.includes(part)) ?? (parts.includes('armv7') ? 'arm' : undefined);
  return { ...(os === undefined ? {} : { os: [os] }), ...(cpu === undefined ? {} : { cpu: [cpu] }) };
}

const lock = JSON.parse(readFileSync(file, 'utf8'));
for (const [place, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    if (lock.packages[key] !== undefined || lock.packages[`${place}/${key}`] !== undefined) continue;
    lock.packages[key] = {
      version,
      ...platformOf(name),
      ...(entry.dev ? { dev: true } : {}),
      optional: true,
    };
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`);
