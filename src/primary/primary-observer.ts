/** Facts that a primary tells as they happen; the daemon turns them into metrics. */
export interface PrimaryObserver {
  /** One look at the database took `elapsedMs`. */
  onSync(elapsedMs: number): void;
  /** So many committed bytes were found in the log. */
  onWalBytes(bytes: number): void;
  onCheckpoint(elapsedMs: number, error?: unknown): void;
  onGeneration(generation: string, reason: string): void;
}

export const noObserver: PrimaryObserver = {
  onSync: () => undefined,
  onWalBytes: () => undefined,
  onCheckpoint: () => undefined,
  onGeneration: () => undefined,
};
