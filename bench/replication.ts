/** A tool that replicates one database to one directory, with its defaults. */
import { MeteredProcess } from './process-meter.ts';
import { segmentsIn, snapshotsIn, until } from './replica-folder.ts';
import type { Tool } from './tools.ts';

const START_LIMIT_MS = 60_000;

export function startReplication(tool: Tool, databasePath: string, replicaPath: string): MeteredProcess {
  return new MeteredProcess({
    command: tool.command,
    arguments: ['replicate', databasePath, `file://${replicaPath}`],
  });
}

/** Starts it and waits until the first snapshot and segment are there and all is quiet. */
export async function startAndSettle(
  tool: Tool,
  databasePath: string,
  replicaPath: string,
  quietMs: number = 2500,
): Promise<MeteredProcess> {
  const replication = startReplication(tool, databasePath, replicaPath);
  const isThere = (): true | undefined =>
    snapshotsIn(replicaPath).length > 0 && segmentsIn(replicaPath).length > 0 ? true : undefined;
  await until(isThere, 20, START_LIMIT_MS);
  await new Promise((resolve) => setTimeout(resolve, quietMs));
  return replication;
}
