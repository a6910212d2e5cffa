import { joined, mapped } from '../../base/repeatable.ts';
import type { SnapshotEntry } from '../../generations/inventory.ts';
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
  name: 'snapshots',
  summary: 'List the snapshots of a database or replica',
  description:
    'A snapshot is a whole copy of the database; every restore begins with one. Sizes are as stored.',
  arguments: [SOURCE_ARGUMENT],
  flags: [...CONFIG_FLAGS, REPLICA_FLAG, JSON_FLAG],
  examples: [
    { command: 'rivulet snapshots /var/lib/app.db', does: 'the snapshots on all replicas of a database' },
    { command: 'rivulet snapshots -replica s3 /var/lib/app.db', does: 'those on one of its replicas' },
    {
      command: 'rivulet snapshots -json file:///backup/app',
      does: 'those at a place, without a configuration',
    },
  ],
  environment: CONFIG_ENVIRONMENT,
  run: async (context) => {
    const { runListing } = await import('../listing.ts');
    return runListing(context, LISTING);
  },
};

interface Row {
  readonly replica: string;
  readonly generation: string;
  readonly snapshot: SnapshotEntry;
}

/** The index is decimal here, as Litestream prints it, although -index takes hexadecimal; JSON gives a number. */
const LISTING: Listing<Row> = {
  columns: [
    { header: 'replica', cell: ({ replica }) => replica },
    { header: 'generation', cell: ({ generation }) => generation },
    { header: 'index', cell: ({ snapshot }) => String(snapshot.index) },
    { header: 'size', cell: ({ snapshot }) => String(snapshot.sizeBytes) },
    { header: 'created', cell: ({ snapshot }) => formatSeconds(new Date(snapshot.createdAt)) },
  ],
  toJson: ({ replica, generation, snapshot: { index, sizeBytes, createdAt } }) => ({
    replica,
    generation,
    index,
    size: sizeBytes,
    created: new Date(createdAt),
  }),
  rowsOf: (replica, { generations }) =>
    joined(
      generations.map(({ generation, snapshots }) =>
        mapped(snapshots, (snapshot) => ({ replica, generation, snapshot })),
      ),
    ),
};
