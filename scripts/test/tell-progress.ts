/**
 * Loaded into each process that runs tests: tells the runner through a pipe which test begins, before it begins, so that
 * one that never ends has a name even when it lets nothing else run.
 */
import { writeSync } from 'node:fs';
import { beforeEach } from 'node:test';
import { PROGRESS_FD } from './run-batch.ts';

function tell(text: string): void {
  writeSync(PROGRESS_FD, `${text.replaceAll('\n', ' ')}\n`);
}

beforeEach((context) => tell(context.fullName));

/** Asked for when nothing happens any more. */
process.on('SIGUSR2', () => tell(`open in its process: ${process.getActiveResourcesInfo().join(', ')}`));
