import type { Given, KeySpec, KeySpecs } from './key-spec.ts';
import { absolutePath } from './paths.ts';
import { CREDENTIALS_KEYS } from './schema-credentials.ts';
import type { CredentialsSection } from './settings.ts';
import { settle } from './settle.ts';
import type { Settling } from './settle.ts';
import { isWhole, reportDoubleForms } from './static-keys.ts';

const SPECS: KeySpecs = CREDENTIALS_KEYS;

/** A `credentials` section whose keys belong to its source; undefined when they do not, which is reported. */
export function credentialsSection(
  given: Given<'credentials'>,
  settling: Settling,
): CredentialsSection | undefined {
  const { source } = given;
  if (source === undefined) return undefined;
  const isRight = [
    refuseForeignKeys(given, source, settling),
    demandKeys(given, source, settling),
    source !== 'static' || checkStatic(given, settling),
    checkPassphrase(given, settling),
  ].every(Boolean);
  if (!isRight) return undefined;
  const base = given.base === undefined ? undefined : credentialsSection(given.base, settling);
  if (given.base !== undefined && base === undefined) return undefined;
  const settled = settle('credentials', given);
  const paths = Object.entries(SPECS)
    .filter(([property, spec]) => isPath(spec) && valueOf(settled, property) !== undefined)
    .map(([property]) => [property, absolutePath(String(valueOf(settled, property)), settling)]);
  return {
    ...settled,
    source,
    base,
    ...Object.fromEntries(paths),
    privateKey: privateKeyOf(given, settling),
  };
}

/** A key in an HSM has a URI, not a path. */
function privateKeyOf({ privateKey }: Given<'credentials'>, settling: Settling): string | undefined {
  if (privateKey === undefined || privateKey.startsWith('pkcs11:')) return privateKey;
  return absolutePath(privateKey, settling);
}

function isPath(spec: KeySpec): boolean {
  return spec.isPath === true || spec.fileOf !== undefined;
}

function valueOf(section: object, property: string): unknown {
  return (section as Readonly<Record<string, unknown>>)[property];
}

function refuseForeignKeys(given: Given<'credentials'>, source: string, settling: Settling): boolean {
  const foreign = Object.entries(SPECS).filter(
    ([property, { sources }]) =>
      valueOf(given, property) !== undefined && sources !== undefined && !sources.includes(source),
  );
  for (const [property, { sources = [] }] of foreign) {
    settling.problem(given, property, `is a key of the source ${sources.join(', ')}; this one is ${source}`);
  }
  return foreign.length === 0;
}

function demandKeys(given: Given<'credentials'>, source: string, settling: Settling): boolean {
  const missing = Object.entries(SPECS).filter(
    ([property, { neededBy }]) =>
      neededBy?.includes(source) === true && valueOf(given, property) === undefined,
  );
  for (const [property, { key }] of missing) {
    if (!settling.has(given, property) || !settling.wasReported(given, property)) {
      settling.problem(given, undefined, `the source ${source} needs \`${key}\``);
    }
  }
  return missing.length === 0;
}

function checkStatic(given: Given<'credentials'>, settling: Settling): boolean {
  const isDouble = reportDoubleForms(given, given, settling);
  return isWhole(given, (message) => settling.problem(given, undefined, message)) && !isDouble;
}

function checkPassphrase(given: Given<'credentials'>, settling: Settling): boolean {
  if (given.passphrase === undefined || given.passphraseFile === undefined) return true;
  settling.problem(given, 'passphraseFile', 'cannot be given beside `passphrase`');
  return false;
}
