/** Puts a run's table into the documentation, between two marks. */
import { readFileSync, writeFileSync } from 'node:fs';

const PAGE = new URL('../docs/benchmarks.md', import.meta.url);

/** `table`: beside Litestream; `beside`: what an application feels. */
export type SavedTable = 'table' | 'beside';

export function saveTable(name: SavedTable, text: string): void {
  const [beginMark, endMark] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const page = readFileSync(PAGE, 'utf8');
  const [begin, end] = [page.indexOf(beginMark), page.indexOf(endMark)];
  if (begin < 0 || end < begin)
    throw new Error(`docs/benchmarks.md has no "${beginMark}" before "${endMark}"`);
  writeFileSync(PAGE, `${page.slice(0, begin + beginMark.length)}\n\n${text.trim()}\n\n${page.slice(end)}`);
}
