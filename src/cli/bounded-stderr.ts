/**
 * Standard error for a command that must not wait for its reader: what `replicate` has to say at its end must not keep it from ending. The
 * other commands do wait, as for `restore -v 2>&1 | less`.
 */
import { isatty } from 'node:tty';
import { writerFor } from '../daemon/log-descriptor.ts';
import { SyncOutput } from '../daemon/sync-output.ts';
import type { TextStream } from './screen.ts';

const STDERR = 2;

export function boundedStderr(): TextStream {
  const output = new SyncOutput(STDERR, { write: writerFor(STDERR) });
  return { write: (text) => output.write(text), isTTY: isatty(STDERR) };
}
