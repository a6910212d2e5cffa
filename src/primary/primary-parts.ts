/** What the parts of a primary work with. */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { LogKeeper } from './log-keeper.ts';
import type { Machine } from './machine.ts';
import type { PrimaryObserver } from './primary-observer.ts';
import type { StateStore } from './state-store.ts';

export interface PrimaryParts {
  /** The database file. */
  readonly path: string;
  readonly machine: Machine;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: PrimaryObserver;
  readonly keeper: LogKeeper;
  readonly state: StateStore;
}
