import type { Command } from '../command.ts';
import { EXIT_OK } from '../exit-codes.ts';
import { writeJson, writeTable } from '../output.ts';
import { CONFIG_ENVIRONMENT, CONFIG_FLAGS, JSON_FLAG } from '../shared-flags.ts';

export const command: Command = {
  name: 'databases',
  summary: 'List the configured databases and their replicas',
  description: 'Reads the configuration and lists its databases. Nothing is opened or contacted.',
  arguments: [],
  flags: [...CONFIG_FLAGS, JSON_FLAG],
  examples: [
    { command: 'rivulet databases', does: 'what the default configuration replicates' },
    {
      command: 'rivulet databases -config ./rivulet.yml -json',
      does: 'the same of another file, for a script',
    },
  ],
  environment: CONFIG_ENVIRONMENT,
  run: async (context) => {
    const { loadConfigFor } = await import('../load-config.ts');
    const { config } = await loadConfigFor(context);
    const rows = config.databases.map(({ path, replicas }) => ({
      path,
      replicas: replicas.map(({ name }) => name),
    }));
    if (context.flags.boolean('json')) writeJson(context.stdout, rows);
    else writeTable(context.stdout, COLUMNS, rows);
    return EXIT_OK;
  },
};

interface Row {
  readonly path: string;
  readonly replicas: readonly string[];
}

const COLUMNS = [
  { header: 'path', cell: ({ path }: Row) => path },
  { header: 'replicas', cell: ({ replicas }: Row) => replicas.join(',') },
];
