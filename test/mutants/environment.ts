/** The environment of a process that runs with a fault planted, and of all that it starts. */
import { MUTANT_VARIABLE } from './mutant.ts';

export function withMutant(name: string, env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const hook = `--import=${new URL('hook.ts', import.meta.url).href}`;
  const before = env['NODE_OPTIONS'];
  return {
    ...env,
    [MUTANT_VARIABLE]: name,
    NODE_OPTIONS: before === undefined || before === '' ? hook : `${before} ${hook}`,
  };
}
