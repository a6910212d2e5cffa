/** Facts that a primary tells as they happen; the daemon turns them into metrics. */
export interface PrimaryObserver {
  /** One look at the database took `elapsedMs`. */
  onSync(elapsedMs: number): void;
  /** So many committed bytes were found in the log. */
  onWalBytes(bytes: number): void;
  onCheckpoint(elapsedMs: number, error?: unknown): void;
  onGeneration(generation: string, reason: string): void;
  /** A transaction was committed and overwritten before it could be read; a fresh snapshot follows. */
  onLostRace(): void;
  /** The state directory is another one than before, and belongs to this process again. */
  onStateDirectory(): void;
  /** Writers of other processes had to wait for so long. */
  onWriteLock(heldMs: number): void;
}

export const noObserver: PrimaryObserver = {
  onSync: () => undefined,
  onWalBytes: () => undefined,
  onCheckpoint: () => undefined,
  onGeneration: () => undefined,
  onLostRace: () => undefined,
  onStateDirectory: () => undefined,
  onWriteLock: () => undefined,
};
