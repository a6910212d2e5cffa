/** The table of planted faults as the guide has it. */
import type { Catcher } from './mutant.ts';
import { MUTANTS } from './table.ts';

export function describeCatcher(catcher: Catcher): string {
  return catcher.kind === 'test'
    ? catcher.file.replace(/\.test\.ts$/, '')
    : `simulator, ${catcher.runs} runs`;
}

/** Markdown, one row for each fault. */
export function mutantTable(): string {
  const rows = MUTANTS.map(({ name, breaks, caughtBy }) => {
    const by = caughtBy.map((catcher) => `\`${describeCatcher(catcher)}\``).join(', ');
    return `| \`${name}\` | ${breaks} | ${by} |`;
  });
  return ['| Fault | What goes wrong with it | Caught by |', '|---|---|---|', ...rows].join('\n');
}
