/** A path with wildcards, which Rivulet takes as it is written: nothing would ever be replicated, and nothing would fail. */
import { existsSync } from 'node:fs';

/** What a shell would replace: `*`, `?`, `[...]`, `{a,b}`. */
const WILDCARD = /[*?]|\[[^\]/]+\]|\{[^}/]*,[^}/]*\}/;

/** Whether the path is a pattern and no file: a file may have such a name. @param path - absolute */
export function isPattern(path: string): boolean {
  return WILDCARD.test(path) && !existsSync(path);
}
