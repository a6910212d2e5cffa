import type { Given } from './key-spec.ts';
import type { DatabaseSettings, ReplicaSettings } from './settings.ts';

/** Each part of the settings with what it was made from, so that checks across parts can say where. */
export interface ResolvedReplica {
  readonly given: Given<'replica'>;
  readonly settings: ReplicaSettings;
}
export interface ResolvedDatabase {
  readonly given: Given<'database'>;
  readonly settings: DatabaseSettings;
  readonly replicas: readonly ResolvedReplica[];
}
