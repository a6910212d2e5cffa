/** The result as a Markdown table: a column for each companion. */
import { formatNumber, formatRows } from '../table.ts';
import type { BesideLine } from './beside.ts';
import type { Companion } from './companions.ts';

export interface BesideSection {
  readonly name: string;
  readonly title: string;
  readonly lines: readonly BesideLine[];
}

export function formatBeside(companions: readonly Companion[], sections: readonly BesideSection[]): string {
  const head = ['beside the application', ...companions.map(({ name }) => name), 'goal', ''];
  const rows = sections.flatMap(({ title, lines }) => [
    [`**${title}**`],
    ...lines.map((line) => [
      line.what,
      ...companions.map(({ kind }) => cell(line.values[kind], line.unit)),
      line.goal ?? '',
      line.isMet === undefined ? '' : line.isMet ? 'met' : '**missed**',
    ]),
  ]);
  return formatRows(head, rows);
}

function cell(value: number | undefined, unit: string): string {
  if (value === undefined) return '-';
  return unit === '' ? formatNumber(value) : `${formatNumber(value)} ${unit}`;
}
