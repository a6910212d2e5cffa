import type { Command } from '../command.ts';
import { EXIT_OK } from '../exit-codes.ts';
import { writeJson } from '../output.ts';
import { JSON_FLAG } from '../shared-flags.ts';
import { readVersion } from '../../base/program-version.ts';

export const command: Command = {
  name: 'version',
  summary: 'Print the version',
  description: 'Prints the version of Rivulet; with -json also those of Node.js and SQLite that it runs on.',
  arguments: [],
  flags: [JSON_FLAG],
  examples: [
    { command: 'rivulet version', does: 'the version alone, for scripts' },
    { command: 'rivulet version -json', does: 'what to put into a bug report' },
  ],
  run: async ({ flags, stdout }) => {
    const { node, sqlite } = process.versions;
    if (flags.boolean('json')) writeJson(stdout, { rivulet: readVersion(), node, sqlite });
    else stdout.write(`${readVersion()}\n`);
    return EXIT_OK;
  },
};
