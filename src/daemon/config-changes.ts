/** What is different between the configuration in effect and the one to come. Pure. */
import { isDeepStrictEqual } from 'node:util';

import type { Config, DatabaseSettings, ReplicaSettings } from '../config/settings.ts';

/** The replicas of one database that goes on; names tell which is which. */
export interface ReplicaChanges {
  readonly added: readonly ReplicaSettings[];
  /** With their new settings. */
  readonly changed: readonly ReplicaSettings[];
  readonly removed: readonly string[];
}

/** A database of which only replicas are different. */
export interface AlteredDatabase {
  /** As it is to be. */
  readonly settings: DatabaseSettings;
  readonly replicas: ReplicaChanges;
}

/** Paths tell which database is which. Order means nothing. */
export interface ConfigChanges {
  readonly added: readonly DatabaseSettings[];
  /** Databases whose own settings are different, as they are to be. */
  readonly restarted: readonly DatabaseSettings[];
  readonly altered: readonly AlteredDatabase[];
  readonly removed: readonly string[];
  readonly addr: boolean;
  readonly socket: boolean;
  readonly logging: boolean;
  readonly exec: boolean;
  readonly shutdownTimeout: boolean;
}

export function compareConfigs(present: Config, next: Config): ConfigChanges {
  const before = new Map(present.databases.map((database) => [database.path, database]));
  const after = new Set(next.databases.map(({ path }) => path));
  const pairs = next.databases.flatMap((settings) => {
    const old = before.get(settings.path);
    return old === undefined ? [] : [{ old, settings, isSame: isSameDatabase(old, settings) }];
  });
  return {
    added: next.databases.filter(({ path }) => !before.has(path)),
    restarted: pairs.filter(({ isSame }) => !isSame).map(({ settings }) => settings),
    altered: pairs
      .filter(({ isSame }) => isSame)
      .flatMap(({ old, settings }) => alteredDatabase(old, settings)),
    removed: [...before.keys()].filter((path) => !after.has(path)),
    addr: present.addr !== next.addr,
    socket: !isDeepStrictEqual(present.socket, next.socket),
    logging: !isDeepStrictEqual(present.logging, next.logging),
    exec: present.exec !== next.exec,
    shutdownTimeout: present.shutdownTimeoutMs !== next.shutdownTimeoutMs,
  };
}

/** Whether nothing at all is different. */
export function isUnchanged(changes: ConfigChanges): boolean {
  return Object.values(changes).every((change: boolean | readonly unknown[]) =>
    typeof change === 'boolean' ? !change : change.length === 0,
  );
}

function isSameDatabase(old: DatabaseSettings, settings: DatabaseSettings): boolean {
  return isDeepStrictEqual({ ...old, replicas: [] }, { ...settings, replicas: [] });
}

function alteredDatabase(old: DatabaseSettings, settings: DatabaseSettings): AlteredDatabase[] {
  const replicas = compareReplicas(old.replicas, settings.replicas);
  const count = replicas.added.length + replicas.changed.length + replicas.removed.length;
  return count === 0 ? [] : [{ settings, replicas }];
}

function compareReplicas(
  present: readonly ReplicaSettings[],
  next: readonly ReplicaSettings[],
): ReplicaChanges {
  const before = new Map(present.map((replica) => [replica.name, replica]));
  const after = new Set(next.map(({ name }) => name));
  return {
    added: next.filter(({ name }) => !before.has(name)),
    changed: next.filter((replica) => {
      const old = before.get(replica.name);
      return old !== undefined && !isDeepStrictEqual(old, replica);
    }),
    removed: [...before.keys()].filter((name) => !after.has(name)),
  };
}

/** How many of what is different, for one line in the log; what is zero is left out. */
export function summaryOf(changes: ConfigChanges): Readonly<Record<string, number | true>> {
  const replicas = changes.altered.map((database) => database.replicas);
  const count = (of: (one: ReplicaChanges) => readonly unknown[]): number =>
    replicas.reduce((sum, one) => sum + of(one).length, 0);
  const all = {
    databasesAdded: changes.added.length,
    databasesRemoved: changes.removed.length,
    databasesRestarted: changes.restarted.length,
    replicasAdded: count(({ added }) => added),
    replicasRemoved: count(({ removed }) => removed),
    replicasRestarted: count(({ changed }) => changed),
    addr: changes.addr,
    socket: changes.socket,
    logging: changes.logging,
    shutdownTimeout: changes.shutdownTimeout,
  };
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, number | true] => Boolean(entry[1])),
  );
}
