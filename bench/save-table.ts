/** Puts a run's table into the documentation, between two marks. */
import { readFileSync, writeFileSync } from 'node:fs';

const PAGE = new URL('../docs/benchmarks.md', import.meta.url);
const BEGIN = '<!-- table -->';
const END = '<!-- end of table -->';

export function saveTable(text: string): void {
  const page = readFileSync(PAGE, 'utf8');
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`docs/benchmarks.md has no "${BEGIN}" before "${END}"`);
  writeFileSync(PAGE, `${page.slice(0, begin + BEGIN.length)}\n\n${text.trim()}\n\n${page.slice(end)}`);
}
