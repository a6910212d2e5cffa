/** What kind of application a trial has. All of it travels to the application's process as JSON. */
export interface ApplicationSettings {
  readonly path: string;
  readonly seed: number;
  readonly pageSizeBytes: number;
  readonly synchronous: 'OFF' | 'NORMAL' | 'FULL';
  /** Pages; 0 leaves checkpoints to others. */
  readonly autoCheckpoint: number;
  /** Pages; few make uncommitted frames reach the log. */
  readonly cachePages: number;
  readonly autoVacuum: 'NONE' | 'FULL' | 'INCREMENTAL';
  /** Bytes; -1 for no limit. */
  readonly journalSizeLimit: number;
  /** Longest pause between two transactions. */
  readonly pauseMs: number;
  readonly largestBodyBytes: number;
  readonly weights: Readonly<Record<Deed, number>>;
}

export type Deed =
  | 'small'
  | 'medium'
  | 'large'
  | 'rollback'
  /** A transaction that stays open for a while, and is given up now and then. */
  | 'long'
  | 'checkpoint'
  | 'vacuum'
  | 'incrementalVacuum'
  | 'index'
  | 'reopen'
  | 'rollbackMode'
  | 'rest';

export const NO_DEEDS: ApplicationSettings['weights'] = {
  small: 0,
  medium: 0,
  large: 0,
  rollback: 0,
  long: 0,
  checkpoint: 0,
  vacuum: 0,
  incrementalVacuum: 0,
  index: 0,
  reopen: 0,
  rollbackMode: 0,
  rest: 0,
};

export const CHECKPOINT_MODES = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const;
export type CheckpointMode = (typeof CHECKPOINT_MODES)[number];

/** Lines that the application's process prints, one JSON object each. */
export type ApplicationReport =
  | { readonly kind: 'started'; readonly seq: number }
  | { readonly kind: 'deed'; readonly deed: Deed; readonly busy: boolean; readonly waitedMs: number }
  | {
      readonly kind: 'checkpoint';
      readonly mode: CheckpointMode;
      readonly busy: boolean;
      readonly frames: number;
      readonly checkpointed: number;
    }
  | { readonly kind: 'broken'; readonly faults: readonly string[] };
