import { stat } from 'node:fs/promises';

import { formatDuration } from '../../base/duration.ts';
import type { GenerationInventory } from '../../generations/inventory.ts';
import type { Command, CommandContext } from '../command.ts';
import type { Listing } from '../listing.ts';
import { formatSeconds } from '../output.ts';
import {
  CONFIG_ENVIRONMENT,
  CONFIG_FLAGS,
  JSON_FLAG,
  REPLICA_FLAG,
  SOURCE_ARGUMENT,
} from '../shared-flags.ts';

export const command: Command = {
  name: 'generations',
  summary: 'List the generations of a database or replica',
  description:
    'A generation is an unbroken chain of changes that begins with a snapshot. Lag is how much later the database was ' +
    'changed than the generation was (with a URL: how long ago the generation was changed).',
  arguments: [SOURCE_ARGUMENT],
  flags: [...CONFIG_FLAGS, REPLICA_FLAG, JSON_FLAG],
  examples: [
    { command: 'rivulet generations /var/lib/app.db', does: 'all generations on all replicas of a database' },
    {
      command: 'rivulet generations -json file:///backup/app',
      does: 'those at a place, without a configuration',
    },
  ],
  environment: CONFIG_ENVIRONMENT,
  run: async (context) => {
    const { runListing } = await import('../listing.ts');
    return runListing(context, listingFor(context));
  },
};

interface Row {
  readonly name: string;
  readonly generation: string;
  readonly lagMs: number;
  readonly start: Date;
  readonly end: Date;
}

function listingFor({ clock }: CommandContext): Listing<Row> {
  return {
    columns: [
      { header: 'name', cell: ({ name }) => name },
      { header: 'generation', cell: ({ generation }) => generation },
      { header: 'lag', cell: ({ lagMs }) => formatDuration(roundLag(lagMs)) },
      { header: 'start', cell: ({ start }) => formatSeconds(start) },
      { header: 'end', cell: ({ end }) => formatSeconds(end) },
    ],
    toJson: ({ name, generation, lagMs, start, end }) => ({ name, generation, lagMs, start, end }),
    rowsOf: async (name, { generations }, { databasePath }) => {
      const changedAt = databasePath === undefined ? undefined : await lastChange(databasePath);
      return generations.map((generation) => rowOf(name, generation, changedAt ?? clock.now()));
    },
  };
}

function rowOf(name: string, from: GenerationInventory, changedAt: number): Row {
  return {
    name,
    generation: from.generation,
    lagMs: Math.round(changedAt - from.updatedAt),
    start: new Date(from.startedAt),
    end: new Date(from.updatedAt),
  };
}

/** When the database or its write-ahead log changed last; undefined when neither is there (any more). */
async function lastChange(databasePath: string): Promise<number | undefined> {
  const times = await Promise.all(
    [databasePath, `${databasePath}-wal`].map(async (path) =>
      stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => undefined,
      ),
    ),
  );
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

/** Coarser the longer it is, as Litestream prints it: nobody needs the milliseconds of an hour. */
export function roundLag(lagMs: number): number {
  const size = Math.abs(lagMs);
  const stepMs = size > 10_000 ? 1000 : size > 1000 ? 100 : 1;
  return Math.trunc(lagMs / stepMs) * stepMs;
}
