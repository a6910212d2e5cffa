import { Document, visit } from 'yaml';

import { isVisible, visibleLines } from '../base/visible-text.ts';
import type { KeySpec, KeySpecs, ScalarKind } from './key-spec.ts';
import { SCALAR_KINDS } from './scalar-kinds.ts';
import type { ScalarKindRules } from './scalar-kinds.ts';
import { CREDENTIALS_KEYS } from './schema-credentials.ts';
import {
  AGE_KEYS,
  DATABASE_KEYS,
  LEASE_KEYS,
  LOGGING_KEYS,
  REPLICA_KEYS,
  ROOT_KEYS,
  SOCKET_KEYS,
  VERIFY_KEYS,
} from './schema.ts';
import type { Config, CredentialsSection, DatabaseSettings, ReplicaSettings } from './settings.ts';

/** Stands for every secret. */
export const MASK = '********';

/** A section as a file would have it. */
type FileSection = Record<string, unknown>;

/**
 * The configuration that is in effect, in the keys of the file: defaults filled in, paths absolute, URLs taken apart,
 * secrets masked. Ready for `JSON.stringify`.
 */
export function effectiveConfig(config: Config): FileSection {
  return {
    ...scalars(ROOT_KEYS, config),
    socket: scalars(SOCKET_KEYS, config.socket),
    logging: scalars(LOGGING_KEYS, config.logging),
    dbs: config.databases.map(databaseSection),
  };
}

/** The same as YAML. Without secrets in it, the text loads to the same configuration again. */
export function effectiveConfigYaml(config: Config): string {
  const document = new Document(escapeDollars(effectiveConfig(config)));
  // Only between double quotes can a character be written as an escape.
  visit(document, {
    Scalar: (_key, node) => {
      if (typeof node.value === 'string' && !isVisible(node.value)) node.type = 'QUOTE_DOUBLE';
    },
  });
  return visibleLines(document.toString({ lineWidth: 0 }));
}

function databaseSection(database: DatabaseSettings): FileSection {
  return { ...scalars(DATABASE_KEYS, database), replicas: database.replicas.map(replicaSection) };
}

function replicaSection(replica: ReplicaSettings): FileSection {
  const { age, destination } = replica;
  const credentials = 'credentials' in destination ? destination.credentials : undefined;
  return {
    ...scalars(REPLICA_KEYS, { ...replica, ...destination }),
    ...(credentials === undefined ? {} : { credentials: credentialsSection(credentials) }),
    ...(age === undefined ? {} : { age: scalars(AGE_KEYS, age) }),
    lease: scalars(LEASE_KEYS, replica.lease),
    verify: scalars(VERIFY_KEYS, replica.verify),
  };
}

function credentialsSection(credentials: CredentialsSection): FileSection {
  const { base } = credentials;
  const section = scalars(CREDENTIALS_KEYS, credentials);
  return base === undefined ? section : { ...section, base: credentialsSection(base) };
}

/** The scalar keys of a section in the order of the schema; what has no value is left out. */
function scalars(specs: KeySpecs, values: object): FileSection {
  const known = new Map<string, unknown>(Object.entries(values));
  // A file has the file that a secret is in, not the secret beside it.
  const cameFromFile = (property: string): boolean =>
    Object.entries(specs).some(([file, { fileOf }]) => fileOf === property && isPresent(known.get(file)));
  const entries = Object.entries(specs)
    .filter(([property, spec]) => isScalar(spec) && isPresent(known.get(property)) && !cameFromFile(property))
    .map(([property, spec]) => [spec.key, shown(spec, known.get(property))] as const);
  return Object.fromEntries(entries);
}

function isScalar(spec: KeySpec): boolean {
  return spec.kind !== 'section' && spec.kind !== 'sections';
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== '' && !(Array.isArray(value) && value.length === 0);
}

function shown(spec: KeySpec, value: unknown): unknown {
  if (Array.isArray(value)) return spec.secret === true ? value.map(() => MASK) : value;
  if (spec.secret === true) return MASK;
  const rules = SCALAR_KINDS[spec.kind as ScalarKind] as ScalarKindRules<unknown>;
  const text = rules.format(value);
  return typeof text === 'string' ? text.replace(PIN_IN_URI, `$1${MASK}`) : text;
}

/** The URI of a key in an HSM may hold the PIN. */
const PIN_IN_URI = /([?&]pin-value=)[^&]*/;

/** A `$` in a file begins a variable, so it is written twice. */
function escapeDollars(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('$', '$$$$');
  if (Array.isArray(value)) return value.map(escapeDollars);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, escapeDollars(inner)]));
}
