/** Judges restored copies on a thread of its own, since that takes long and others have to answer meanwhile. */
import { DatabaseSync } from 'node:sqlite';
import { parentPort } from 'node:worker_threads';
import { assertSame, judgeCopy } from '../faults/checks.ts';

export interface Question {
  readonly copyPath: string;
  readonly sourcePath: string;
  readonly title: string;
  /** Nobody writes: every row must be the same. */
  readonly isQuiet: boolean;
}

export interface Judgement {
  /** The last transaction of the copy. */
  readonly seq: number;
  /** What is wrong; undefined when the copy is a state that was committed. */
  readonly fault: string | undefined;
}

/** A connection that only reads neither checkpoints nor removes the log when it is the last one to close. */
function digestInSource(path: string, seq: number): string | undefined {
  using source = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  const row = source.prepare('SELECT digest FROM history WHERE seq = ?').get(seq);
  return (row as { digest: string } | undefined)?.digest;
}

function judge({ copyPath, sourcePath, title, isQuiet }: Question): Judgement {
  let seq = 0;
  try {
    const copy = judgeCopy(copyPath, title);
    seq = copy.seq;
    if (seq > 0 && digestInSource(sourcePath, seq) !== copy.digest)
      return {
        seq,
        fault: `${title} ends at transaction ${seq}, but the source has another history up to there`,
      };
    if (isQuiet) assertSame(sourcePath, copyPath, title);
    return { seq, fault: undefined };
  } catch (error) {
    return { seq, fault: error instanceof Error ? error.message : String(error) };
  }
}

const port = parentPort;
port?.on('message', ({ id, question }: { id: number; question: Question }) => {
  port.postMessage({ id, judgement: judge(question) });
});
