/** The two programs under test, each as its users run it. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Tool {
  readonly name: string;
  readonly command: string;
}

/** The two of one run: `ours` against `theirs`. */
export interface Tools {
  readonly ours: Tool;
  readonly theirs: Tool;
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

/** The program itself: npm's link to it is a script that would be measured as well. */
function litestream(): Tool {
  const entry = dirname(require.resolve('@flydotio/litestream/package.json'));
  const name = `litestream-${process.platform}-${process.arch}`;
  return { name: 'Litestream v0.3.13', command: join(entry, '..', name, 'litestream') };
}

/**
 * Rivulet compiled and laid out as its package is: a checkout would run its TypeScript sources, which
 * takes more time and memory to start.
 */
function compiledRivulet(folder: string): Tool {
  const home = join(folder, 'rivulet');
  mkdirSync(join(home, 'bin'), { recursive: true });
  execFileSync(process.execPath, [join(ROOT, 'scripts/build.mjs'), join(home, 'dist')], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  for (const file of ['package.json', 'bin/rivulet']) copyFileSync(join(ROOT, file), join(home, file));
  chmodSync(join(home, 'bin/rivulet'), 0o755);
  return { name: 'Rivulet', command: join(home, 'bin/rivulet') };
}

/** @param rivulet - an executable to measure instead of the one that is compiled from this checkout */
export function findTools(folder: string, rivulet: string | undefined): Tools {
  const ours = rivulet === undefined ? compiledRivulet(folder) : { name: 'Rivulet', command: rivulet };
  return { ours, theirs: litestream() };
}
