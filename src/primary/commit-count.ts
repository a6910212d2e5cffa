/**
 * Whether the index's count of commits proves that nothing was committed unseen between two looks. Pure.
 *
 * The index counts each committed transaction, through checkpoints and restarts of the WAL. So where its count less the
 * commits of the present WAL is the count at the last look, no other WAL was begun and ended in between, and nothing was appended
 * to the old one. Three things can make the sum come out by chance, and then it counts for nothing:
 *
 * - commits that are padded, so that frames count more commits than there were;
 * - a recovery of the index, which begins at 0 again: after it the same number can come once more. A count that
 *   is large enough cannot be reached again between two looks;
 * - a look from before this process had its connections: another index may have been begun since. Who asks must know that.
 */
import type { LogTail } from './log-tail.ts';

/** More commits than are made between two looks, also of a process that was kept from looking for some seconds. */
export const TRUSTED_COMMITS = 4096;

export class CommitCount {
  /** The count when it was found wrong last. */
  #doubtedAt: number | undefined;

  /** To be told of every tail that is followed, before it is asked about it. */
  note(tail: Pick<LogTail, 'isCountable' | 'change'>): void {
    if (!tail.isCountable) this.#doubtedAt = tail.change;
  }

  /** Whether the count at this tail is good enough to prove what comes next. */
  isTrusted({ isCountable, change }: Pick<LogTail, 'isCountable' | 'change'>): boolean {
    if (!isCountable || change === undefined || change < TRUSTED_COMMITS) return false;
    return this.#doubtedAt === undefined || (change - this.#doubtedAt) >>> 0 >= TRUSTED_COMMITS;
  }
}
