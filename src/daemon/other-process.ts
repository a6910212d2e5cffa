/** Who replicates a database already: for somebody who starts it a second time, often only to look at it. */
import { isRivuletError, RivuletError, systemCode } from '../base/errors.ts';
import type { DatabaseSettings } from '../config/settings.ts';
import { notePath, readDaemonNote } from './daemon-note.ts';
import { readRuntimeNotes } from './runtime-notes.ts';

type Place = Pick<DatabaseSettings, 'path' | 'metaPath'>;

/** Its process, as noted by itself; undefined when none that runs is known. */
export function otherProcessAt({ path, metaPath }: Place): number | undefined {
  try {
    const notes = [...readRuntimeNotes(path), readDaemonNote(notePath(metaPath))];
    return notes.find((note) => note !== undefined && note.pid !== process.pid && isRunning(note.pid))?.pid;
  } catch {
    // It is for people: what goes wrong here must not take the place of what they have to know.
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}

/** The same error, with the process that has the database. */
export function withOtherProcess(error: unknown, place: Place): unknown {
  if (!isRivuletError(error, 'DB_IN_USE')) return error;
  const pid = otherProcessAt(place);
  // Where it is this process itself, the configuration names the database twice.
  if (pid === undefined) return error;
  return new RivuletError('DB_IN_USE', `${error.message}: process ${pid}`, {
    cause: error,
    hint: `\`rivulet status\` shows how it is. ${error.hint ?? ''}`.trim(),
    details: { ...error.details, pid },
  });
}

/** An address that is taken, when one of the databases is replicated already: it is that process that listens there. */
export function withOtherListener(error: unknown, places: readonly Place[]): unknown {
  if (!isRivuletError(error, 'CONFIG_INVALID') || systemCode(error.cause) !== 'EADDRINUSE') return error;
  for (const place of places) {
    const pid = otherProcessAt(place);
    if (pid === undefined) continue;
    return new RivuletError('DB_IN_USE', `${place.path} is being replicated already by process ${pid}`, {
      cause: error,
      hint: `\`rivulet status\` shows how it is. Stop it before another one is started. (${error.message}.)`,
      details: { pid },
    });
  }
  return error;
}
