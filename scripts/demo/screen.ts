/** What the demo prints: colours and a line that updates itself on a terminal, plain lines elsewhere. */
import type { TableContent } from './fingerprint.ts';
import type { FromApplication } from './application.ts';
import type { Progress } from './rivulet.ts';

const isTerminal = process.stdout.isTTY;
const hasColours = isTerminal && process.env['NO_COLOR'] === undefined;
/** Without a terminal a line of progress each so often is enough. */
const PLAIN_SPACING_MS = 1_000;

let step = 0;
let printedAtMs = 0;

function coloured(code: number, text: string): string {
  return hasColours ? `\u001B[${code}m${text}\u001B[0m` : text;
}

export const bold = (text: string): string => coloured(1, text);
export const dim = (text: string): string => coloured(2, text);

export function heading(text: string): void {
  step += 1;
  console.log(`\n${bold(`${step}. ${text}`)}`);
}

export function say(text: string): void {
  console.log(`   ${text}`);
}

export function good(text: string): void {
  say(`${coloured(32, '✓')} ${text}`);
}

/** A command, as one would type it. */
export function shell(...words: string[]): void {
  say(dim(`$ ${words.map(quoted).join(' ')}`));
}

function quoted(word: string): string {
  return /^[\w./:@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The live line: replaced by the next one on a terminal, printed now and then elsewhere. */
export function showProgress(application: FromApplication, progress: Progress): void {
  const nowMs = performance.now();
  if (!isTerminal && nowMs - printedAtMs < PLAIN_SPACING_MS) return;
  printedAtMs = nowMs;
  const facts = [
    `${count(application.rows)} rows in ${count(application.transactions)} transactions`,
    `stored up to ${position(progress)}`,
    `${count(progress.objects)} objects, ${megabytes(progress.storedBytes)}`,
    progress.lagBytes === 0 ? 'level' : lag(progress),
  ];
  const line = `   ${facts.join('  |  ')}`;
  // A line that wraps could not be replaced.
  if (isTerminal) process.stdout.write(`\r\u001B[2K${line.slice(0, process.stdout.columns - 1)}`);
  else console.log(line);
}

/** Leaves the live line as it stands. */
export function endProgress(): void {
  if (isTerminal) process.stdout.write('\n');
}

export function showTables(tables: readonly TableContent[], before: readonly TableContent[]): void {
  for (const { table, rows, digest } of tables) {
    const original = before.find((other) => other.table === table);
    const same = original?.rows === rows && original.digest === digest;
    const verdict = same
      ? coloured(32, 'same')
      : coloured(31, `DIFFERENT: was ${original?.rows} rows, ${original?.digest}`);
    say(`${table.padEnd(12)} ${count(rows).padStart(8)} rows   digest ${digest}   ${verdict}`);
  }
}

/** Index and offset, as `rivulet wal` lists them. */
export function position({ index, offsetBytes }: Pick<Progress, 'index' | 'offsetBytes'>): string {
  return `${index}/${offsetBytes}`;
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(2)} MB`;
}

function lag({ lagBytes, lagSeconds }: Progress): string {
  return `behind by ${Math.ceil(lagBytes / 1000)} kB, ${lagSeconds.toFixed(1)} s`;
}
