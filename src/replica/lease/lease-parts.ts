/** What a lease is told: how it shall behave, and what it works with. */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { LeaseRecord } from '../../generations/lease-record.ts';
import type { Register } from '../../storage/register.ts';
import type { Identity } from './decide.ts';
import type { OwnerNote } from './owner-file.ts';

export interface LeaseSettings {
  /** `auto` goes on without protection where the store cannot give it; `on` refuses. */
  readonly mode: 'auto' | 'on';
  readonly durationMs: number;
  readonly whenHeld: 'wait' | 'exit';
  /** `active`: only while something is uploaded; then the lease is parked. */
  readonly renew: 'active' | 'always';
}

export interface LeaseParts {
  /** Undefined where the store knows no conditional writes. Looked at anew whenever the lease is asked for: some say so late. */
  readonly register: Register | undefined;
  /** The destination, without secrets. */
  readonly location: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly me: Identity;
  /** What the record tells others about this process. */
  readonly about: Pick<LeaseRecord, 'pid' | 'database' | 'program'>;
  /** What is remembered over restarts; `writeNote` is called when it changes. */
  readonly note: OwnerNote;
  readonly writeNote: (note: OwnerNote) => void;
}
