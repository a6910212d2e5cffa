import { joined, mapped } from '../../base/repeatable.ts';
import type { SegmentEntry } from '../../generations/inventory.ts';
import type { Command } from '../command.ts';
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
  name: 'wal',
  summary: 'List the WAL segments of a database or replica',
  description:
    'Segments are the changes between snapshots, in the order in which a restore applies them. Each one is a point in ' +
    'time that can be restored. Sizes are as stored.',
  arguments: [SOURCE_ARGUMENT],
  flags: [
    ...CONFIG_FLAGS,
    REPLICA_FLAG,
    { name: 'generation', kind: 'text', value: 'NAME', help: 'only this generation' },
    JSON_FLAG,
  ],
  examples: [
    { command: 'rivulet wal /var/lib/app.db', does: 'the segments on all replicas of a database' },
    {
      command: 'rivulet wal -generation 0123456789abcdef file:///backup/app',
      does: 'those of one generation at a place, without a configuration',
    },
  ],
  environment: CONFIG_ENVIRONMENT,
  run: async (context) => {
    const { runListing } = await import('../listing.ts');
    return runListing(context, listingOf(context.flags.text('generation')));
  },
};

interface Row {
  readonly replica: string;
  readonly generation: string;
  readonly segment: SegmentEntry;
}

/** Index and offset are decimal here, as Litestream prints them; JSON gives numbers. */
function listingOf(wanted: string | undefined): Listing<Row> {
  return {
    columns: [
      { header: 'replica', cell: ({ replica }) => replica },
      { header: 'generation', cell: ({ generation }) => generation },
      { header: 'index', cell: ({ segment }) => String(segment.index) },
      { header: 'offset', cell: ({ segment }) => String(segment.offsetBytes) },
      { header: 'size', cell: ({ segment }) => String(segment.sizeBytes) },
      { header: 'created', cell: ({ segment }) => formatSeconds(new Date(segment.createdAt)) },
    ],
    toJson: ({ replica, generation, segment: { index, offsetBytes, sizeBytes, createdAt } }) => ({
      replica,
      generation,
      index,
      offset: offsetBytes,
      size: sizeBytes,
      created: new Date(createdAt),
    }),
    rowsOf: (replica, { generations }) =>
      joined(
        generations
          .filter(({ generation }) => wanted === undefined || generation === wanted)
          .map(({ generation, segments }) =>
            mapped(segments, (segment) => ({ replica, generation, segment })),
          ),
      ),
  };
}
