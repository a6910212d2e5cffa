/**
 * What a command tells the shell. Litestream v0.3.13 knows 0 and 1 only; those mean the same here.
 *
 * | code    | meaning                                                                                             |
 * |---------|-----------------------------------------------------------------------------------------------------|
 * | 0       | done; also: stopped by a signal after everything was stored                                         |
 * | 1       | failed, or the command line is not understood; also: another process writes, and `when-held` is `exit` |
 * | 3       | `replicate` ended, but the last changes could not be stored at every destination, or a database could not be read to its end |
 * | 4       | `replicate` ended because a destination refused its credentials, as `on-auth-failure: exit` asks    |
 * | 5       | `replicate` ended because a database or replica stood still, as `on-stall: exit` asks; `status`: something stands still or fails |
 * | 6       | `verify`: broken, an object of a replica is missing or wrong                                          |
 * | 7       | `verify`: inconclusive, nobody can say whether a replica restores                                   |
 * | 128 + n | stopped by signal n before the work was done (130: Ctrl-C), or by a second signal without a clean end; 137 also: `replicate` killed itself because its main thread hung |
 * | other   | `replicate -exec`: the child's own exit code, as it is; 128 + n when signal n killed the child      |
 *
 * A failed final sync (3) takes precedence over the child's exit code, because it means that data is at risk; refused
 * credentials (4) over both, because they are why.
 */
import { constants } from 'node:os';

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_FINAL_SYNC_FAILED = 3;
export const EXIT_CREDENTIALS_REFUSED = 4;
export const EXIT_STALLED = 5;
export const EXIT_BROKEN = 6;
export const EXIT_INCONCLUSIVE = 7;

/** The shell's convention for a process that a signal ended. */
export function exitCodeOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
