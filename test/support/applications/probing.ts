/**
 * An application that measures how long another process has the write lock: `node probing.ts DATABASE SETTINGS`. It is the only
 * writer and asks for the lock without a busy timeout, so each refusal is somebody else's lock.
 */
import { type CommandLine, commandLine, isBusy, openApplication, report, rest } from './open.ts';
import type { ProbingReport, ProbingSettings } from './settings.ts';

/** Short beside the locks that matter. */
const LOOK_MS = 0.2;

const { path, settings } = commandLine() as CommandLine<ProbingSettings>;
const { database, insert } = openApplication(path, settings);
database.exec('PRAGMA busy_timeout=0');
const startMs = performance.now();
const endMs = startMs + settings.seconds * 1000;
let [commits, waits, longestMs] = [0, 0, 0];

function isLocked(): boolean {
  try {
    database.exec('BEGIN IMMEDIATE');
    return false;
  } catch (error) {
    if (!isBusy(error)) throw error;
    return true;
  }
}

for (; performance.now() < endMs; commits++) {
  if (settings.perSecond > 0) rest(startMs + (commits * 1000) / settings.perSecond - performance.now());
  if (isLocked()) {
    const refusedMs = performance.now();
    waits += 1;
    while (isLocked()) rest(LOOK_MS);
    longestMs = Math.max(longestMs, performance.now() - refusedMs);
  }
  insert.run(commits, settings.rowBytes);
  database.exec('COMMIT');
}
report({ commits, waits, longestMs } satisfies ProbingReport);
database.close();
