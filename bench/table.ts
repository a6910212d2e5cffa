/** The result as a Markdown table: it reads well in a terminal and goes into the documentation as it is. */
import type { Line } from './measurement.ts';

const HEAD = ['measurement', 'Rivulet', 'Litestream v0.3.13', 'ratio', 'target', ''];

export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return '-';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value.toPrecision(3).replace(/\.0+$/, '');
}

/** Below one the way round that people say it: 0.1 is ten times less. */
function ratioText(ratio: number): string {
  if (!Number.isFinite(ratio)) return '-';
  return ratio < 1 ? `${ratio.toFixed(2)} (1/${(1 / ratio).toFixed(1)})` : ratio.toFixed(2);
}

function cells(line: Line): string[] {
  const unit = line.unit === '' ? '' : ` ${line.unit}`;
  const verdict = line.isMet === undefined ? '' : line.isMet ? 'met' : '**missed**';
  return [
    line.what,
    formatNumber(line.ours) + unit,
    formatNumber(line.theirs) + unit,
    ratioText(line.ratio),
    line.target ?? '',
    verdict,
  ];
}

export interface Section {
  readonly title: string;
  readonly lines: readonly Line[];
}

export function formatTable(sections: readonly Section[]): string {
  const rows = sections.flatMap(({ title, lines }) => [[`**${title}**`], ...lines.map(cells)]);
  return formatRows(HEAD, rows);
}

/** A Markdown table with columns of equal width; cells that a row lacks are empty. */
export function formatRows(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0), 3));
  const format = (row: readonly string[]): string =>
    `| ${widths.map((width, i) => (row[i] ?? '').padEnd(width)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [format(head), rule, ...rows.map(format)].join('\n');
}
