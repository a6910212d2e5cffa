import { readFileSync } from 'node:fs';

/** This package's version, `v0.1.0`. The build puts the text itself in the place of this file. */
export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return `v${version}`;
}
