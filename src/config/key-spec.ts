import type { SCALAR_KINDS } from './scalar-kinds.ts';
import type { CREDENTIALS_KEYS } from './schema-credentials.ts';
import type {
  AGE_KEYS,
  DATABASE_KEYS,
  LEASE_KEYS,
  LOGGING_KEYS,
  REPLICA_KEYS,
  ROOT_KEYS,
  SOCKET_KEYS,
  VERIFY_KEYS,
} from './schema.ts';

/** The kinds of destination that a replica can have. */
export type ReplicaType = 'file' | 's3' | 'gcs' | 'abs' | 'sftp';

/** The groups of keys of a configuration file; the text says where each is written. */
export type SectionName =
  | 'root'
  | 'socket'
  | 'logging'
  | 'database'
  | 'replica'
  | 'credentials'
  | 'age'
  | 'lease'
  | 'verify';

/** Everything there is to say about one key of the file. Types, checks, documentation and masking all come from it. */
export interface KeySpec {
  /** As it is written in the file. */
  readonly key: string;
  readonly kind: ScalarKind | 'section' | 'sections';
  /** For `section` and `sections`: whose keys are inside. */
  readonly of?: SectionName;
  /** A section that is undefined when the file does not have it, instead of all defaults. */
  readonly optional?: true;
  /** One sentence for the reference. */
  readonly help: string;
  /** As one would write it in the file. */
  readonly default?: string;
  /** What the reference says when the default depends on something else. */
  readonly defaultNote?: string;
  readonly required?: true;
  /** For numbers, durations and sizes: what 0 means. Without it the value must be greater than 0. */
  readonly zero?: string;
  /** For numbers, durations and sizes: the smallest value, as one would write it. */
  readonly least?: string;
  readonly choices?: readonly string[];
  /** Other words for some of the choices. */
  readonly synonyms?: Readonly<Record<string, string>>;
  /** Never printed. */
  readonly secret?: true;
  /** The value is a file that holds the value of this property. */
  readonly fileOf?: string;
  /** May stand behind the `?` of a replica URL. */
  readonly inUrl?: true;
  /** Used when the file does not say. */
  readonly environment?: string;
  /** The types of replica that have this key; all of them when absent. */
  readonly types?: readonly ReplicaType[];
  /** The sources of credentials that have this key; all of them when absent. */
  readonly sources?: readonly string[];
  /** The sources of credentials that cannot do without it. */
  readonly neededBy?: readonly string[];
  /** A file's or directory's path: made absolute. */
  readonly isPath?: true;
  /** How it differs from Litestream v0.3.13, or that it is Rivulet's own. */
  readonly compat?: string;
}

/** Keys by the property that holds their value. */
export type KeySpecs = Readonly<Record<string, KeySpec>>;

export type ScalarKind = keyof typeof SCALAR_KINDS;

interface KeysOf {
  readonly root: typeof ROOT_KEYS;
  readonly socket: typeof SOCKET_KEYS;
  readonly logging: typeof LOGGING_KEYS;
  readonly database: typeof DATABASE_KEYS;
  readonly replica: typeof REPLICA_KEYS;
  readonly credentials: typeof CREDENTIALS_KEYS;
  readonly age: typeof AGE_KEYS;
  readonly lease: typeof LEASE_KEYS;
  readonly verify: typeof VERIFY_KEYS;
}

type ScalarOf<Spec> = Spec extends { kind: 'choice'; choices: readonly (infer Choice)[] }
  ? Choice
  : Spec extends { kind: infer Kind extends ScalarKind }
    ? NonNullable<ReturnType<(typeof SCALAR_KINDS)[Kind]['parse']>>
    : never;

type GivenOf<Spec> = Spec extends { kind: 'section'; of: infer Name extends SectionName }
  ? Given<Name>
  : Spec extends { kind: 'sections'; of: infer Name extends SectionName }
    ? readonly Given<Name>[]
    : ScalarOf<Spec>;

/** What a file says in one section: values are parsed, nothing is filled in. */
export type Given<Name extends SectionName> = {
  readonly [Property in keyof KeysOf[Name]]?: GivenOf<KeysOf[Name][Property]> | undefined;
};

type SettledOf<Spec> = Spec extends { kind: 'section'; of: infer Name extends SectionName }
  ? Settled<Name> | (Spec extends { optional: true } ? undefined : never)
  : Spec extends { default: string } | { required: true }
    ? ScalarOf<Spec>
    : ScalarOf<Spec> | undefined;

/** The same section with defaults filled in; undefined where there is no default. Lists of sections are not in it. */
export type Settled<Name extends SectionName> = {
  readonly [
    Property in keyof KeysOf[Name] as KeysOf[Name][Property] extends { kind: 'sections' } ? never : Property
  ]: SettledOf<KeysOf[Name][Property]>;
};
