/** Who is left of the process group that the command of `-exec` leads. */
import { readdirSync, readFileSync } from 'node:fs';
import { systemCode } from '../base/errors.ts';

/** Fields of `/proc/PID/stat` behind the name, which ends with the last parenthesis. */
const STATE = 0;
const GROUP = 2;
/** Dead, and not waited for by its parent: as PID 1 that is this process, which knows nothing of it. */
const ENDED = new Set(['Z', 'X', 'x']);

/** Whether a process of the group is alive. */
export function isGroupAlive(group: number): boolean {
  try {
    process.kill(-group, 0);
  } catch (error) {
    // Of another user: alive.
    if (systemCode(error) !== 'EPERM') return false;
  }
  return process.platform !== 'linux' || hasLivingMember(group);
}

function hasLivingMember(group: number): boolean {
  let names: readonly string[];
  try {
    names = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return true;
  }
  return names.some((name) => {
    const fields = statOf(name);
    return fields?.[GROUP] === String(group) && !ENDED.has(fields[STATE] ?? '');
  });
}

/** Undefined for a process that has ended meanwhile. */
function statOf(pid: string): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
