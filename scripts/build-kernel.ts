/** Compiles `assembly/` to WebAssembly and writes it, as text, into `src/kernel/code.ts`. Needs nothing but npm's packages. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const CODE_PATH: string = join(ROOT, 'src/kernel/code.ts');
/** Of 64 KiB each; see `src/kernel/kernel.ts`, which divides the memory. */
const MEMORY_PAGES = '131';

/** The text of `src/kernel/code.ts` for the sources as they are. @throws Error with what the compiler says */
export function compileKernel(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-kernel-'));
  try {
    const path = join(folder, 'kernel.wasm');
    const compiler = fileURLToPath(import.meta.resolve('assemblyscript/asc'));
    const options =
      `--runtime stub --initialMemory ${MEMORY_PAGES} --maximumMemory ${MEMORY_PAGES} ` +
      '--enable simd --enable bulk-memory -O3 --converge --noAssert';
    const program = join(compiler, '../../bin/asc.js');
    execFileSync(process.execPath, [program, 'assembly/index.ts', '--outFile', path, ...options.split(' ')], {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return [
      '/** Made by `npm run build:kernel` out of `assembly/`. A test compares it with them. */',
      'export const KERNEL_CODE: string =',
      `  '${readFileSync(path).toString('base64')}';`,
      '',
    ].join('\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) writeFileSync(CODE_PATH, compileKernel());
