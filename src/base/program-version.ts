import { readFileSync } from 'node:fs';

/** This package's version, `v0.1.0`. `src/base` and `dist/base` lie equally deep below package.json. */
export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return `v${version}`;
}
