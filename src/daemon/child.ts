/**
 * The application that `-exec` starts.
 *
 * It inherits stdin, stdout, stderr and the environment, so that it behaves as if it had been started directly. It
 * leads its own session: Ctrl-C on a terminal then reaches Rivulet alone, which passes it on exactly once, and a
 * signal reaches everything that the command started, a shell's pipeline too.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { constants } from 'node:os';

import type { Clock } from '../base/clock.ts';
import { messageOf, RivuletError, systemCode } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { planExec } from './exec-command.ts';
import type { ExecCommand } from './exec-command.ts';
import { isGroupAlive } from './process-group.ts';

/** How a child ended: one of the two is null. */
export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface SupervisedChild {
  readonly pid: number;
  /** How the command itself ended. Never rejects. */
  readonly exited: Promise<ChildExit>;
  /** Sends a signal to the child and all it started in its group. What has ended already is left alone. */
  kill(signal: NodeJS.Signals): void;
  /**
   * Resolves when nothing is left of the group, which may be long after the command itself, as when that was a wrapper; or, with
   * false, when `signal` aborts.
   */
  groupEnded(clock: Clock, signal: AbortSignal): Promise<boolean>;
}

export interface ChildOptions {
  readonly logger: Logger;
  readonly stdio?: SpawnOptions['stdio'];
}

/** Between two looks at what a command has left of its group. */
const LOOK_MS = 100;

/** Windows has neither sessions nor process groups. */
const HAS_PROCESS_GROUPS = process.platform !== 'win32';

/**
 * Starts `command` (see `planExec` for its syntax) and resolves once it runs. Throws `EXEC_FAILED` when it cannot be
 * started, `USAGE` when it cannot be understood. Should this process exit while the child runs, the child gets SIGTERM.
 */
export async function superviseChild(command: string, options: ChildOptions): Promise<SupervisedChild> {
  const plan = planExec(command);
  const child = spawn(plan.file, plan.args, {
    stdio: options.stdio ?? 'inherit',
    detached: HAS_PROCESS_GROUPS,
    windowsHide: true,
  });
  const exited = watchExit(child);
  const pid = await spawned(child, plan);
  let isOver = false;
  const isAlive = (): boolean => {
    const hasEnded = child.exitCode !== null || child.signalCode !== null;
    // Once nobody is left, the number may be given to others.
    isOver ||= hasEnded && !(HAS_PROCESS_GROUPS && isGroupAlive(pid));
    return !isOver;
  };
  const kill = (signal: NodeJS.Signals): void => {
    if (isAlive()) sendSignal(pid, signal, options.logger);
  };
  const endWithUs = (): void => kill('SIGTERM');
  process.once('exit', endWithUs);
  const groupEnded = async (clock: Clock, signal: AbortSignal): Promise<boolean> => {
    await exited;
    while (isAlive()) {
      if (signal.aborted) return false;
      await clock.sleep(LOOK_MS, signal).catch(() => undefined);
    }
    process.off('exit', endWithUs);
    return true;
  };
  void exited.then(() => (isAlive() ? undefined : process.off('exit', endWithUs)));
  // Arguments may hold a secret.
  options.logger.debug('started the child process', { pid, program: plan.file, shell: plan.shell });
  return { pid, exited, kill, groupEnded };
}

/** The exit code to forward: the child's own, or 128 + n when signal n ended it, as a shell reports it. */
export function exitCodeOfChild({ code, signal }: ChildExit): number {
  if (code !== null) return code;
  return signal === null ? 1 : 128 + constants.signals[signal];
}

async function watchExit(child: ChildProcess): Promise<ChildExit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
}

async function spawned(child: ChildProcess, { file }: ExecCommand): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => reject(startFailure(file, error)));
  });
  if (child.pid === undefined) throw new RivuletError('EXEC_FAILED', `cannot start ${file}`);
  return child.pid;
}

function startFailure(file: string, cause: Error): RivuletError {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'there is no such command',
    EACCES: 'it is not an executable file, or permission is denied',
  };
  const reason = reasons[systemCode(cause) ?? ''] ?? messageOf(cause);
  return new RivuletError('EXEC_FAILED', `cannot start "${file}" for -exec: ${reason}`, {
    cause,
    hint: 'give its full path, or check PATH and its permissions',
  });
}

function sendSignal(pid: number, signal: NodeJS.Signals, logger: Logger): void {
  try {
    process.kill(HAS_PROCESS_GROUPS ? -pid : pid, signal);
  } catch (error) {
    // Gone between the check and the call: what was asked for has happened.
    if (systemCode(error) === 'ESRCH') return;
    logger.warn('cannot signal the child process', { pid, signal, error: messageOf(error) });
  }
}
