/**
 * Line coverage of the engine's rooms: runs their tests, all in one process and those that need one each, adds up what each
 * line was seen doing, and fails when a room has less than it must: `node scripts/coverage.ts [--files]`. With `--files` the
 * lines that nothing ran are named.
 */
import { spawn } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NO_CHILDREN = new URL('../test/support/cover-no-children.ts', import.meta.url).href;
const ROOMS = ['wal', 'generations', 'primary', 'restore', 'replica'];
const LINES_PERCENT_MIN = 95;
/** The rooms' own tests, and those of what uses them. The simulator and the faults do not count: chance decides what they run. */
const SHARED = ['test/wal', 'test/generations', 'test/restore'];
const ISOLATED = ['test/primary', 'test/replica', 'test/verify'];

interface Stage {
  readonly files: readonly string[];
  readonly isolation: 'none' | 'process';
}

function filesIn(folders: readonly string[]): string[] {
  return folders.flatMap((folder) => globSync(`${folder}/**/*.test.ts`, { cwd: ROOT })).sort();
}

/** @returns the coverage of the stage as lcov text, also when tests fail, and whether they passed */
async function run({ files, isolation }: Stage, output: string): Promise<{ lcov: string; passed: boolean }> {
  const flags = [
    '--test',
    `--test-isolation=${isolation}`,
    '--experimental-test-coverage',
    `--import=${NO_CHILDREN}`,
    ...ROOMS.map((room) => `--test-coverage-include=src/${room}/**`),
    '--test-reporter=dot',
    '--test-reporter-destination=stdout',
    '--test-reporter=lcov',
    `--test-reporter-destination=${output}`,
  ];
  const child = spawn(process.execPath, [...flags, ...files], {
    cwd: ROOT,
    env: { ...process.env, RIVULET_ISOLATION: isolation },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { lcov: readFileSync(output, 'utf8'), passed: code === 0 };
}

/** Of each file below `src/`, how often each line ran. */
type Hits = Map<string, Map<number, number>>;

function addLcov(hits: Hits, text: string): void {
  let lines = new Map<number, number>();
  for (const row of text.split('\n')) {
    const file = /^SF:(.*)$/.exec(row)?.[1];
    if (file !== undefined) {
      const name = file.replaceAll('\\', '/').replace(/^.*?src\//, '');
      lines = hits.get(name) ?? new Map<number, number>();
      hits.set(name, lines);
    }
    const [, line, count] = /^DA:(\d+),(\d+)/.exec(row) ?? [];
    if (line !== undefined) lines.set(Number(line), (lines.get(Number(line)) ?? 0) + Number(count));
  }
}

/** Lines that say something: neither blank nor comment, as no test can run those. */
function codeLines(file: string): Set<number> {
  const numbers = new Set<number>();
  let isComment = false;
  for (const [i, line] of readFileSync(join(ROOT, 'src', file), 'utf8')
    .split('\n')
    .entries()) {
    const text = line.trim();
    if (text.startsWith('/*')) isComment = true;
    if (!isComment && text !== '' && !text.startsWith('//')) numbers.add(i + 1);
    if (text.endsWith('*/')) isComment = false;
  }
  return numbers;
}

interface FileCoverage {
  readonly file: string;
  readonly total: number;
  readonly missed: readonly number[];
}

/** A file that no test loads is missed whole. */
function coverageOf(hits: Hits): FileCoverage[] {
  return filesOfRooms().map((file) => {
    const seen = hits.get(file);
    const lines = [...codeLines(file)];
    return { file, total: lines.length, missed: lines.filter((line) => (seen?.get(line) ?? 0) === 0) };
  });
}

function filesOfRooms(): string[] {
  return ROOMS.flatMap((room) => globSync(`${room}/**/*.ts`, { cwd: join(ROOT, 'src') }))
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => !isDeclarationsOnly(file))
    .sort();
}

/** Types leave nothing that could run. */
function isDeclarationsOnly(file: string): boolean {
  return !/^(?:export )?(?:default )?(?:async )?(?:abstract )?(?:function|class|const|let)\b|^\w/m.test(
    readFileSync(join(ROOT, 'src', file), 'utf8').replaceAll(
      /^(?:import|export (?:type|interface)|interface|type)\b/gm,
      '',
    ),
  );
}

/** `3-5, 9`. */
function ranges(lines: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < lines.length;) {
    let end = i;
    while (lines[end + 1] === (lines[end] ?? 0) + 1) end++;
    parts.push(i === end ? `${lines[i]}` : `${lines[i]}-${lines[end]}`);
    i = end + 1;
  }
  return parts.join(', ');
}

function report(files: readonly FileCoverage[], namesLines: boolean): boolean {
  let isEnough = true;
  for (const room of ROOMS) {
    const own = files.filter(({ file }) => file.startsWith(`${room}/`));
    const total = own.reduce((sum, { total: lines }) => sum + lines, 0);
    const missed = own.reduce((sum, { missed: lines }) => sum + lines.length, 0);
    const percent = (100 * (total - missed)) / total;
    const isRoomEnough = percent >= LINES_PERCENT_MIN;
    isEnough &&= isRoomEnough;
    const verdict = isRoomEnough ? '' : `  less than ${LINES_PERCENT_MIN} %`;
    console.log(`${room.padEnd(12)} ${percent.toFixed(1).padStart(5)} % of ${total} lines${verdict}`);
    if (!namesLines && isRoomEnough) continue;
    for (const { file, missed: lines } of own)
      if (lines.length > 0) console.log(`  ${file}: ${ranges(lines)}`);
  }
  return isEnough;
}

async function main(namesLines: boolean): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-coverage-'));
  try {
    const hits: Hits = new Map();
    const shared = await run({ files: filesIn(SHARED), isolation: 'none' }, join(folder, 'shared.lcov'));
    const isolated = await run(
      { files: filesIn(ISOLATED), isolation: 'process' },
      join(folder, 'isolated.lcov'),
    );
    for (const { lcov } of [shared, isolated]) addLcov(hits, lcov);
    const isEnough = report(coverageOf(hits), namesLines);
    const passed = shared.passed && isolated.passed;
    if (!passed) console.error('Tests failed: what they would have run is missing here.');
    return isEnough && passed;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  const { values } = parseArgs({ options: { files: { type: 'boolean' } } });
  if (!(await main(values.files === true))) process.exitCode = 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
