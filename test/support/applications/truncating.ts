/**
 * An application that checkpoints by itself, as some do before each backup: `node truncating.ts DATABASE SETTINGS`. It
 * commits a burst of rows, waits for a moment, and runs `wal_checkpoint(TRUNCATE)`, again and again.
 */
import { type CommandLine, commandLine, isBusy, openApplication, quantileOf, report, rest } from './open.ts';
import type { TruncatingReport, TruncatingSettings } from './settings.ts';

const { path, settings } = commandLine() as CommandLine<TruncatingSettings>;
const { database, insert } = openApplication(path, settings);
const checkpoint = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)');
const tookMs: number[] = [];
let failed = 0;

function isRefused(): boolean {
  try {
    return checkpoint.get()?.['busy'] !== 0;
  } catch (error) {
    if (!isBusy(error)) throw error;
    return true;
  }
}

const endMs = performance.now() + settings.seconds * 1000;
for (let round = 0; performance.now() < endMs; round++) {
  for (let i = 0; i < settings.burst; i++) insert.run(round, settings.rowBytes);
  rest(settings.pausesMs[round % settings.pausesMs.length] ?? 0);
  const startedMs = performance.now();
  if (isRefused()) failed += 1;
  tookMs.push(performance.now() - startedMs);
  rest(settings.restMs);
}
report({
  checkpoints: tookMs.length,
  failed,
  longestMs: quantileOf(tookMs, 1),
  medianMs: quantileOf(tookMs, 0.5),
} satisfies TruncatingReport);
database.close();
