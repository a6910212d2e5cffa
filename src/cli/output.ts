import { visibleText } from '../base/visible-text.ts';
import type { Output } from './command.ts';

/** One column of a listing: its header, and the cell of a row. */
export interface Column<Row> {
  readonly header: string;
  cell(row: Row): string;
}

const PADDING = 2;

/** Lines with each column padded to its widest cell plus two spaces; the last one has none to the right. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const lines = [
    columns.map(({ header }) => header),
    ...rows.map((row) => columns.map((column) => visibleText(column.cell(row)))),
  ];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => widthOf(line[column] ?? ''))));
  return lines.map((line) => `${padded(line, widths)}\n`).join('');
}

function padded(line: readonly string[], widths: readonly number[]): string {
  return line
    .map((cell, column) => {
      const width = (widths[column] ?? 0) + PADDING;
      return column === line.length - 1 ? cell : cell + ' '.repeat(width - widthOf(cell));
    })
    .join('');
}

/** In code points, as Go's tabwriter counts. */
function widthOf(text: string): number {
  return Array.from(text).length;
}

export function writeJson(output: Output, value: unknown): void {
  output.write(`${JSON.stringify(value, undefined, 2)}\n`);
}

/** RFC 3339 in UTC with whole seconds, as Litestream's listings have it. */
export function formatSeconds(time: Date): string {
  return time.toISOString().replace(/\.\d{3}Z$/, 'Z');
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** For people: three digits that matter, decimal units. */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toPrecision(3)} ${UNITS[unit]}`;
}

/** A number of things: `1 object`, `2 objects`. */
export function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
