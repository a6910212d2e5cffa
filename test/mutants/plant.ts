/** From the source of a file to the source with the fault in it. Pure. */
import type { Mutant } from './mutant.ts';

/** @throws Error when one of the texts to replace does not occur exactly once: the engine has changed since */
export function plant(mutant: Mutant, source: string): string {
  return mutant.edits.reduce((text, { find, replace }) => {
    const parts = text.split(find);
    if (parts.length !== 2) {
      const often = `${parts.length - 1} times`;
      throw new Error(
        `mutant ${mutant.name}: "${find}" occurs ${often} in src/${mutant.file}, expected once`,
      );
    }
    return parts.join(replace);
  }, source);
}
