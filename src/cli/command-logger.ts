import type { Logger } from '../base/log.ts';
import { createLogger } from '../daemon/logging.ts';
import type { CommandContext } from './command.ts';

/** For a command whose answer is on standard output: warnings, or each of its steps, on standard error. */
export async function commandLogger(
  { flags, stderr }: CommandContext,
  level: 'debug' | 'warn' = 'warn',
): Promise<Logger> {
  return createLogger({
    level,
    type: flags.boolean('json') ? 'json' : 'text',
    stderr: true,
    // Its lines have colours, and everything else in them was made visible.
    write: (line) => void stderr.writeCodes(line),
    isTerminal: stderr.isTTY,
  });
}
