/** What is said about a database or replica that stands still. */
import { RivuletError } from '../base/errors.ts';
import type { NotedError } from '../replica/replica-status.ts';

export const STANDBY_COMMITS: string =
  'the application commits while another process holds the lease: these changes are stored nowhere';
export const STANDBY_HINT: string =
  'Stop the application on one of the two machines. Where the other process is dead, its lease is taken over by itself, and the ' +
  'changes are stored then.';

export interface StallTold {
  /** What stands still, as one sentence. */
  readonly message: string;
  /** The same when it goes on again. */
  readonly over: string;
  /** Beside the times. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** @param error - why the database cannot be read; undefined when nothing failed */
export function databaseStall(error: NotedError | undefined): StallTold {
  const usual =
    error === undefined
      ? 'Nothing failed, so this is a fault of Rivulet: restart it, and report this with the log.'
      : 'Look for the process that locks the database, and at the permissions of its files.';
  return {
    message: 'the database is not followed: what is committed now is stored nowhere',
    over: 'the database is followed again',
    fields: { ...fieldsOf(error), hint: error?.hint ?? usual },
  };
}

/**
 * @param error - why the destination fails; undefined when nothing failed
 * @param lagBytes - log bytes that it lacks
 */
export function replicaStall(error: NotedError | undefined, lagBytes: number): StallTold {
  const usual =
    error === undefined
      ? 'Nothing failed and nothing moves: look at the way to the destination, and restart Rivulet.'
      : 'Repair the destination or the way to it; everything is sent by itself then.';
  return {
    message: 'the replica stands still: later changes are on this machine only',
    over: 'the replica stores changes again',
    fields: { lagBytes, ...fieldsOf(error), hint: error?.hint ?? usual },
  };
}

/** @param lagBytes - log bytes that were committed while another process had the lease */
export function standbyStall(holder: string | undefined, lagBytes: number): StallTold {
  return {
    message: STANDBY_COMMITS,
    over: 'the changes of the time as a standby are stored',
    fields: { lagBytes, ...(holder === undefined ? {} : { holder }), hint: STANDBY_HINT },
  };
}

/** What a stall is for whoever ends everything because of it. */
export function stalled({ message }: StallTold): RivuletError {
  return new RivuletError('STALLED', message);
}

function fieldsOf(error: NotedError | undefined): Record<string, unknown> {
  return error === undefined ? {} : { lastError: error.message, code: error.code };
}
