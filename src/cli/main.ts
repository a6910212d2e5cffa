/**
 * The executable's entry. It and what it imports statically must parse on an old Node.js, so that the refusal of one
 * is a sentence and not a syntax error; all else loads after the check.
 */
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

import { forgetOwnVariables } from './own-variables.ts';
import { checkRuntime } from './runtime-check.ts';
import { endProcess } from '../base/end-process.ts';
import { isRivuletError } from '../base/errors.ts';
import { visibleText } from '../base/visible-text.ts';

/** 128 + SIGPIPE: nobody reads our output any more, as in `rivulet wal DB | head`. */
const EXIT_READER_GONE = 141;

/** What is still open when a command is done, such as a connection, closes by itself within this time. */
const LEFT_OVER_MS = 3_000;

function supported(): boolean {
  try {
    checkRuntime(process.versions);
    return true;
  } catch (error) {
    if (!isRivuletError(error)) throw error;
    process.stderr.write(`rivulet: ${error.message}\n  hint: ${error.hint}\n`);
    return false;
  }
}

/**
 * A checkout runs TypeScript: keeping the stripped and compiled code more than halves the time to start. The folder is
 * the checkout's own, because what lies in a shared temporary folder may be another user's code.
 */
function cacheCompiledSources(): void {
  if (!import.meta.url.endsWith('.ts') || process.env['NODE_COMPILE_CACHE'] !== undefined) return;
  enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/rivulet', import.meta.url)));
}

async function main(): Promise<number> {
  cacheCompiledSources();
  const { runCommandLine } = await import('./run.ts');
  const words = process.argv.slice(2);
  if (words[0] !== 'replicate') return runCommandLine(words);
  const { boundedStderr } = await import('./bounded-stderr.ts');
  return runCommandLine(words, { stdout: process.stdout, stderr: boundedStderr(), env: process.env });
}

/** A library of Google warns of a machine that is none of Google's; what is wrong then, the error says. */
const NOTHING_TO_TELL = new Set(['MetadataLookupWarning']);

forgetOwnVariables(process.env);
process.removeAllListeners('warning');
process.on('warning', ({ name, message }) => {
  if (!NOTHING_TO_TELL.has(name)) process.stderr.write(`rivulet: ${visibleText(`${name}: ${message}`)}\n`);
});

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(EXIT_READER_GONE);
});
// Made before any application inherits it, since making it can switch a pipe to non-blocking. Nobody reads it: nobody is told.
process.stderr.on('error', () => undefined);
const status = supported() ? await main() : 1;
process.exitCode = status;
// The command is done. A call that it has given up, and that does not return, would keep the process.
setTimeout(() => endProcess(status), LEFT_OVER_MS).unref();
