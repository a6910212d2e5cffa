/** What a power cut leaves of a database, or whoever puts a virtual machine back to an earlier moment. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { LiveDatabase } from './live-database.ts';

/** The database, its log and the state directory as they are now; the answer brings them back. */
export function noteFiles({ path, scratch }: LiveDatabase): () => void {
  const kept = [path, `${path}-wal`].map((name) => ({ name, bytes: readFileSync(name) }));
  cpSync(`${path}-meta`, scratch.file('kept-meta'), { recursive: true });
  return () => {
    // In place: it is the same file.
    for (const { name, bytes } of kept) writeFileSync(name, bytes);
    rmSync(`${path}-shm`, { force: true });
    cpSync(scratch.file('kept-meta'), `${path}-meta`, { recursive: true });
  };
}
