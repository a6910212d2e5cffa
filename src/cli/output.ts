import { visibleText } from '../base/visible-text.ts';
import type { Output } from './command.ts';

/** One column of a listing: its header, and the cell of a row. */
export interface Column<Row> {
  readonly header: string;
  cell(row: Row): string;
}

const PADDING = 2;

/** Text is written in pieces of about this many characters: few writes, and never the whole of a long listing in memory. */
const PIECE_CHARACTERS = 64 * 1024;

/**
 * Writes a line for each row, with each column padded to its widest cell plus two spaces; the last one has none to the right.
 *
 * @param rows - gone through twice: the widths come first
 */
export function writeTable<Row>(
  output: Pick<Output, 'write'>,
  columns: readonly Column<Row>[],
  rows: Iterable<Row>,
): void {
  const widths = columns.map(({ header }) => widthOf(header));
  for (const row of rows) {
    for (const [i, column] of columns.entries()) {
      widths[i] = Math.max(widths[i] as number, widthOf(visibleText(column.cell(row))));
    }
  }
  using pieces = new Pieces(output);
  pieces.add(
    `${padded(
      columns.map(({ header }) => header),
      widths,
    )}\n`,
  );
  for (const row of rows)
    pieces.add(
      `${padded(
        columns.map((column) => visibleText(column.cell(row))),
        widths,
      )}\n`,
    );
}

/** Text on its way out. What is left when it is disposed of is written then. */
class Pieces implements Disposable {
  readonly #output: Pick<Output, 'write'>;
  #text = '';

  constructor(output: Pick<Output, 'write'>) {
    this.#output = output;
  }

  add(text: string): void {
    this.#text += text;
    if (this.#text.length >= PIECE_CHARACTERS) this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    if (this.#text !== '') this.#output.write(this.#text);
    this.#text = '';
  }
}

function padded(line: readonly string[], widths: readonly number[]): string {
  return line
    .map((cell, column) => {
      const width = (widths[column] ?? 0) + PADDING;
      return column === line.length - 1 ? cell : cell + ' '.repeat(width - widthOf(cell));
    })
    .join('');
}

const SURROGATE = /[\ud800-\udfff]/;

/** In code points, as Go's tabwriter counts. */
function widthOf(text: string): number {
  return SURROGATE.test(text) ? Array.from(text).length : text.length;
}

/** As `writeJson` writes an array, one element after the other. */
export function writeJsonArray(output: Pick<Output, 'write'>, values: Iterable<unknown>): void {
  using pieces = new Pieces(output);
  let isFirst = true;
  for (const value of values) {
    const text = JSON.stringify(value, undefined, 2).replaceAll('\n', '\n  ');
    pieces.add(`${isFirst ? '[' : ','}\n  ${text}`);
    isFirst = false;
  }
  pieces.add(isFirst ? '[]\n' : '\n]\n');
}

export function writeJson(output: Pick<Output, 'write'>, value: unknown): void {
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
