import { placeOf } from '../base/place-of.ts';
import { identityOf } from './destination-identity.ts';
import { formatReplicaUrl } from './replica-url.ts';
import type { ResolvedDatabase, ResolvedReplica } from './resolved.ts';
import type { Destination } from './settings.ts';
import type { Settling } from './settle.ts';

/**
 * Reports what must not be the same twice: a database, a directory for local state, a replica's name within its database,
 * and a destination anywhere (retention of one would delete the other's history).
 */
export function reportClashes(databases: readonly ResolvedDatabase[], settling: Settling): void {
  const paths = new FirstUses(settling);
  const metaPaths = new FirstUses(settling);
  const destinations = new FirstUses(settling);
  for (const { given, settings, replicas } of databases) {
    const place = placeOf(settings.path);
    paths.add(place, given, 'path', (first) => `the same database as ${first}`);
    // Without a `meta-path` of its own it follows from the path, which was just reported.
    if (given.metaPath !== undefined || !paths.has(place, given)) {
      metaPaths.add(
        placeOf(settings.metaPath),
        given,
        'metaPath',
        (first) => `the same local state as ${first}`,
      );
    }
    reportNames(replicas, settling);
    for (const { given: replica, settings: replicaSettings } of replicas) {
      const { destination } = replicaSettings;
      const property = replica.url === undefined ? 'path' : 'url';
      destinations.add(identityOf(destination), replica, property, (first) =>
        sameDestination(destination, first),
      );
    }
  }
}

function sameDestination(destination: Destination, first: string): string {
  return `the same destination as ${first} (${formatReplicaUrl(destination)}); each replica needs its own`;
}

function reportNames(replicas: readonly ResolvedReplica[], settling: Settling): void {
  const names = new FirstUses(settling);
  for (const { given, settings } of replicas) {
    const hint = given.name === undefined ? ' (its type, because it has no `name`); give it one' : '';
    names.add(
      settings.name,
      given,
      'name',
      (first) => `the name \`${settings.name}\` is taken by ${first}${hint}`,
    );
  }
}

/** Remembers who had a value first, and reports everybody after. */
class FirstUses {
  readonly #settling: Settling;
  readonly #first = new Map<string, string>();

  constructor(settling: Settling) {
    this.#settling = settling;
  }

  /** True when a section before this one has the value. */
  has(value: string, section: object): boolean {
    const first = this.#first.get(value);
    return first !== undefined && first !== this.#settling.describe(section);
  }

  add(value: string, section: object, property: string, message: (first: string) => string): void {
    const first = this.#first.get(value);
    if (first === undefined) this.#first.set(value, this.#settling.describe(section));
    else this.#settling.problem(section, property, message(first));
  }
}
