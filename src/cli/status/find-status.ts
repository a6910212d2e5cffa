/** Finds the daemon of each database and asks it; of a database without one, what its state directory tells. */
import { dirname, isAbsolute, join } from 'node:path';

import { isRivuletError, messageOf, RivuletError, systemCode } from '../../base/errors.ts';
import { placeOf } from '../../base/place-of.ts';
import { type DaemonNote, notePath, readDaemonNote } from '../../daemon/daemon-note.ts';
import { readRuntimeNotes } from '../../daemon/runtime-notes.ts';
import type { DatabaseStatus, HealthReason } from '../../daemon/database-status.ts';
import { possibleStatePaths } from '../../config/state-place.ts';
import type { Generation, Position } from '../../generations/names.ts';
import { readState, type StateReading } from '../../primary/state-file.ts';
import { askSocket } from '../../server/ask-socket.ts';

/** What a daemon answers to GET /status. Undefined parts are absent in JSON. */
export interface DaemonAnswer {
  readonly version: string;
  readonly pid: number;
  readonly startedAtMs: number;
  /** Its clock when it answered. */
  readonly nowMs: number;
  readonly ok: boolean;
  readonly reasons: readonly HealthReason[];
  readonly databases: readonly DatabaseStatus[];
}

/** A database that somebody asks about. */
export interface Asked {
  readonly path: string;
  readonly metaPath: string;
}

export interface LastKnown {
  readonly generation: Generation;
  readonly committed: Position;
  readonly confirmed: Readonly<Record<string, Position>>;
}

export interface RunningStatus {
  readonly path: string;
  readonly running: true;
  readonly daemon: Pick<DaemonAnswer, 'version' | 'pid' | 'startedAtMs' | 'nowMs'>;
  readonly reasons: readonly HealthReason[];
  readonly status: DatabaseStatus;
}

export interface AbsentStatus {
  readonly path: string;
  readonly running: false;
  /** Why it is not known. */
  readonly why: string;
  readonly code?: string;
  readonly hint?: string | undefined;
  /** What was written down last; undefined when there is nothing. */
  readonly lastKnown: LastKnown | undefined;
}

export type FoundStatus = RunningStatus | AbsentStatus;

/** Every database of one daemon. @throws RivuletError as `askSocket` does; `STATE_INVALID` when nobody listens */
export async function statusOfSocket(socketPath: string): Promise<FoundStatus[]> {
  const answer = await ask(socketPath);
  if (answer !== undefined) return answer.databases.map((status) => foundIn(answer, status));
  throw new RivuletError('STATE_INVALID', `nobody listens on ${socketPath}`, {
    hint: 'Is Rivulet running, and is that its `socket.path`?',
  });
}

/** One after another, each daemon asked once. */
export async function findStatus(databases: readonly Asked[]): Promise<FoundStatus[]> {
  const answers = new Map<string, Promise<DaemonAnswer | undefined>>();
  const found: FoundStatus[] = [];
  for (const database of databases) found.push(await findOne(database, answers));
  return found;
}

async function findOne(
  asked: Asked,
  answers: Map<string, Promise<DaemonAnswer | undefined>>,
): Promise<FoundStatus> {
  try {
    const notes = findNotes(asked);
    for (const socket of notes.flatMap((note) => socketsOf(note))) {
      const asking = answers.get(socket) ?? ask(socket);
      answers.set(socket, asking);
      const answer = await asking;
      const status = answer?.databases.find(({ path }) => isSamePlace(path, asked.path));
      if (answer !== undefined && status !== undefined) return foundIn(answer, status);
    }
    const [note] = notes;
    if (note === undefined) return notRunning(asked, 'no process replicates it, or its socket is off');
    if (isAlive(note.pid)) return unreachable(asked, note);
    return notRunning(asked, `no process replicates it; the last one, ${note.pid}, ended without a word`);
  } catch (error) {
    return unknown(asked, error);
  }
}

/** The socket, and where it is for a process that has a temporary directory of its own (systemd's PrivateTmp). */
function socketsOf({ pid, socket }: DaemonNote): readonly string[] {
  return process.platform === 'linux' && isAbsolute(socket)
    ? [socket, `/proc/${pid}/root${socket}`]
    : [socket];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}

function unreachable(asked: Asked, { pid, socket }: DaemonNote): AbsentStatus {
  const absent = notRunning(
    asked,
    `process ${pid} may replicate it, but nobody listens on its socket ${socket} here`,
  );
  const hint =
    'Does it have a temporary directory of its own? Ask as root, or set RuntimeDirectory= in its unit, or `socket.path`.';
  return { ...absent, hint };
}

/** Whether two paths name the same database, however they are spelt. */
export function isSamePlace(one: string, other: string): boolean {
  return one === other || placeOf(one) === placeOf(other);
}

/**
 * The state is where this user would keep it, or where another one would: whoever runs the process decides. A state directory that was put
 * there from elsewhere may hold the note of a process that is gone, so all of them count.
 */
function findNotes({ path, metaPath }: Asked): readonly DaemonNote[] {
  const notes = [...readRuntimeNotes(path)];
  let failure: unknown;
  for (const place of possibleStatePaths(path, metaPath)) {
    try {
      const note = readDaemonNote(notePath(place));
      if (note !== undefined) notes.push(note);
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure !== undefined && notes.length === 0) throw failure;
  return notes;
}

async function ask(socketPath: string): Promise<DaemonAnswer | undefined> {
  const answer = await askSocket(socketPath, '/status');
  if (answer === undefined || isDaemonAnswer(answer)) return answer;
  throw new RivuletError('UNSUPPORTED', `who listens on ${socketPath} gives no answer of Rivulet`);
}

function isDaemonAnswer(value: unknown): value is DaemonAnswer {
  const answer = value as Partial<DaemonAnswer> | null;
  return Array.isArray(answer?.databases) && Array.isArray(answer.reasons) && typeof answer.pid === 'number';
}

function foundIn(answer: DaemonAnswer, status: DatabaseStatus): RunningStatus {
  const { version, pid, startedAtMs, nowMs } = answer;
  return {
    path: status.path,
    running: true,
    daemon: { version, pid, startedAtMs, nowMs },
    reasons: answer.reasons.filter(({ db }) => db === status.path),
    status,
  };
}

function deniedPlace(error: unknown): string | undefined {
  const path: unknown = error instanceof Error && 'path' in error ? error.path : undefined;
  return typeof path === 'string' ? dirname(path) : undefined;
}

function notRunning({ path, metaPath }: Asked, why: string): AbsentStatus {
  const reading = possibleStatePaths(path, metaPath)
    .map((place) => readStateIn(place))
    .find(({ kind }) => kind === 'state');
  if (reading?.kind !== 'state') return { path, running: false, why, lastKnown: undefined };
  const { generation, index, tailBytes, confirmed } = reading.state;
  const committed = { index, offsetBytes: tailBytes };
  return {
    path,
    running: false,
    why,
    lastKnown: { generation, committed, confirmed: Object.fromEntries(confirmed) },
  };
}

/** One that may not be read, of another user, tells nothing. */
function readStateIn(place: string): StateReading {
  try {
    return readState(join(place, 'state.json'));
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return { kind: 'none' };
  }
}

function unknown({ path, metaPath }: Asked, error: unknown): AbsentStatus {
  const isDenied = systemCode(error) === 'EACCES' || systemCode(error) === 'EPERM';
  if (isDenied) {
    const hint = 'Ask as the user that Rivulet runs as, or with -socket.';
    return {
      path,
      running: false,
      why: `its state in ${deniedPlace(error) ?? metaPath} may not be read`,
      hint,
      lastKnown: undefined,
    };
  }
  const own = isRivuletError(error) ? { code: error.code, hint: error.hint } : {};
  return { path, running: false, why: messageOf(error), lastKnown: undefined, ...own };
}
