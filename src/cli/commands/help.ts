import type { Command } from '../command.ts';
import { EXIT_OK } from '../exit-codes.ts';

/** Listed like any command; the frame itself answers it, since it knows all the others. */
export const command: Command = {
  name: 'help',
  summary: 'Explain a command',
  description: 'Lists the commands, or explains one: its arguments, flags, examples and exit status.',
  arguments: [{ name: 'COMMAND', help: 'the command to explain', optional: true }],
  flags: [],
  examples: [
    { command: 'rivulet help', does: 'list all commands' },
    { command: 'rivulet help restore', does: 'explain restore; the same as rivulet restore -h' },
  ],
  run: async () => EXIT_OK,
};
