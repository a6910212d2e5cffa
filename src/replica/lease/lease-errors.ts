/** The errors of a lease; each says who has it. */
import { RivuletError } from '../../base/errors.ts';
import { visibleText } from '../../base/visible-text.ts';
import type { LeaseRecord } from '../../generations/lease-record.ts';
import { storageFailed } from '../../storage/storage-error.ts';

/** Who a record speaks of, for log lines and status. */
export interface Holder {
  readonly host: string;
  readonly pid: number;
  readonly database: string;
  readonly state: LeaseRecord['state'];
  readonly since: string;
  /** Until when it is valid by its own word; undefined while its holder is idle, and renews nothing. */
  readonly until: string | undefined;
}

/** Anybody who may write to the destination chose these texts, so that they are cut to what a real one needs. */
const HOST_LENGTH_MAX = 255;
const DATABASE_LENGTH_MAX = 1_024;

export function holderOf(record: LeaseRecord): Holder {
  const { host, pid, database, state } = record;
  return {
    host: visibleText(host, HOST_LENGTH_MAX),
    pid,
    database: visibleText(database, DATABASE_LENGTH_MAX),
    state,
    since: new Date(record.acquiredAtMs).toISOString(),
    until: state === 'held' ? new Date(record.renewedAtMs + record.durationMs).toISOString() : undefined,
  };
}

function describe(record: LeaseRecord): string {
  const { host, pid, database, since, until } = holderOf(record);
  const end =
    until === undefined ? `idle since ${new Date(record.renewedAtMs).toISOString()}` : `until ${until}`;
  return `process ${pid} on ${host} (database ${database}), since ${since}, ${end}`;
}

/** @param location - the destination, without secrets */
export function leaseHeld(location: string, record: LeaseRecord): RivuletError {
  return new RivuletError('LEASE_HELD', `${location} is written to by ${describe(record)}`, {
    hint: 'Stop the other process, or give this database a place of its own. See docs/one-writer.md.',
    details: { location, holder: holderOf(record) },
  });
}

/** @param record - what the lease says now; undefined when it was removed */
export function leaseLost(location: string, record: LeaseRecord | undefined): RivuletError {
  if (record === undefined) {
    return new RivuletError('LEASE_LOST', `the lease object at ${location} was removed`, {
      details: { location },
    });
  }
  const verb = record.state === 'released' ? 'was written to in between by' : 'was taken over by';
  return new RivuletError('LEASE_LOST', `${location} ${verb} ${describe(record)}`, {
    hint: 'Later changes of this process are not stored there. Stop one of the two; see docs/one-writer.md.',
    details: { location, holder: holderOf(record) },
  });
}

/** The process has let go of its lease, or never had one: a bug if anybody sees it. */
export function notHeld(location: string): RivuletError {
  return new RivuletError('LEASE_LOST', `this process does not hold the lease of ${location}`, {
    details: { location },
  });
}

/**
 * Attempt after attempt found another value in the register than the one that was read a moment before. Never the code of
 * the register itself: to whoever writes an object it would say that this object is there already.
 */
export function contended(what: 'take' | 'renew', location: string, cause?: unknown): RivuletError {
  const message = `cannot ${what} the lease of ${location}: reading and replacing it tell of different values`;
  return storageFailed(message, { retry: true, cause, details: { location } });
}

/** For `mode: on` at a store that cannot do it. */
export function unprotected(location: string, why: string): RivuletError {
  return new RivuletError('CONFIG_INVALID', `lease mode is "on", but ${location} ${why}`, {
    hint: 'With mode "auto" replication goes on without this protection; then make sure yourself that one process writes.',
    details: { location },
  });
}

/** What servers and file systems answer to a conditional write that they do not know. */
const UNKNOWN_CONDITION: ReadonlySet<unknown> = new Set([
  501,
  'NotImplemented',
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
]);

/** Whether a failed conditional write says that this place does not know such writes at all. */
export function saysUnknownCondition(error: unknown): boolean {
  return (
    error instanceof RivuletError &&
    error.code === 'STORAGE_FAILED' &&
    Object.values(error.details).some((value) => UNKNOWN_CONDITION.has(value))
  );
}
