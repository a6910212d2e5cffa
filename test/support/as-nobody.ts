const NOBODY = 65534;

/** Runs `work` without root's permission to everything; only for tests that have a process of their own. */
export function asNobody(work: () => void): void {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    work();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}
