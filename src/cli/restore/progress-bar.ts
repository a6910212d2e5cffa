import type { RestoreProgress } from '../../restore/options.ts';
import type { Output } from '../command.ts';
import { formatBytes } from '../output.ts';

const BAR_WIDTH = 24;
const CLEAR_LINE = '\r\u001B[K';

const TITLES: Readonly<Record<RestoreProgress['phase'], string>> = {
  plan: 'planning',
  snapshot: 'restoring the snapshot',
  segments: 'applying changes',
  verify: 'checking',
  finish: 'finishing',
};

export interface ProgressBar extends Disposable {
  show(progress: RestoreProgress): void;
}

/** One line that redraws itself on a terminal and is gone when disposed; elsewhere nothing. */
export function createProgressBar(output: Output, enabled: boolean): ProgressBar {
  if (!enabled) return { show: () => undefined, [Symbol.dispose]: () => undefined };
  return {
    show: (progress) =>
      void output.writeCodes(CLEAR_LINE + formatProgress(progress).slice(0, (output.columns ?? 80) - 1)),
    [Symbol.dispose]: () => void output.writeCodes(CLEAR_LINE),
  };
}

export function formatProgress({
  phase,
  bytesDone,
  bytesTotal,
  objectsDone,
  objectsTotal,
}: RestoreProgress): string {
  if (bytesTotal === 0) return TITLES[phase];
  const share = Math.min(1, bytesDone / bytesTotal);
  const bar = '#'.repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, '.');
  const sizes = `${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}`;
  return `[${bar}] ${Math.floor(share * 100)}% ${sizes}, ${objectsDone}/${objectsTotal} objects, ${TITLES[phase]}`;
}
