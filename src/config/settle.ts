import type { Given, KeySpec, ScalarKind, SectionName, Settled } from './key-spec.ts';
import { SCALAR_KINDS } from './scalar-kinds.ts';
import { SECTIONS } from './schema.ts';
import type { SecretFileContent } from './secret-file.ts';

/** What turning a file's values into settings needs from its surroundings, and whom it tells about problems. */
export interface Settling {
  /** Absolute working and home directory. */
  readonly cwd: string;
  readonly home: string;
  readonly environment: NodeJS.ProcessEnv;
  /** @param path - absolute */
  readSecretFile(path: string): SecretFileContent;
  /** True when the file has the property, even if its value could not be read or is empty. */
  has(section: object, property: string): boolean;
  /** True when a problem of this property was reported already. */
  wasReported(section: object, property: string): boolean;
  /** The section as messages name it, `dbs[0].replicas[1]`. */
  describe(section: object): string;
  problem(section: object, property: string | undefined, message: string): void;
  warning(section: object, property: string | undefined, message: string): void;
}

/** The section with its defaults; lists of sections are left out. */
export function settle<Name extends SectionName>(name: Name, given: Given<Name>): Settled<Name> {
  const values = given as Readonly<Record<string, unknown>>;
  const entries = Object.entries(SECTIONS[name])
    .filter(([, spec]) => spec.kind !== 'sections')
    .map(([property, spec]) => [property, settledValue(spec, values[property])] as const);
  return Object.fromEntries(entries) as Settled<Name>;
}

function settledValue(spec: KeySpec, value: unknown): unknown {
  if (spec.optional === true && value === undefined) return undefined;
  if (spec.kind === 'section') return settle(spec.of ?? 'root', value ?? {});
  return value ?? defaultOf(spec);
}

/** The default of a key as the program sees it; undefined when it has none. */
export function defaultOf(spec: KeySpec): unknown {
  return spec.default === undefined ? undefined : SCALAR_KINDS[spec.kind as ScalarKind].parse(spec.default);
}
